"""torch's files from before 1.6, written without torch: four pickles, then the storages one after the other.

After ``_legacy_save`` of ``torch/serialization.py``: a magic number, a protocol version, a mapping with the byte order,
the object, the keys of the storages; then for each key the number of elements in eight bytes, and the elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surgery.diagnostics import fail
from surgery.formats.additions import RECORD
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink
from surgery.sinks.layout import Block, FileLayout, Layout
from surgery.sinks.pickles.pickler import pickled
from surgery.sinks.pickles.tensors import STORAGE_CLASSES, TensorPickler
from surgery.sinks.pickles.tree import check_tree, place, traits_of, tree_of

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["TorchLegacySink"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_SYSTEM = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


@SINKS.register("torch-legacy")
class TorchLegacySink(Sink):
    """Writes what torch before 1.6 reads, and every torch since."""

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        check_tree(subject, request)
        for key, entry in subject.entries.items():
            name = entry.spec.dtype.name
            if name not in STORAGE_CLASSES:
                # torch writes them and cannot read them back
                message = f"files from before torch 1.6 have no {name}, and `{key}` is of it"
                raise fail("not-in-this-format", message, request.span, ("`cast` changes it; `format: torch` has it",))
        return ()

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        pickler = TensorPickler(embed, traits_of(subject, request), views=True)
        body = pickler.dump(tree_of(subject, request))
        keys = pickled([storage.key for storage in pickler.storages])
        # torch reads this mapping and uses nothing of it
        system = {**_SYSTEM, RECORD: request.provenance} if request.provenance else _SYSTEM
        head = pickled(_MAGIC) + pickled(_VERSION) + pickled(system) + body + keys
        blocks = [Block(0, head)]
        at = len(head)
        places = []
        for storage in pickler.storages:
            blocks.append(Block(at, storage.numel.to_bytes(8, "little")))
            places.append(at + 8)
            at += 8 + storage.expr.spec.nbytes
        tensors = place(pickler.storages, places, subject)
        return Layout((FileLayout("", at, tuple(blocks), tensors),), False, len(subject.entries))
