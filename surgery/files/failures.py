"""What the operating system reports while a file is written, as errors for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surgery.diagnostics import Span, SurgeryError, fail

__all__ = ["UNAVOIDABLE", "output_errors", "write_error"]

_NO_SPACE = {
    errno.ENOSPC: "the file system is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file would be larger than this process or file system may write",
}
#: errors that no other way of writing would avoid
UNAVOIDABLE = (*_NO_SPACE, errno.EIO)


def write_error(error: OSError, path: Path, span: Span | None = None) -> SurgeryError:
    """The error about an output `path` that could not be written."""
    if error.errno in _NO_SPACE:
        note = "nothing was left behind; what was there before is untouched"
        return fail("no-space", f"no space for `{path}`: {_NO_SPACE[error.errno]}", span, (note,), error)
    reason = error.strerror or str(error)
    return fail("output", f"`{path}` cannot be written: {reason}", span, cause=error)


@contextmanager
def output_errors(path: Path, span: Span | None = None) -> Iterator[None]:
    """Turn an `OSError` about the output `path` into a `SurgeryError`."""
    try:
        yield
    except OSError as error:
        raise write_error(error, path, span) from error
