"""Every call by which this process changes files, counted; the n-th fails, writes too little, or is never reached.

It stands between Surgery and the operating system: the functions of `os`, `fcntl` and the C library that change files
are wrapped where Surgery looks them up. ``test_injector.py`` holds, where ``strace`` is there, that none is missing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Fault", "Injector"]

#: functions of `os` that change files
_CALLS = [
    *("chmod", "chown", "copy_file_range", "fchmod", "fchown", "fdatasync", "fsync", "ftruncate", "link", "mkdir"),
    *("posix_fallocate", "pwrite", "pwritev", "remove", "rename", "replace", "rmdir", "sendfile", "symlink"),
    *("truncate", "unlink", "utime", "write", "writev"),
]
#: functions that Surgery takes from the C library
_LIBRARY_CALLS = {"fallocate", "fallocate64", "renameat2", "sync_file_range"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: what shrinks a write to about half: the call's arguments -> others
_SHORTER: dict[str, Callable[..., tuple[Any, ...]]] = {
    "pwrite": lambda file, content, at: (file, content[: _half(len(content))], at),
    "write": lambda file, content: (file, content[: _half(len(content))]),
    "copy_file_range": lambda source, target, count, *places: (source, target, _half(count), *places),
}
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the n-th call that changes files.

    Attributes:
        at: n, counted from 1; 0 for never.
        kind: ``kill`` (SIGKILL before the call), ``torn`` (SIGKILL in the middle of a write), ``error``, ``short`` (a
            write that takes half), ``cut`` (the file `path` loses its second half before the call), ``edit`` (its
            last byte changes in place).
        error: the number of the error.
        lasting: whether all later calls but those that only remove fail too.
        path: the file that is cut.
    """

    at: int = 0
    kind: str = "kill"
    error: int = errno.EIO
    lasting: bool = False
    path: str = ""


class Injector:
    """Counts, from `arm` on. Calls that happened go to the descriptor `log`, one name a line."""

    def __init__(self) -> None:
        self._fault = Fault()
        self._absent: Mapping[str, int] = {}
        self._log: int | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._write, self._truncate = os.write, os.truncate
        for name in _CALLS:
            if hasattr(os, name):
                setattr(os, name, self._wrapped(name, getattr(os, name), _raise))
        self._wrap_open()
        fcntl.ioctl = self._wrapped("ioctl", fcntl.ioctl, _raise)
        self._wrap_library()

    def arm(self, fault: Fault, log: int, absent: Mapping[str, int]) -> None:
        """Count from here on. Calls in `absent` always fail, with these numbers: the system does not have them."""
        self._fault, self._absent, self._log, self._count = fault, absent, log, 0

    def _wrapped(self, name: str, function: Callable[..., Any], refuse: Callable[[int], Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if self._log is None:
                return function(*args, **options)
            if name in self._absent:
                return refuse(self._absent[name])
            if not self._strikes(name):
                return function(*args, **options)
            kind = self._fault.kind
            if kind == "error":
                return refuse(self._fault.error)
            if kind in ("short", "torn") and name in _SHORTER:
                args = _SHORTER[name](*args)
            try:
                return function(*args, **options) if kind != "kill" else None
            finally:
                # a call that fails is killed after too
                if kind in ("kill", "torn"):
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    def _strikes(self, name: str) -> bool:
        """Count a call; whether something happens at it."""
        fault = self._fault
        with self._lock:
            assert self._log is not None
            self._count += 1
            self._write(self._log, f"{name}\n".encode())
            if fault.kind in ("cut", "edit"):
                if self._count == fault.at:
                    self._change(fault)
                return False
            if fault.lasting:
                return 0 < fault.at <= self._count and name not in ("unlink", "rmdir", "remove")
            return self._count == fault.at

    def _change(self, fault: Fault) -> None:
        if fault.kind == "cut":
            self._truncate(fault.path, os.stat(fault.path).st_size // 2)
            return
        with open(fault.path, "r+b") as file:
            last = file.seek(-1, os.SEEK_END)
            old = file.read(1)
            file.seek(last)
            file.write(bytes([old[0] ^ 1]))

    def _wrap_open(self) -> None:
        plain = os.open
        counted = self._wrapped("open", plain, _raise)

        def call(path: Any, flags: int, *args: Any, **options: Any) -> int:
            return (counted if flags & _WRITING else plain)(path, flags, *args, **options)

        os.open = call

    def _wrap_library(self) -> None:
        plain, injector = ctypes.CDLL, self

        class Library:
            def __init__(self, *args: Any, **options: Any) -> None:
                self._library = plain(*args, **options)

            def __getattr__(self, name: str) -> Any:
                function = getattr(self._library, name)
                return injector._wrapped(name, function, _refuse) if name in _LIBRARY_CALLS else function

        ctypes.CDLL = Library  # type: ignore[misc, assignment]


def _half(count: int) -> int:
    """About half, in whole blocks where it is many: no device takes part of one."""
    half = count // 2
    return half // _BLOCK * _BLOCK or max(half, 1)


def _raise(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _refuse(number: int) -> int:
    ctypes.set_errno(number)
    return -1
