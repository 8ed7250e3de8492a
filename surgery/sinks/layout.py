"""A file before it is written: where each tensor's bytes will stand, and the bytes between them.

Sinks make layouts from a plan alone; `surgery.engine` moves the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from surgery.tensors.expr import TensorExpr
from surgery.tensors.subject import Touch

__all__ = ["Block", "Closing", "FileLayout", "Layout", "Placed"]


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes that are known, and where they stand in the file."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A tensor, contiguous and little-endian, from byte `offset` of a file.

    Attributes:
        key: its name, for errors.
        trail: what the rules did to it, for errors.
    """

    offset: int
    key: str
    expr: TensorExpr
    trail: tuple[Touch, ...] = ()


#: from the CRC-32 of each placed tensor, in order, to the blocks that could not be known before
Closing: TypeAlias = Callable[[Sequence[int]], tuple[Block, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class FileLayout:
    """One file: known blocks and tensors, which together fill it.

    Attributes:
        name: its name in the directory; empty for an output that is one file.
        size: in bytes.
        closing: makes the last blocks, where they depend on checksums.
    """

    name: str
    size: int
    blocks: tuple[Block, ...]
    tensors: tuple[Placed, ...]
    closing: Closing | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """An output: one file, or the files of a directory, in the order in which they are written.

    Attributes:
        tensors: how many keys it holds, tied ones counted each.
        notes: what is worth telling, such as names that are aliases.
    """

    files: tuple[FileLayout, ...]
    directory: bool
    tensors: int
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """All bytes of all files."""
        return sum(file.size for file in self.files)
