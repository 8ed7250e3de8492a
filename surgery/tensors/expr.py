"""Tensor expressions: how an output tensor is made, as an immutable value that knows its shape and dtype.

Leaves are stored bytes, tensors in memory, and initialisations; inner nodes are operations. Making an expression reads
no tensor data. Expressions are compared **by identity**, and identity is how ties are known: two keys of a subject
are tied if and only if they hold the same expression object. A rename hands the object on, so ties survive; a
copy makes a new object (:func:`detach`), so a copy is a tensor of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from surgery.tensors.spec import Spec

__all__ = [
    "ByteRange",
    "Computed",
    "Held",
    "Initial",
    "Operation",
    "Producer",
    "Stored",
    "Strided",
    "TensorExpr",
    "Unread",
    "detach",
    "leaves",
]


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes of the file `path`, from `offset`.

    Attributes:
        crc: the CRC-32 of exactly these bytes, where known.
        whole: a range with a known CRC-32 that these bytes are a part of. It is checked when they are read.
    """

    path: str
    offset: int
    length: int
    crc: int | None = None
    whole: ByteRange | None = field(default=None, repr=False)

    def part(self, start: int, length: int) -> ByteRange:
        """`length` of these bytes, from byte `start`; if they are all, this range itself.

        >>> ByteRange("a", 100, 10, crc=1).part(8, 2).whole
        ByteRange(path='a', offset=100, length=10, crc=1)
        """
        if length == self.length:
            return self
        whole = self.whole if self.crc is None else self
        return ByteRange(self.path, self.offset + start, length, whole=whole)


@dataclass(frozen=True, slots=True, eq=False)
class TensorExpr:
    """The base of all expressions."""

    spec: Spec


@dataclass(frozen=True, slots=True, eq=False)
class Stored(TensorExpr):
    """A contiguous little-endian tensor whose bytes are the concatenation of `ranges`, in order."""

    ranges: tuple[ByteRange, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Strided(TensorExpr):
    """A tensor in a stored storage, with an offset and strides counted in elements, or in foreign byte order."""

    storage: ByteRange
    offset: int
    strides: tuple[int, ...]
    big_endian: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Held(TensorExpr):
    """A tensor that the caller holds in memory (a ``torch.Tensor`` or a ``numpy.ndarray``). It is never changed."""

    tensor: Any


@dataclass(frozen=True, slots=True, eq=False)
class Unread(TensorExpr):
    """A tensor of a file that stays as it stands there: quantised, sparse, without data. Nothing is computed with it.

    Attributes:
        key: its key in the file, for errors.
        node: what the file has for it, which a torch file takes back.
    """

    key: str
    node: Any


class Producer(Protocol):
    """What makes initial values, tensor by tensor, when a plan is executed."""

    def describe(self, name: str) -> str:
        """How the tensor `name` is initialised, for people: ``Linear(512, 10)``."""

    def produce(self, name: str) -> Any:
        """The tensor `name`, as a new ``torch.Tensor`` on the CPU."""


@dataclass(frozen=True, slots=True, eq=False)
class Initial(TensorExpr):
    """A tensor that some `producer` initialises under the name `name`."""

    producer: Producer
    name: str


class Operation(Protocol):
    """An operation with its arguments bound, as `surgery.ops` registers them."""

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        """The specifications of the results."""

    def apply(self, inputs: list[Any], outputs: int) -> list[Any]:
        """The results, as torch tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class Computed(TensorExpr):
    """Result number `output`, of `outputs`, of an operation on `inputs`."""

    operation: Operation
    inputs: tuple[TensorExpr, ...]
    output: int = 0
    outputs: int = 1


def detach(expr: TensorExpr) -> TensorExpr:
    """The same values as a tensor of its own, tied to nothing."""
    return dataclasses.replace(expr)


def leaves(expr: TensorExpr) -> Iterator[TensorExpr]:
    """The leaves of an expression, each once, from left to right."""
    seen: set[int] = set()
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Computed):
            waiting.extend(reversed(node.inputs))
        else:
            yield node
