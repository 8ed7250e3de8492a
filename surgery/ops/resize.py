"""``resize`` and ``resample_grid``: interpolation, as ``torch.nn.functional.interpolate`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, dimension, positive, single
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"]

#: how many dimensions the modes that are not for any number of them resize
_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


@OPS.register("resize")
@dataclass(frozen=True, slots=True)
class Resize(Op):
    """The last dimensions interpolated to the given sizes (``align_corners=False``).

    Shapes: ``resize(32, 32)`` makes ``[…, 32, 32]`` of ``[…, 16, 16]``. Floats; 16-bit ones are computed in float32 and
    rounded once. Errors: a mode for another number of dimensions; `antialias` with a mode that has none; too few
    dimensions or empty ones; when it runs, an overflow of a 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Resize((14, 14)).infer(floats((768, 3, 16, 16)), None))
    float32 [768, 3, 14, 14]
    """

    variadic: ClassVar[str] = "sizes"
    example: ClassVar[str] = "patch_embed.proj.weight -> patch_embed.proj.weight via resize(14, 14)"
    sizes: tuple[int, ...]
    mode: Mode = "bicubic"
    antialias: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.sizes) <= 3 or min(self.sizes) < 1:
            raise OpError(f"`resize` wants one to three positive sizes, not {list(self.sizes)}", "sizes")
        check_mode(self, self.mode, len(self.sizes), self.antialias)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        if len(spec.shape) < len(self.sizes) or not spec.numel:
            shape = format_shape(spec.shape)
            raise OpError(f"`resize` cannot resize the last {len(self.sizes)} dimensions of {shape}", "sizes")
        return (Spec((*spec.shape[: -len(self.sizes)], *self.sizes), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        tensor, count = inputs[0], len(self.sizes)
        planes = widened(tensor).reshape(1, -1, *tensor.shape[-count:])
        result = interpolate(planes, self.sizes, self.mode, self.antialias)
        return [convert(self.name, result.reshape(*tensor.shape[:-count], *self.sizes), tensor.dtype)]


@OPS.register("resample_grid")
@dataclass(frozen=True, slots=True)
class ResampleGrid(Op):
    """Position embeddings of a grid for one of `height` by `width`; the `prefix` tokens in front stay.

    The old grid is a square, or has `old_height` rows.

    Shapes: ``resample_grid(16, 16)`` makes ``[1, 1 + 16 * 16, d]`` of ``[1, 1 + 14 * 14, d]``; `dim` is that of the
    tokens, which run row by row. Floats; 16-bit ones are computed in float32 and rounded once. Where the grid has
    that size already, nothing changes. Errors: the tokens behind the prefix are no such grid; when it runs, an
    overflow of a 16-bit type. After timm's ``resample_abs_pos_embed``.

    >>> from surgery.ops.base import floats
    >>> print(*ResampleGrid(16, 24).infer(floats((1, 197, 768)), None))
    float32 [1, 385, 768]
    """

    example: ClassVar[str] = "pos_embed -> pos_embed via resample_grid(16, 16)"
    height: int
    width: int
    prefix: int = 1
    dim: int = 1
    mode: Mode = "bicubic"
    antialias: bool = True
    old_height: int | None = None

    def __post_init__(self) -> None:
        positive(self, self.height, "height")
        positive(self, self.width, "width")
        if self.old_height is not None:
            positive(self, self.old_height, "old_height")
        if self.prefix < 0:
            raise OpError(f"`resample_grid` wants a `prefix` of 0 or more, not {self.prefix}", "prefix")
        check_mode(self, self.mode, 2, self.antialias)

    def _grid(self, tokens: int) -> tuple[int, int]:
        """The height and width of the old grid."""
        if self.old_height is None:
            return isqrt(tokens), isqrt(tokens)
        return self.old_height, tokens // self.old_height

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        dim = dimension(self, self.dim, spec)
        tokens = spec.shape[dim] - self.prefix
        height, width = self._grid(max(tokens, 0))
        if tokens < 1 or height * width != tokens or not spec.numel:
            grid = "square grid" if self.old_height is None else f"grid of {self.old_height} rows"
            raise OpError(
                f"`resample_grid`: dimension {dim} of {format_shape(spec.shape)} holds {tokens} tokens "
                f"behind a prefix of {self.prefix}, which are no {grid}",
                "prefix" if self.old_height is None else "old_height",
                "`old_height` says how many rows a grid has that is no square" if self.old_height is None else None,
            )
        size = self.prefix + self.height * self.width
        return (Spec((*spec.shape[:dim], size, *spec.shape[dim + 1 :]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        tensor = inputs[0]
        height, width = self._grid(tensor.shape[self.dim] - self.prefix)
        if (height, width) == (self.height, self.width):
            return [tensor]
        head, grid = tensor.split_with_sizes([self.prefix, height * width], self.dim)
        grid = grid.movedim(self.dim, -1)
        planes = widened(grid).reshape(1, -1, height, width)
        result = interpolate(planes, (self.height, self.width), self.mode, self.antialias)
        result = result.reshape(*grid.shape[:-1], self.height * self.width).movedim(-1, self.dim)
        return [torch.cat([head, convert(self.name, result, tensor.dtype)], self.dim)]


def check_mode(op: Op, mode: str, count: int, antialias: bool) -> None:
    """Raise unless `mode` interpolates `count` dimensions, with `antialias` if that is asked for."""
    wanted = _DIMS.get(mode, count)
    if wanted != count:
        fitting = next(name for name, dims in _DIMS.items() if dims == count)
        verb = f"{count} dimension{'s' if count > 1 else ''}"
        raise OpError(
            f"`{op.name}`: the mode '{mode}' interpolates {wanted} dimension{'s' if wanted > 1 else ''}, not {count}",
            "mode",
            f"`mode='{fitting}'` interpolates {verb}",
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise OpError(
            f"`{op.name}`: only the modes 'bilinear' and 'bicubic' know `antialias`, not '{mode}'", "antialias"
        )


def interpolate(planes: Tensor, sizes: tuple[int, ...], mode: str, antialias: bool) -> Tensor:
    """``[1, n, *old]`` to ``[1, n, *sizes]``."""
    from torch.nn import functional

    return functional.interpolate(planes, list(sizes), mode=mode, antialias=antialias)
