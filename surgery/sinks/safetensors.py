"""safetensors: a JSON header, then the tensors one after the other; or shards of it with an index.

The layout follows the format's specification: eight bytes with the length of the header, little-endian; the header,
padded with blanks; the data without holes. As in the official library wider elements come first, so that every tensor
is aligned to its element size. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.files.writer import BLOCK
from surgery.formats.additions import ALIASES, CHECKSUMS, PREFIX, RECORD, UNASKED
from surgery.formats.following import following
from surgery.formats.safetensors import DTYPE_NAMES
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink, blank
from surgery.sinks.blocks import remainder
from surgery.sinks.layout import Block, FileLayout, Layout, Placed
from surgery.tensors.spec import Spec, format_bytes
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.tensors.subject import Entry, Subject

__all__ = ["SafetensorsSink"]

#: pairs of ours begin so, and those of torch's distributed checkpoints: those of an input do not describe the output
_OF_A_FILE = (PREFIX, "DCP_")
_HEADER_LIMIT = 100_000_000
_NAMES = {dtype: name for name, dtype in DTYPE_NAMES.items()}
_SHARD = re.compile(r"model(-\d{5,}-of-\d{5,})?\.safetensors(\.index\.json)?")


@SINKS.register("safetensors")
class SafetensorsSink(Sink):
    """Writes safetensors files: one, or a directory of shards with an index as transformers and diffusers read it."""

    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    form: ClassVar = "shards"

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        found = [
            Diagnostic("not-in-this-format", what, request.span, (note,)) for what, note in _unfit(subject, request)
        ]
        if found:
            raise SurgeryError(found)
        if _may_be_too_long(subject):
            self.layout(subject, request, blank)
        return ()

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        owners = _owners(subject.entries)
        metadata = _metadata(subject.metadata, request)
        record = {RECORD: request.provenance} if request.provenance else {}
        shards = _shards(owners, request.shard_size)
        size = sum(owner.spec.nbytes for owner in owners)
        summed = request.digest or (bool(request.provenance) and size <= UNASKED)
        notes = _alias_notes(owners)
        if len(shards) == 1:
            name = "model.safetensors" if request.directory else ""
            file = _file(name, owners, metadata | record, summed=summed)
            return Layout((file,), request.directory, len(subject.entries), notes)
        names = [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
        files = [_file(name, shard, metadata, summed=summed) for name, shard in zip(names, shards, strict=True)]
        files.append(_index(names, shards, record))
        return Layout(tuple(files), True, len(subject.entries), notes)

    def replaceable(self, name: str) -> bool:
        return _SHARD.fullmatch(name) is not None


def _unfit(subject: Subject, request: Request) -> Iterator[tuple[str, str]]:
    """What has no place in a safetensors file, and what would do."""
    entries, rest = subject.entries, following(subject)
    if request.keep:
        yield "safetensors holds tensors and nothing else", "`container: keep` wants `format: torch`"
    extra = rest.extra if rest is not None else {}
    if extra:
        verb, pronoun = ("is none", "it") if len(extra) == 1 else ("are none", "them")
        drop = "`filter: {drop: …}` leaves out what it selects, by the same names"
        yield (
            f"safetensors holds tensors only, and {listed(extra, 3)} {verb}",
            f"`format: torch` holds {pronoun}; {drop}",
        )
    if "__metadata__" in entries:
        yield "a tensor named `__metadata__` would make the file unreadable", "`rename` gives it another name"
    odd = [key for key in entries if not _encodable(key)]
    if odd:
        are = "is" if len(odd) == 1 else "are"
        yield f"safetensors keys are Unicode text, and {listed(odd, 3)} {are} not", "`rename` gives another name"
    for name in sorted({entry.spec.dtype.name for entry in entries.values()} - set(_NAMES)):
        keys = [key for key, entry in entries.items() if entry.spec.dtype.name == name]
        yield f"safetensors has no {name}: {listed(keys, 3)}", "`cast` changes it; `format: torch` has it"


def _may_be_too_long(subject: Subject) -> bool:
    """Whether the header comes near the limit, so that only laying the file out tells."""
    return 4 * sum(map(len, subject.entries)) + 200 * len(subject.entries) > _HEADER_LIMIT


def _encodable(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Owner:
    """A tensor that is written, under the first of its names."""

    def __init__(self, key: str, entry: Entry) -> None:
        self.key = key
        self.entry = entry
        self.aliases: list[str] = []

    @property
    def spec(self) -> Spec:
        return self.entry.spec


def _owners(entries: Mapping[str, Entry]) -> list[_Owner]:
    owners: dict[int, _Owner] = {}
    for key, entry in entries.items():
        known = owners.get(id(entry.expr))
        if known is None:
            owners[id(entry.expr)] = _Owner(key, entry)
        else:
            known.aliases.append(key)
    return list(owners.values())


def _shards(owners: Sequence[_Owner], limit: int | None) -> list[list[_Owner]]:
    """Tensors in order, as many to a shard as fit; one that is larger than the limit is alone."""
    if limit is None:
        return [list(owners)]
    shards: list[list[_Owner]] = []
    size = 0
    for owner in owners:
        if not shards or size + owner.spec.nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(owner)
        size += owner.spec.nbytes
    return shards or [[]]


def _file(name: str, owners: Iterable[_Owner], metadata: Mapping[str, str], *, summed: bool) -> FileLayout:
    ordered = sorted(owners, key=lambda owner: -owner.spec.dtype.size)
    pairs = dict(metadata)
    aliases = {alias: owner.key for owner in ordered for alias in owner.aliases}
    if aliases:
        pairs[ALIASES] = json.dumps(aliases, sort_keys=True)
    if summed:
        pairs[CHECKSUMS] = _digits([0] * len(ordered))
    places = [0, *accumulate(owner.spec.nbytes for owner in ordered)]
    text = _header(ordered, places, pairs)
    text += b" " * _padding(8 + len(text), places[:-1], ordered)
    if len(text) > _HEADER_LIMIT:
        message = f"the header of a safetensors file takes at most {format_bytes(_HEADER_LIMIT)}: too many tensors"
        raise fail("not-in-this-format", message, notes=("`shard_size` makes several files",))
    start = 8 + len(text)
    tensors = tuple(
        Placed(start + place, owner.key, owner.entry.expr, owner.entry.trail)
        for place, owner in zip(places, ordered, strict=False)
    )
    begin = Block(0, len(text).to_bytes(8, "little") + text)
    if summed:
        return FileLayout(name, start + places[-1], (), tensors, lambda checksums: (_with_checksums(begin, checksums),))
    return FileLayout(name, start + places[-1], (begin,), tensors)


def _header(owners: Sequence[_Owner], places: Sequence[int], metadata: Mapping[str, str]) -> bytes:
    """The header of tensors that begin and end at `places`."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    for owner, (begin, end) in zip(owners, pairwise(places), strict=True):
        shape = list(owner.spec.shape)
        header[owner.key] = {"dtype": _NAMES[owner.spec.dtype.name], "shape": shape, "data_offsets": [begin, end]}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def _digits(checksums: Sequence[int]) -> str:
    return "".join(f"{checksum:08x}" for checksum in checksums)


def _with_checksums(begin: Block, checksums: Sequence[int]) -> Block:
    """The beginning of a file, with the checksums that were noughts. In a value, quotes would be escaped."""
    pair = f'"{CHECKSUMS}":"{{}}"'
    noughts, known = (pair.format(_digits(sums)).encode() for sums in ([0] * len(checksums), checksums))
    return Block(0, begin.content.replace(noughts, known, 1))


def _padding(end: int, places: Sequence[int], owners: Sequence[_Owner]) -> int:
    """Blanks behind a header that ends at byte `end`, up to a multiple of 8.

    If a large tensor is copied, the data begins where the disk could share its blocks, and those of its neighbours.
    """
    for place, owner in zip(places, owners, strict=True):
        inside = remainder(owner.entry.expr, 8)
        if inside is not None and place % 8 == 0:
            return (inside - place - end) % BLOCK
    return -end % 8


def _index(names: Sequence[str], shards: Sequence[Sequence[_Owner]], metadata: Mapping[str, str]) -> FileLayout:
    """The index of shards, as `transformers` writes it: it names what the shards hold, and so no aliases."""
    where = {owner.key: name for name, shard in zip(names, shards, strict=True) for owner in shard}
    total = sum(owner.spec.nbytes for shard in shards for owner in shard)
    index = {"metadata": {**metadata, "total_size": total}, "weight_map": dict(sorted(where.items()))}
    text = (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode()
    return FileLayout("model.safetensors.index.json", len(text), (Block(0, text),), ())


def _metadata(source: Mapping[str, str], request: Request) -> dict[str, str]:
    kept = {name: value for name, value in source.items() if not name.startswith(_OF_A_FILE)}
    return {**kept, "format": "pt", **request.metadata}


def _alias_notes(owners: Iterable[_Owner]) -> tuple[str, ...]:
    """One note for all ties: readers other than Surgery find only the first name of each."""
    tied = [owner for owner in owners if owner.aliases]
    if not tied:
        return ()
    other = [alias for owner in tied for alias in owner.aliases]
    are = "is another name of a tied tensor" if len(other) == 1 else "are other names of tied tensors"
    return (f"{listed(other, 3)} {are}, written once: the metadata has the names",)
