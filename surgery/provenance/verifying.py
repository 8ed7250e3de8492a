"""An output checked again: against its record, against its own checksums, and its sources against the record."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from surgery.diagnostics import SurgeryError
from surgery.formats import Checkpoint, read
from surgery.formats.entries import ROOT, choose
from surgery.formats.survey import Survey
from surgery.provenance.checksums import check_contents
from surgery.provenance.digests import digests
from surgery.provenance.finding import find
from surgery.provenance.reading import record_in
from surgery.provenance.record import FileRecord, Record, SourceRecord, text_digest
from surgery.provenance.structure import checkpoint_listing, result_listing
from surgery.tensors.spec import format_bytes
from surgery.wording import counted, listed

__all__ = ["Check", "Verification", "verify"]

#: ``ok`` and ``changed`` of what was checked; ``missing``: looked for, and not there; ``unchecked``: nobody looked
Outcome: TypeAlias = Literal["ok", "changed", "missing", "unchecked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, or could not be.

    Attributes:
        what: ``recipe``, ``tensors``, ``contents``, or ``source``.
        name: of the source; empty for the others.
        outcome: how it went.
        detail: in words.
    """

    what: str
    outcome: Outcome
    detail: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks of an output.

    Attributes:
        record: what the output says of itself.
        checks: in the order in which they were made.
    """

    record: Record
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for is as it was; what was not asked for is left out of this."""
        return all(check.outcome in ("ok", "unchecked") for check in self.checks)


def verify(path: str | os.PathLike[str], *, sources: Iterable[str | os.PathLike[str]] = ()) -> Verification:
    """Check an output against the record in it.

    The digest of the recipe's text, the names, shapes and dtypes of the tensors, and the checksums of the format where
    it has any. No file that the record names is opened, since a record may name any: sources are looked for where the
    caller says.

    Args:
        path: the output: a file, an index of shards, or a directory.
        sources: checkpoints, and directories to look for the recorded places in.

    Raises:
        SurgeryError: the output cannot be read, or is damaged; ``no-provenance``: it has no record; ``no-file``: there
            is nothing at one of `sources`.
    """
    checkpoint = read(path)
    record = record_in(checkpoint)
    given = list(sources)
    found = find(record.sources, given)
    checks = [_recipe(record), _tensors(record, checkpoint), _contents(checkpoint)]
    checks += [_source(source, found.get(source.place), looked=bool(given)) for source in record.sources]
    return Verification(record, tuple(checks))


def _recipe(record: Record) -> Check:
    if text_digest(record.recipe) != record.sha256:
        return Check("recipe", "changed", "its text is not that of its digest")
    return Check("recipe", "ok", f"sha256 {record.sha256}")


def _tensors(record: Record, checkpoint: Checkpoint) -> Check:
    """Whether the result is in the checkpoint: as all of it, or as one of its state dicts."""
    entries = [".".join(candidate.entry) or ROOT for candidate in Survey().candidates(checkpoint.tree, ())]
    states = [choose(checkpoint, entry) for entry in entries]
    found = [result_listing((key, expr.spec) for key, expr in state.tensors.items()) for state in states]
    if record.result in (found or [result_listing(())]):
        return Check("tensors", "ok", f"{counted(record.result.tensors, 'tensor')}: names, dtypes, shapes")
    now = listed([str(listing.tensors) for listing in found], 3) if found else "none"
    return Check("tensors", "changed", f"{counted(record.result.tensors, 'tensor')} were written, {now} are there now")


def _contents(checkpoint: Checkpoint) -> Check:
    """The checksums in the output."""
    checked = list(check_contents(checkpoint))
    damaged = [one.name for one in checked if not one.ok]
    if damaged:
        return Check("contents", "changed", f"another CRC-32 of {listed(damaged, 3)}")
    if not checked:
        return Check("contents", "unchecked", "it has no checksums; a run with `--digest` writes them into safetensors")
    return Check("contents", "ok", f"CRC-32 of {format_bytes(sum(one.size for one in checked))}")


def _source(source: SourceRecord, path: Path | None, *, looked: bool) -> Check:
    def check(outcome: Outcome, detail: str) -> Check:
        return Check("source", outcome, detail, source.place)

    if not source.files:
        return check("unchecked", "given by the caller, and not a file")
    if path is None and not looked:
        return check("unchecked", "not looked for: `--source` says where to look")
    if path is None:
        return check("missing", "not where `--source` says")
    try:
        now = read(path)
    except SurgeryError as error:
        return check("changed", error.diagnostics[0].message)
    wrong = list(_differences(source, now))
    if wrong:
        return check("changed", "; ".join(wrong))
    known = [file for file in source.files if file.sha256 is not None]
    tensors = counted(source.listing.tensors, "tensor")
    if len(known) == len(source.files):
        return check("ok", f"{tensors}; contents by SHA-256")
    size = format_bytes(sum(file.size for file in source.files if file.sha256 is None))
    return check("ok", f"{tensors}; of the contents {size} were not digested")


def _differences(source: SourceRecord, now: Checkpoint) -> Iterator[str]:
    """What is not as it was, the cheapest first; contents are read only where all else is the same."""
    paths = _paths(source.files, now)
    if paths is None:
        yield f"it consists of other files: {listed([os.path.basename(path) for path in now.files], 3)}"
        return
    sizes = [(file, now.files[path].size) for file, path in zip(source.files, paths, strict=True)]
    other = [(file, size) for file, size in sizes if file.size != size]
    if other:
        file, size = other[0]
        yield f"{file.name} had {format_bytes(file.size)}, and has {format_bytes(size)}"
        return
    if checkpoint_listing(now) != source.listing:
        yield "other names, dtypes, shapes, places or checksums of tensors"
        return
    wanted = {path: file for file, path in zip(source.files, paths, strict=True) if file.sha256 is not None}
    taken = digests(wanted)
    changed = [file.name for path, file in wanted.items() if taken[path] != file.sha256]
    if changed:
        yield f"other contents of {listed(changed, 3)}"


def _paths(files: Sequence[FileRecord], now: Checkpoint) -> list[str] | None:
    """The present path of each recorded file; a single file may have another name."""
    directory = os.path.dirname(now.path)
    names = {os.path.relpath(path, directory): path for path in now.files}
    if len(files) == len(names) == 1:
        return list(now.files)
    if {file.name for file in files} != set(names):
        return None
    return [names[file.name] for file in files]
