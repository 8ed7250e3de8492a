"""``tensor([…])`` in ``create``: values that stand in the recipe. It has no input, so it is nothing for ``via``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from surgery.ops.arithmetic import convert, torch_dtype
from surgery.ops.base import Op, OpError
from surgery.ops.scale import holds
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LiteralTensor"]


@dataclass(frozen=True, slots=True)
class LiteralTensor(Op):
    """A tensor of the numbers in a list, nested as torch nests them.

    Dtypes: as in torch, float32 if any number has a point, int64 if none has, bool of True and False; or `dtype`, which
    must hold the numbers. An empty list is float32.

    >>> print(*LiteralTensor([[1, 2.5], [3, 4]]).infer((), None))
    float32 [2, 2]
    """

    name: ClassVar[str] = "tensor"
    arity: ClassVar[Literal["many"]] = "many"
    values: Any
    dtype: DType | None = None

    @classmethod
    def bind(cls, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Self:
        """The tensor of a call: a list of numbers, or one number, and perhaps ``dtype=``."""
        dtype = kwargs.get("dtype")
        if len(args) != 1 or not set(kwargs) <= {"dtype"}:
            raise OpError("`tensor` takes a list of numbers, and perhaps `dtype=`")
        if dtype is not None and not isinstance(dtype, DType):
            raise OpError(f"`tensor` wants a dtype for `dtype`, not {dtype!r}", "dtype")
        return cls(args[0], dtype)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        shape = _shape(self.values)
        kinds = {type(value) for value in _flat(self.values)}
        if not kinds <= {int, float, bool} or (bool in kinds and len(kinds) > 1):
            raise OpError("`tensor` takes numbers, or True and False, in lists of equal lengths", "values")
        name = "bool" if kinds == {bool} else "int64" if kinds == {int} else "float32"
        spec = Spec(shape, self.dtype or DTYPES[name])
        for value in _flat(self.values):
            holds(self, spec, value, "values")
        return (spec,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        (spec,) = self.infer((), 1)
        pointed = any(isinstance(value, float) for value in _flat(self.values))
        exact = torch.tensor(self.values, dtype=torch.float64 if pointed else None)
        return [convert(self.name, exact, torch_dtype(spec.dtype.name))]

    def __str__(self) -> str:
        dtype = f", dtype={self.dtype}" if self.dtype else ""
        return f"tensor({self.values!r}{dtype})"


def _shape(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple):
        return ()
    below = {_shape(value) for value in values}
    if len(below) > 1:
        raise OpError("`tensor` takes lists of equal lengths", "values")
    return (len(values), *(below.pop() if below else ()))


def _flat(values: Any) -> Iterator[Any]:
    if isinstance(values, list | tuple):
        for value in values:
            yield from _flat(value)
    else:
        yield values
