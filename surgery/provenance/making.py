"""The record of a plan."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from surgery.engine.flow import needs_torch
from surgery.formats.additions import RECORD
from surgery.formats.contents import Checkpoint
from surgery.formats.nodes import tensors_in
from surgery.planning.context import Opened
from surgery.provenance.digests import cheap, digests, named_by_hub
from surgery.provenance.record import (
    DEEPEST,
    BadRecord,
    FileRecord,
    Listing,
    RecipeRecord,
    Record,
    SourceRecord,
    depth,
    parse_record,
    text_digest,
)
from surgery.provenance.shortening import shortened, shortened_text
from surgery.provenance.structure import checkpoint_listing, result_listing
from surgery.tensors.expr import Stored
from surgery.version import __version__

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["record_of"]

#: characters that the records of all sources together may take in the record of what is made from them
_EARLIER = 65_536
_NOUGHTS = "0" * 64


def record_of(plan: Plan, *, digest: bool = False, draft: bool = False) -> Record:
    """The record of what a plan makes.

    Args:
        plan: what is recorded.
        digest: whether the content of every source is digested; else that of small ones, and known digests are noted.
        draft: noughts for digests of files and tensors, so that nothing is read: the record is as long as it will be.

    Raises:
        SurgeryError: a source cannot be read any more.
    """
    text = shortened_text(plan.recipe.text, plan.recipe.document)
    entries = plan.subject.entries
    return Record(
        recipe=text,
        sha256=text_digest(text),
        params={name: _plain(value) for name, value in sorted(plan.params.items())},
        versions=_versions(plan),
        sources=_sources(plan.opened, digest=digest, draft=draft),
        result=(
            Listing(len(entries), _NOUGHTS)
            if draft
            else result_listing((key, entry.spec) for key, entry in entries.items())
        ),
        included=tuple(
            RecipeRecord(shortened(name), found.sha256, found.commit) for name, found in sorted(plan.included.items())
        ),
    )


def _plain(value: Any) -> Any:
    """A parameter's value as JSON holds it; what it cannot hold becomes text."""
    value = shortened(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _versions(plan: Plan) -> dict[str, str]:
    """Of what can change the bytes of the result: numpy and torch, where they compute any of it."""
    exprs = {id(entry.expr): entry.expr for entry in plan.subject.entries.values()}
    made = [expr for expr in exprs.values() if not isinstance(expr, Stored)]
    with_torch = [needs_torch(expr) for expr in made]
    names = [name for name, used in (("numpy", not all(with_torch)), ("torch", any(with_torch))) if used]
    if not names:
        return {"surgery": __version__}
    from importlib import metadata

    return {"surgery": __version__, **{name: metadata.version(name) for name in names}}


def _sources(opened: Iterable[Opened], *, digest: bool, draft: bool) -> tuple[SourceRecord, ...]:
    """Each source once, in the order of opening."""
    opened = list({(one.place, one.checkpoint.path if one.checkpoint else ""): one for one in opened}.values())
    sizes = {path: state.size for one in opened if one.checkpoint for path, state in one.checkpoint.files.items()}
    pinned = {one.checkpoint.path: one.sha256 for one in opened if one.checkpoint and one.sha256}
    unknown = {path: size for path, size in sizes.items() if path not in pinned}
    wanted = unknown if digest else cheap(unknown)
    known = {**pinned, **(dict.fromkeys(wanted, _NOUGHTS) if draft else digests(wanted))}
    return tuple(_source(one, known, _EARLIER // len(opened), draft=draft) for one in opened)


def _source(opened: Opened, known: Mapping[str, str], longest: int, *, draft: bool) -> SourceRecord:
    checkpoint = opened.checkpoint
    if checkpoint is None:
        return SourceRecord(opened.place, result_listing(opened.specs.items()))
    directory = os.path.dirname(checkpoint.path)
    return SourceRecord(
        place=shortened(opened.place),
        listing=_counted(checkpoint) if draft else checkpoint_listing(checkpoint),
        format=checkpoint.format,
        files=tuple(
            _file(path, os.path.relpath(path, directory), state.size, known.get(path))
            for path, state in checkpoint.files.items()
        ),
        record=_earlier(checkpoint, longest),
    )


def _counted(checkpoint: Checkpoint) -> Listing:
    return Listing(sum(1 for _ in tensors_in(checkpoint.tree)), _NOUGHTS)


def _file(path: str, name: str, size: int, sha256: str | None) -> FileRecord:
    hub = None if sha256 is not None else named_by_hub(path)
    return FileRecord(name, size, sha256 or hub, claimed=hub is not None)


def _earlier(checkpoint: Checkpoint, longest: int) -> Mapping[str, Any] | None:
    """The record of a source that has one, or the digest of it: a chain of steps stays short of what it makes."""
    text = checkpoint.metadata.get(RECORD)
    if text is None:
        return None
    try:
        record = parse_record(text).to_json() if len(text) <= longest else None
    except BadRecord:
        return None
    # a step of a chain adds three levels
    return record if record is not None and depth(record) <= DEEPEST // 2 else {"sha256": text_digest(text)}
