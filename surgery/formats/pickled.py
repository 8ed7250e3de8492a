"""Plain pickles: of numpy arrays, as Detectron's model zoo has them, or of torch tensors by ``pickle.dump``."""

from __future__ import annotations

from typing import Any, ClassVar

from surgery.formats.contents import Blob, Checkpoint
from surgery.formats.detect import FORMATS, Format
from surgery.formats.distributed.metadata import is_metadata
from surgery.formats.file import File
from surgery.formats.pickles.arrays import Arrays
from surgery.formats.pickles.machine import LocatedBytes, Machine, Unsupported, reading
from surgery.formats.pickles.stream import InFile
from surgery.formats.pickles.tensors import Tensors, no_storage
from surgery.formats.torch_legacy import MAGIC, read_legacy

__all__ = ["Pickled", "read_pickle"]

#: how pickles of protocols 0 and 1 begin, which have no mark of their own: a dict, a list, an object
_OLD = (b"(dp", b"(lp", b"}q", b"]q", b"ccollections\n", b"ccopy_reg\n", b"cnumpy", b"(dq", b"(i")


@FORMATS.register("pickle")
class Pickled(Format):
    """A file of ``pickle.dump``."""

    title: ClassVar[str] = "pickle (of numpy arrays or torch tensors)"

    @classmethod
    def matches(cls, file: File) -> bool:
        head = file.head
        modern = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
        return (modern and not head.startswith(MAGIC) and not is_metadata(file)) or head.startswith(_OLD)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        tensors = Tensors()
        with reading(file):
            tree = read_pickle(file, 0, tensors)
        return Checkpoint.of(file, "pickle", tree, traits=tensors.traits)


def read_pickle(file: File, start: int, tensors: Tensors) -> Any:
    """The object of the pickle that stands in a file from `start` to the end.

    Raises:
        Malformed, Unsupported: it is broken, or holds what cannot be described.
    """
    arrays = Arrays(tensors)
    builders = {**tensors.builders, **arrays.builders}

    def load_from_bytes(data: Any) -> Any:
        """A storage, which ``pickle`` writes as a whole legacy file inside of a byte string."""
        where = data.range if isinstance(data, Blob | LocatedBytes) else None
        if where is None:
            raise Unsupported("it is a pickle of torch tensors before protocol 3: write it with `torch.save`")
        inner = InFile(file, where.offset, where.length)
        return read_legacy(inner, tensors.builders, {})

    builders["torch.storage", "_load_from_bytes"] = load_from_bytes
    machine = Machine(InFile(file, start), builders=builders, finishers=arrays.finishers, persistent=no_storage)
    return machine.load_last()
