"""The shape rule of einops patterns, worked out from the parsed pattern alone.

einops itself infers shapes only on a tensor. A tensor without data would need torch (its meta device), so the sizes of
the axes are solved here, from ``einops.parsing``: no torch, no allocation, and errors that name the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from surgery.ops.base import OpError
from surgery.suggest import did_you_mean
from surgery.tensors.spec import format_shape

if TYPE_CHECKING:
    from surgery.ops.ways import Array

__all__ = ["Solved", "arranged", "backward", "check", "solve"]

Kind = Literal["rearrange", "repeat", "reduce"]
Groups = tuple[tuple[str, ...], ...]

_ELLIPSIS = "…"  # what einops writes for `...` once it has parsed it


@dataclass(frozen=True, slots=True)
class Solved:
    """A pattern on a shape: the axes of each dimension on both sides, and the size of each axis."""

    left: Groups
    right: Groups
    sizes: dict[str, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return tuple(prod(self.sizes[axis] for axis in group) for group in self.right)

    @property
    def keeps_order(self) -> bool:
        """Whether the elements of the result are those of the input in the same order."""
        return self.real_axes(self.left) == self.real_axes(self.right)

    @property
    def dropped(self) -> list[str]:
        """The axes that are on the left only."""
        kept = {axis for group in self.right for axis in group}
        return [axis for group in self.left for axis in group if axis not in kept]

    def real_axes(self, side: Groups) -> list[str]:
        """The axes of a side whose size is not 1, in order."""
        return [axis for group in side for axis in group if self.sizes[axis] != 1]


def check(kind: Kind, pattern: str, axes: tuple[tuple[str, int], ...]) -> tuple[Any, Any]:
    """Both sides of a pattern, parsed.

    Raises:
        OpError: it is no pattern of that kind, or a size is given for an axis that it does not have, or is missing.
    """
    left, right = _sides(kind, pattern)
    names = {str(axis) for side in (left, right) for axis in side.identifiers if _named(axis)}
    for axis, size in axes:
        if axis not in names:
            raise OpError(f'`{kind}`: "{pattern}" has no axis {axis}', axis, did_you_mean(axis, names))
        if size < 1:
            raise OpError(f"`{kind}` wants a positive size for the axis {axis}, not {size}", axis)
    only_left = sorted(str(axis) for axis in left.identifiers - right.identifiers if _named(axis))
    only_right = sorted(str(axis) for axis in right.identifiers - left.identifiers if _named(axis))
    if only_left and kind != "reduce":
        drops = "drops" if kind == "rearrange" else "is on the left only:"
        hint = "`reduce` drops axes" if kind == "rearrange" else None
        raise OpError(f'`{kind}`: "{pattern}" {drops} {_axes(only_left)}', "pattern", hint)
    if only_right and kind != "repeat":
        hint = "`repeat` makes new axes" if kind == "rearrange" else None
        raise OpError(f'`{kind}`: "{pattern}" has {_axes(only_right)} on the right only', "pattern", hint)
    unknown = [axis for axis in only_right if axis not in dict(axes) and axis != _ELLIPSIS]
    if unknown:
        raise OpError(f'`{kind}`: "{pattern}" needs the size of {_axes(unknown)}, as in `{unknown[0]}=2`', "pattern")
    return left, right


def _sides(kind: Kind, pattern: str) -> tuple[Any, Any]:
    from einops import EinopsError
    from einops.parsing import ParsedExpression

    if pattern.count("->") != 1:
        raise OpError(f'`{kind}` wants a pattern with one arrow, as in "a b -> b a", not "{pattern}"', "pattern")
    try:
        left, right = map(ParsedExpression, pattern.split("->"))
    except EinopsError as error:
        raise OpError(f'`{kind}`: "{pattern}" is no pattern: {error}', "pattern") from None
    if left.has_ellipsis_parenthesized:
        raise OpError(f'`{kind}`: "{pattern}" has `...` inside parentheses on the left', "pattern")
    if right.has_ellipsis and not left.has_ellipsis:
        raise OpError(f'`{kind}`: "{pattern}" has `...` on the right only', "pattern")
    if left.has_ellipsis and not right.has_ellipsis and kind != "reduce":
        raise OpError(f'`{kind}`: "{pattern}" has `...` on the left only', "pattern")
    numbered = left.has_non_unitary_anonymous_axes, right.has_non_unitary_anonymous_axes
    if (numbered[0] and kind != "reduce") or (numbered[1] and kind != "repeat"):
        raise OpError(f'`{kind}`: "{pattern}" has a number other than 1 where an axis must have a name', "pattern")
    return left, right


def _named(axis: Any) -> bool:
    return isinstance(axis, str)


def _axes(names: Sequence[str]) -> str:
    return f"the {'axis' if len(names) == 1 else 'axes'} {', '.join(names)}"


def solve(kind: Kind, pattern: str, axes: tuple[tuple[str, int], ...], shape: tuple[int, ...]) -> Solved:
    """The pattern on a tensor of `shape`.

    Raises:
        OpError: the shape does not fit the pattern, or leaves the size of an axis open.
    """
    left, right = check(kind, pattern, axes)
    named = len(left.composition) - left.has_ellipsis
    if len(shape) < named or (len(shape) > named and not left.has_ellipsis):
        least = "at least " if left.has_ellipsis else ""
        raise OpError(
            f'`{kind}`: "{pattern}" wants {least}{named} dimensions, and {format_shape(shape)} has {len(shape)}'
        )
    sizes = dict(axes)
    rest = _rest(pattern, len(shape) - named)
    groups = _groups(left.composition, rest, sizes), _groups(right.composition, rest, sizes)
    for group, size in zip(groups[0], shape, strict=True):
        _solve_group(kind, pattern, group, size, shape, sizes)
    return Solved(*groups, sizes)


def _rest(pattern: str, count: int) -> list[str]:
    """Names for the axes that `...` stands for, none of which the pattern has."""
    name = "rest"
    while name in pattern:
        name += "x"
    return [f"{name}{i}" for i in range(count)]


def _groups(composition: list[Any], rest: list[str], sizes: dict[str, int]) -> Groups:
    """The axes of each dimension by name; numbers get a name and a size, `...` becomes the axes of `rest`."""
    groups: list[tuple[str, ...]] = []
    for item in composition:
        if item == _ELLIPSIS:
            groups.extend((axis,) for axis in rest)
            continue
        group: list[str] = []
        for axis in item:
            if axis == _ELLIPSIS:
                group.extend(rest)
            elif _named(axis):
                group.append(axis)
            else:
                group.append(f"{axis.value}#{id(axis)}")
                sizes[group[-1]] = axis.value
        groups.append(tuple(group))
    return tuple(groups)


def _solve_group(
    kind: Kind, pattern: str, group: tuple[str, ...], size: int, shape: tuple[int, ...], sizes: dict[str, int]
) -> None:
    """Find the size of the one open axis of a dimension that has `size`."""
    open_axes = [axis for axis in group if axis not in sizes]
    known = prod(sizes[axis] for axis in group if axis in sizes)
    if len(open_axes) > 1:
        names = ", ".join(open_axes)
        raise OpError(
            f'`{kind}`: "{pattern}" leaves the sizes of {names} open; give all but one, as in `{open_axes[0]}=2`'
        )
    if size % known if open_axes else size != known:
        text = " ".join(axis.split("#")[0] for axis in group)
        does = "does not divide" if open_axes else "is not"
        raise OpError(
            f'`{kind}`: in "{pattern}", ({text}) is a dimension of {format_shape(shape)}, and {known} {does} {size}'
        )
    if open_axes:
        sizes[open_axes[0]] = size // known


def backward(pattern: str, solved: Solved) -> str:
    """The pattern of a rearrangement from right to left; `...` in parentheses is written as axes.

    >>> backward("a b -> (b a)", solve("rearrange", "a b -> (b a)", (), (2, 3)))
    '(b a) -> a b'
    >>> backward("a ... -> (... a)", solve("rearrange", "a ... -> (... a)", (), (2, 3, 4)))
    '(rest0 rest1 a) -> a rest0 rest1'
    """
    left, right = (side.strip() for side in pattern.split("->"))
    if any("..." in part.partition(")")[0] for part in right.split("(")[1:]):
        left, right = _spelled(solved.left), _spelled(solved.right)
    return f"{right} -> {left}"


def _spelled(side: Groups) -> str:
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" if group else "1" for group in side)


def arranged(array: Array, solved: Solved) -> Array:
    """The elements of a rearrangement or repetition in their order, each axis a dimension; a view if it can be."""
    import numpy

    left, right = solved.real_axes(solved.left), solved.real_axes(solved.right)
    split = array.reshape([solved.sizes[axis] for axis in left])
    there = split.transpose([left.index(axis) for axis in right if axis in left])
    with_new = there[tuple(slice(None) if axis in left else None for axis in right)]
    return numpy.broadcast_to(with_new, [solved.sizes[axis] for axis in right])
