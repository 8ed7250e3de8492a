"""What shape rules share: how many tensors there are, which dimension is meant, which dtypes can be computed with."""

from __future__ import annotations

from surgery.ops.base import Op, OpError
from surgery.tensors.dtype import DType
from surgery.tensors.spec import Spec, format_shape

__all__ = [
    "COMPLEX",
    "FLOATS",
    "INTEGERS",
    "broadcast",
    "broadcast_rows",
    "computable",
    "dimension",
    "one_result",
    "positive",
    "same_dtype",
    "same_rows",
    "several",
    "shapes",
    "single",
]

#: dtypes that can be computed with; float8, complex32 and the larger unsigned ones are only stored
FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})
COMPLEX = frozenset({"complex128", "complex64"})
INTEGERS = frozenset({"int64", "int32", "int16", "int8", "uint8"})


def shapes(inputs: tuple[Spec, ...]) -> str:
    """Shapes for a message: ``[2, 3] and [4]``."""
    words = [format_shape(spec.shape) for spec in inputs]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def one_result(op: Op, outputs: int | None) -> None:
    """Raise unless the right side names one result, or leaves the number open."""
    if outputs not in (None, 1):
        raise OpError(f"`{op.name}` gives one tensor, and the right side names {outputs}")


def single(op: Op, inputs: tuple[Spec, ...], outputs: int | None = None) -> Spec:
    """The only input, of an operation that gives one tensor."""
    if len(inputs) != 1:
        raise OpError(f"`{op.name}` takes one tensor, not {len(inputs)}")
    one_result(op, outputs)
    return inputs[0]


def several(op: Op, inputs: tuple[Spec, ...], least: int, most: int | None = None) -> None:
    """Raise unless there are `least` to `most` inputs; `most` is None where there may be any number."""
    if len(inputs) < least or (most is not None and len(inputs) > most):
        wanted = f"{least} or more" if most is None else str(least) if least == most else f"{least} or {most}"
        raise OpError(f"`{op.name}` takes {wanted} tensors, not {len(inputs)}")


def dimension(op: Op, dim: int, spec: Spec, argument: str = "dim", *, new: bool = False) -> int:
    """`dim` counted from the front. With `new`, the place of a dimension that is added."""
    count = len(spec.shape) + new
    if not -count <= dim < count:
        room = f"it goes from {-count} to {count - 1}" if count else "the tensor has no dimensions"
        raise OpError(f"`{op.name}`: there is no dimension {dim} in {format_shape(spec.shape)}; {room}", argument)
    return dim % count


def positive(op: Op, value: int, argument: str) -> None:
    """Raise unless the argument `value` is at least 1."""
    if value < 1:
        raise OpError(f"`{op.name}` wants a positive `{argument}`, not {value}", argument)


def same_dtype(op: Op, inputs: tuple[Spec, ...]) -> DType:
    """The dtype that all inputs share."""
    names = list(dict.fromkeys(spec.dtype.name for spec in inputs))
    if len(names) > 1:
        found = f"{', '.join(names[:-1])} and {names[-1]}"
        raise OpError(
            f"`{op.name}` wants tensors of one dtype, not {found} ({shapes(inputs)})",
            suggestion=f"cast them first, as in `cast({names[0]}) | {op.name}`",
        )
    return inputs[0].dtype


def computable(op: Op, spec: Spec, kinds: frozenset[str] = FLOATS) -> None:
    """Raise unless the dtype is one of `kinds`."""
    if spec.dtype.name not in kinds:
        raise OpError(
            f"`{op.name}` does not compute with {spec.dtype} ({spec})",
            suggestion="cast it first, as in `cast(float32)`",
        )


def broadcast(op: Op, inputs: tuple[Spec, ...]) -> Spec:
    """The common specification of inputs whose shapes are equal, or where they differ, 1."""
    dtype = same_dtype(op, inputs)
    if len({len(spec.shape) for spec in inputs}) == 1:
        columns = [set(sizes) - {1} for sizes in zip(*(spec.shape for spec in inputs), strict=True)]
        if all(len(column) <= 1 for column in columns):
            return Spec(tuple(column.pop() if column else 1 for column in columns), dtype)
    raise OpError(f"`{op.name}` wants equal shapes, or sizes of 1 where they differ, not {shapes(inputs)}")


def same_rows(inputs: tuple[Spec, ...], rows: range, *dims: int) -> tuple[range, ...] | None:
    """The same rows of every input, for an operation on the dimensions `dims`; None where one of them is the first."""
    count = len(inputs[0].shape) if inputs else 0
    if not count or any(dim % count == 0 for dim in dims):
        return None
    return (rows,) * len(inputs)


def broadcast_rows(inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
    """The same rows of every input but those that have one row for all."""
    if not inputs or not inputs[0].shape:
        return None
    total = max(spec.shape[0] for spec in inputs)
    return tuple(None if spec.shape[0] < total else rows for spec in inputs)
