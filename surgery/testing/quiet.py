"""The surroundings of a case: an empty directory, no network, and what libraries print or set kept from the others."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["apart"]


@contextlib.contextmanager
def apart(printed: io.StringIO) -> Iterator[Path]:
    """While this is open, the current directory is an empty one, which is removed afterwards.

    What is printed goes to `printed`, warnings are not shown, and nothing is reached over the network. What code sets
    for its whole process is set back, so that no case depends on those before it.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="surgery-test-"))).resolve()
        stack.enter_context(contextlib.chdir(directory))
        stack.enter_context(_output_to_stderr())
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_without_network())
        stack.enter_context(_settings_kept())
        yield directory


@contextlib.contextmanager
def _output_to_stderr() -> Iterator[None]:
    """What C code and other processes print goes to stderr: the output is the command's, and may be JSON."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed by whoever began this process
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """The environment, and the defaults of torch, are the same afterwards."""
    import torch

    environment, dtype, device = dict(os.environ), torch.get_default_dtype(), torch.get_default_device()
    try:
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)


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
