"""torch's zip files, written without torch: a pickle, and one entry for the bytes of each storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from surgery.formats.additions import MEMBER
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink
from surgery.sinks.layout import FileLayout, Layout
from surgery.sinks.pickles.archive import archive_of
from surgery.sinks.pickles.tensors import TensorPickler
from surgery.sinks.pickles.tree import check_tree, place, traits_of, tree_of

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["TorchSink"]


@SINKS.register("torch")
class TorchSink(Sink):
    """Writes what ``torch.load(…, weights_only=True)`` reads, in the format of torch 1.6 and later."""

    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth", ".bin", ".ckpt", ".tar")
    unread: ClassVar[bool] = True

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        check_tree(subject, request)
        return ()

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        pickler = TensorPickler(embed, traits_of(subject, request))
        pickle = pickler.dump(tree_of(subject, request))
        record = {MEMBER: request.provenance.encode()} if request.provenance else {}
        archive = archive_of(pickle, pickler.storages, more=record)
        tensors = place(pickler.storages, archive.places, subject)
        return Layout(
            (FileLayout("", archive.end, archive.blocks, tensors, archive.closing),), False, len(subject.entries)
        )
