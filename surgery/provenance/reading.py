"""The record in an output, which is a claim of whoever wrote the file."""

from __future__ import annotations

import os

from surgery.diagnostics import fail
from surgery.formats import Checkpoint, read
from surgery.formats.additions import RECORD
from surgery.limits import exceeded, limits
from surgery.provenance.record import BadRecord, Record, parse_record

__all__ = ["read_record", "record_in"]


def read_record(path: str | os.PathLike[str]) -> Record:
    """The record of what made a checkpoint: a file, an index of shards, or a directory. No tensor data is read.

    Raises:
        SurgeryError: as `surgery.formats.read`; ``no-provenance``: it has none.
    """
    return record_in(read(path))


def record_in(checkpoint: Checkpoint) -> Record:
    """The record in a checkpoint that was read.

    Raises:
        SurgeryError: ``no-provenance``: it has none; ``corrupt-checkpoint``: what stands in its place is no record.
    """
    text = checkpoint.metadata.get(RECORD)
    if text is None:
        note = "Surgery writes a record unless it is told not to; other programs do not keep it when they write a file"
        raise fail("no-provenance", f"`{checkpoint.shown}` does not say what made it", notes=(note,))
    try:
        if len(text) > limits().record:
            raise exceeded("record", f"`{checkpoint.shown}`: its record is too long", needed=len(text))
        return parse_record(text)
    except BadRecord as error:
        message = f"`{checkpoint.shown}`: what should be the record of what made it is none: {error}"
        raise fail("corrupt-checkpoint", message, cause=error) from error
