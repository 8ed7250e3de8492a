"""``resample_bias``: tables of relative position biases for another window."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, positive, single
from surgery.ops.resize import interpolate
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("resample_bias")
@dataclass(frozen=True, slots=True)
class ResampleBias(Op):
    """A table of relative position biases (Swin, BEiT) of a square window for one of `height` by `width`.

    A window of h by w tokens has ``(2 h - 1) (2 w - 1)`` relative positions, which run row by row; `suffix` rows behind
    them, as of BEiT's class token, stay. ``geometric`` takes the old positions to lie the wider apart the farther out
    they are, so that near ones keep their values, and interpolates linearly between them; ``bicubic`` interpolates
    evenly.

    Shapes: ``resample_bias(12, 12)`` makes ``[23 * 23, heads]`` of ``[13 * 13, heads]``. Floats; 16-bit ones are
    computed in float32 and rounded once. Where the window has that size already, nothing changes. Errors: the positions
    are not those of a square window; when it runs, an overflow of a 16-bit type. After timm's
    ``resize_rel_pos_bias_table`` and ``resize_rel_pos_bias_table_simple``.

    >>> from surgery.ops.base import floats
    >>> print(*ResampleBias(24, 24, suffix=3).infer(floats((732, 12)), None))
    float32 [2212, 12]
    """

    example: ClassVar[str] = (
        "**.relative_position_bias_table -> **.relative_position_bias_table via resample_bias(12, 12)"
    )
    height: int
    width: int
    suffix: int = 0
    mode: Literal["geometric", "bicubic"] = "geometric"

    def __post_init__(self) -> None:
        positive(self, self.height, "height")
        positive(self, self.width, "width")
        if self.suffix < 0:
            raise OpError(f"`resample_bias` wants a `suffix` of 0 or more, not {self.suffix}", "suffix")

    def _sizes(self) -> tuple[int, int]:
        return 2 * self.height - 1, 2 * self.width - 1

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        shape = format_shape(spec.shape)
        if len(spec.shape) != 2 or not spec.numel:
            raise OpError(f"`resample_bias` wants a table of [positions, heads], not {shape}")
        positions = spec.shape[0] - self.suffix
        side = isqrt(max(positions, 0))
        if side**2 != positions or side % 2 == 0:
            raise OpError(
                f"`resample_bias`: {shape} has {positions} positions before a suffix of {self.suffix}, "
                "which are not those of a square window",
                "suffix",
                "a window of n by n has (2 n - 1) squared; BEiT's tables have a suffix of 3",
            )
        height, width = self._sizes()
        return (Spec((height * width + self.suffix, spec.shape[1]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        table, sizes = inputs[0], self._sizes()
        side = isqrt(table.shape[0] - self.suffix)
        if sizes == (side, side):
            return [table]
        body, extra = table.split_with_sizes([side * side, self.suffix])
        planes = widened(body).T.reshape(-1, side, side)
        if self.mode == "bicubic":
            result = interpolate(planes[None], sizes, "bicubic", False)[0]
        else:
            down, across = (torch.tensor(geometric_weights(side, size), dtype=planes.dtype) for size in sizes)
            result = down @ planes @ across.T
        return [torch.cat([convert(self.name, result.flatten(1).T, table.dtype), extra])]


def geometric_weights(old: int, new: int) -> list[list[float]]:
    """How much each of `old` positions counts for each of `new` ones, a row for each of these.

    The old ones lie at 0 and, on both sides, at the sums of a geometric progression that reaches the outermost new one.
    """
    ratio = _ratio(old // 2, new // 2)
    side = [sum(ratio**n for n in range(count)) for count in range(1, old // 2 + 1)]
    points = [-place for place in reversed(side)] + [0.0] + side
    return [_between(points, float(place)) for place in range(-(new // 2), new // 2 + 1)]


def _ratio(count: int, reach: int) -> float:
    """The ratio, from 1.01 to 1.5, with which `count` terms from 1 add up to `reach`, as near as can be."""
    low, ratio, high = 1.01, 1.255, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**count) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    return ratio


def _between(points: list[float], place: float) -> list[float]:
    """Weights of linear interpolation at `place`; outside, the nearest point counts alone."""
    right = min(bisect_left(points, place), len(points) - 1)
    left = max(right - 1, 0)
    weights = [0.0] * len(points)
    if left == right or place <= points[left] or place >= points[right]:
        weights[left if place <= points[left] else right] = 1.0
        return weights
    gap = points[right] - points[left]
    weights[left], weights[right] = (points[right] - place) / gap, (place - points[left]) / gap
    return weights
