"""torch's zip files, written without torch: a pickle, and one entry for the bytes of each storage.

After ``torch/serialization.py`` (``_save``): all entries lie in one folder, uncompressed, the bytes of each storage on
a multiple of 64 (those of a large one where the disk could share its blocks with the source). The folder is always
named the same, and what names a moment or a machine is left out, so that equal contents are equal files. Checksums that
the source knew are kept, the others are computed while the bytes go by.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from surgery.formats.record import MEMBER
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink
from surgery.sinks.blocks import BLOCK, remainder
from surgery.sinks.layout import Block, FileLayout, Layout
from surgery.sinks.pickling import Pickler
from surgery.sinks.tree import check_tree, place, traits_of, tree_of
from surgery.sinks.zip import Member, directory, local_header

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["TorchSink"]

_FOLDER = "archive"
_ALIGNMENT = 64


@SINKS.register("torch")
class TorchSink(Sink):
    """Writes what ``torch.load(…, weights_only=True)`` reads, in the format of torch 1.6 and later."""

    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth", ".bin", ".ckpt", ".tar")

    def check(self, subject: Subject, request: Request) -> None:
        check_tree(subject, request)

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        pickler = Pickler(embed, traits_of(subject, request))
        pickle = pickler.dump(tree_of(subject, request))
        known = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
        if request.provenance:
            known[MEMBER] = request.provenance.encode()
        blocks: list[Block] = []
        members: list[Member] = []
        at = 0
        for name, content in known.items():
            member = Member(f"{_FOLDER}/{name}", at, len(content), _ALIGNMENT, zlib.crc32(content))
            blocks.append(Block(at, local_header(member) + content))
            members.append(member)
            at = member.end
        first = len(members)
        for storage in pickler.storages:
            size, place_in_block = storage.expr.spec.nbytes, remainder(storage.expr, _ALIGNMENT)
            alignment = _ALIGNMENT if place_in_block is None else BLOCK
            name = f"{_FOLDER}/data/{storage.key}"
            member = Member(name, at, size, alignment, remainder=place_in_block or 0)
            members.append(member)
            at = member.end
        tensors = place(pickler.storages, [member.start for member in members[first:]], subject)

        def closing(checksums: Sequence[int]) -> tuple[Block, ...]:
            done = [member.with_crc(crc) for member, crc in zip(members[first:], checksums, strict=True)]
            headers = [Block(member.offset, local_header(member)) for member in done]
            return (*headers, Block(at, directory([*members[:first], *done])))

        size = at + len(directory(members))
        return Layout((FileLayout("", size, tuple(blocks), tensors, closing),), False, len(subject.entries))
