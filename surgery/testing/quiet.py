"""The surroundings of a case: an empty directory, no network, and what libraries print kept aside."""

from __future__ import annotations

import contextlib
import io
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["apart"]


@contextlib.contextmanager
def apart(printed: io.StringIO) -> Iterator[Path]:
    """While this is open, the current directory is an empty one, which is removed afterwards.

    What is printed goes to `printed`, warnings are not shown, and nothing is reached over the network.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="surgery-test-"))).resolve()
        stack.enter_context(contextlib.chdir(directory))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_without_network())
        yield directory


@contextlib.contextmanager
def _without_network() -> Iterator[None]:
    """Connections and look-ups fail at once; a library that tries one falls back on what it has, or says so."""
    kept = {name: getattr(socket, name) for name in ("getaddrinfo", "create_connection")}
    connect = socket.socket.connect

    def refused(*_: Any, **__: Any) -> NoReturn:
        raise OSError("a test uses no network")

    for name in kept:
        setattr(socket, name, refused)
    socket.socket.connect = refused  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        for name, function in kept.items():
            setattr(socket, name, function)
