"""Operations with inputs to try them on: at least one for each that is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from surgery.ops import OPS
from surgery.ops.base import Op
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sample:
    op: Op
    shapes: tuple[tuple[int, ...], ...]
    outputs: int | None
    dtype: str
    free: bool
    invertible: bool

    def __str__(self) -> str:
        return f"{self.op} of {self.dtype} {self.shapes}"


def sample(name: str, args=(), shapes=(), outputs=None, dtype="float32", free=False, inverse=False, **kwargs) -> Sample:
    return Sample(OPS[name].bind(args, kwargs), tuple(shapes), outputs, dtype, free, inverse)


def specs_of(sample: Sample) -> tuple[Spec, ...]:
    return tuple(Spec(shape, DTYPES[sample.dtype]) for shape in sample.shapes)


def tensors_of(sample: Sample) -> list[Tensor]:
    """Random values, positive so that variances and norms are fine; the same whole number where they are integers."""
    import torch

    generator = torch.Generator().manual_seed(0)
    made = []
    for spec in specs_of(sample):
        dtype = getattr(torch, spec.dtype.name)
        if spec.dtype.kind == "float":
            made.append((torch.rand(spec.shape, generator=generator) + 0.5).to(dtype))
        elif spec.dtype.kind == "complex":
            made.append(torch.randn(spec.shape, generator=generator, dtype=dtype))
        else:
            made.append(torch.ones(spec.shape).to(dtype))
    return made


BF16 = DTYPES["bfloat16"]
MATRIX, CONV = (4, 6), (8, 3, 5, 5)

SAMPLES = [
    sample("chunk", shapes=[(6, 4)], outputs=3, free=True, inverse=True),
    sample("chunk", shapes=[(4, 6)], outputs=2, dim=-1, free=True, inverse=True),
    sample("chunk", shapes=[(100, 6)], outputs=2, dim=1, inverse=True),
    sample("chunk", shapes=[(1, 6, 3)], outputs=6, dim=1, free=True, inverse=True),
    sample("chunk", shapes=[(6, 0)], outputs=2, free=True, inverse=True),
    sample("chunk", shapes=[(0, 6)], outputs=2, free=True, inverse=True),
    sample("split", [[4, 1, 1]], [(6, 4)], free=True, inverse=True),
    sample("split", [[2, 4]], [(3, 6)], dim=1, free=True, inverse=True),
    sample("concat", shapes=[(2, 3), (2, 3)], free=True, inverse=True),
    sample("concat", shapes=[(2, 3), (4, 3), (1, 3)], free=True, inverse=True),
    sample("concat", shapes=[(2, 3), (2, 1)], dim=-1, free=True, inverse=True),
    sample("concat", shapes=[(50, 3), (50, 1)], dim=1, inverse=True),
    sample("concat", shapes=[(2, 3)], missing="zeros", free=True, inverse=True),
    sample("concat", shapes=[(0, 3), (2, 3)], free=True, inverse=True),
    sample("stack", shapes=[(2, 3), (2, 3)], free=True, inverse=True),
    sample("stack", shapes=[(2, 3), (2, 3)], dim=-1, free=True, inverse=True),
    sample("stack", shapes=[(), ()], dtype="int64", free=True, inverse=True),
    sample("unstack", shapes=[(3, 4)], free=True, inverse=True),
    sample("unstack", shapes=[(3, 4)], dim=1, free=True, inverse=True),
    sample("transpose", [0, 1], [MATRIX], inverse=True),
    sample("transpose", [0, 1], [(1, 6)], free=True, inverse=True),
    sample("permute", [2, 0, 1], [(2, 3, 4)], inverse=True),
    sample("permute", [[-1, 0]], [(1, 4)], free=True, inverse=True),
    sample("reshape", [6, -1], [MATRIX], free=True, inverse=True),
    sample("reshape", [[3, 8]], [MATRIX], free=True, inverse=True),
    sample("flatten", shapes=[MATRIX], free=True, inverse=True),
    sample("flatten", shapes=[CONV], start=1, free=True, inverse=True),
    sample("flatten", shapes=[()], free=True, inverse=True),
    sample("squeeze", [0], [(1, 4)], free=True, inverse=True),
    sample("squeeze", [-1], [(2, 4, 1)], free=True, inverse=True),
    sample("unsqueeze", [0], [(4,)], free=True, inverse=True),
    sample("unsqueeze", [-1], [(2, 4)], free=True, inverse=True),
    sample("slice", [1, 3], [MATRIX], free=True),
    sample("slice", [-2, None], [MATRIX], dim=1, free=True),
    sample("slice", [0, 4], [MATRIX], step=2, free=True),
    sample("select", [[3, 0, 0]], [MATRIX], free=True),
    sample("select", [[3, 0, 2, 1, 0]], [MATRIX], free=True, inverse=True),
    sample("reshape", [[]], [(1, 1)], free=True, inverse=True),
    sample("select", [[2, 0, 1]], [(8, 3)], dim=1, free=True, inverse=True),
    sample("select", [[2, 0, -2]], [(100, 3)], dim=1, inverse=True),
    sample("flip", shapes=[MATRIX], free=True, inverse=True),
    sample("flip", shapes=[(100, 3)], dim=-1, inverse=True),
    sample("pad", [6], [(5, 3)], inverse=True),
    sample("pad", [6], [(5, 3)], fill="mean", dim=1, inverse=True),
    sample("pad", [6], [(5, 3)], dtype="float16", fill="mean", inverse=True),
    sample("pad", [6], [(5,)], dtype="int32", fill=-3, inverse=True),
    sample("cast", [BF16], [MATRIX]),
    sample("cast", [DTYPES["float64"]], [MATRIX], inverse=True),
    sample("cast", [DTYPES["float32"]], [MATRIX], free=True, inverse=True),
    sample("cast", [DTYPES["int64"]], [MATRIX], dtype="bool", inverse=True),
    sample("scale", [0.3], [MATRIX]),
    sample("scale", [0.3], [MATRIX], dtype="bfloat16"),
    sample("scale", [2], [()], dtype="complex64"),
    sample("shift", [1], [MATRIX], dtype="bfloat16"),
    sample("exp", shapes=[MATRIX]),
    sample("exp", shapes=[MATRIX], dtype="float16"),
    sample("log", shapes=[MATRIX]),
    sample("clamp", shapes=[MATRIX], min=0.7, max=0.9),
    sample("clamp", [0], [MATRIX], dtype="int8"),
    sample("zeros", shapes=[MATRIX]),
    sample("zeros", [2, 3]),
    sample("ones", shapes=[MATRIX], dtype="float16"),
    sample("ones", [[4]]),
    sample("full", [0.5], [MATRIX]),
    Sample(OPS["full"].bind([3], {"dtype": DTYPES["uint8"]}), (MATRIX,), None, "float32", False, False),
    sample("full", [3, [2, 2]]),
    sample("mean", shapes=[MATRIX] * 3),
    sample("mean", shapes=[MATRIX] * 3, dtype="bfloat16"),
    sample("mean", shapes=[MATRIX] * 2, weights=[3, 1]),
    sample("mean", shapes=[()] * 2, dtype="int64"),
    sample("mean", shapes=[(3,)] * 2, dtype="bool"),
    sample("sum", shapes=[MATRIX, (1, 6)]),
    sample("sum", shapes=[()] * 2, dtype="int64"),
    sample("add", shapes=[MATRIX, (4, 1)]),
    sample("add", shapes=[MATRIX] * 3, dtype="int8"),
    sample("sub", shapes=[MATRIX, MATRIX], dtype="float16"),
    sample("mul", shapes=[MATRIX, MATRIX], dtype="complex128"),
    sample("matmul", shapes=[(4, 6), (6, 2), (2, 5)]),
    sample("matmul", shapes=[(3, 4, 6), (1, 6, 2)], dtype="bfloat16"),
    sample("matmul", shapes=[(4, 6), (6,)]),
    sample("rearrange", ["(h d two) e -> (h two d) e"], [(24, 3)], h=2, two=2, inverse=True),
    sample("rearrange", ["a b -> (a b)"], [MATRIX], free=True, inverse=True),
    sample("rearrange", ["... (a b) -> a ... b"], [(2, 3, 6)], a=2, inverse=True),
    sample("rearrange", ["a ... -> (... a)"], [(2, 3, 6)], inverse=True),
    sample("rearrange", ["a ... -> (a ...)"], [(2,)], free=True, inverse=True),
    sample("rearrange", ["a b -> b 1 a"], [MATRIX], inverse=True),
    sample("repeat", ["(g d) e -> (g r d) e"], [MATRIX], g=2, r=3),
    sample("repeat", ["a b -> a b 3"], [MATRIX]),
    sample("reduce", ["(g r) e -> g e", "mean"], [MATRIX], r=2),
    sample("reduce", ["(g 2) e -> g e", "sum"], [MATRIX], dtype="float16"),
    sample("reduce", ["... e -> e", "max"], [MATRIX], dtype="int32"),
    sample("reduce", ["a b -> a 1", "prod"], [MATRIX]),
    sample("resize", [7, 7], [CONV]),
    sample("resize", [4, 4], [CONV], dtype="bfloat16", antialias=True),
    sample("resize", [9], [MATRIX], mode="linear"),
    sample("resize", [3, 3, 3], [(2, 3, 5, 5)], mode="trilinear"),
    sample("resample_grid", [4, 5], [(1, 10, 8)]),
    sample("resample_grid", [4, 5], [(9, 8)], dtype="float16", prefix=0, dim=0, mode="bilinear"),
    sample("resample_grid", [3, 3], [(1, 10, 8)]),
    sample("resample_grid", [2, 7], [(1, 1 + 3 * 4, 8)], old_height=3),
    sample("resample_bias", [4, 4], [(25, 6)]),
    sample("resample_bias", [2, 5], [(49 + 3, 6)], dtype="bfloat16", suffix=3),
    sample("resample_bias", [4, 3], [(25, 6)], mode="bicubic"),
    sample("resample_bias", [3, 3], [(25, 6)]),
    sample("adapt_channels", [4], [CONV]),
    sample("adapt_channels", [1], [CONV]),
    sample("adapt_channels", [1], [CONV], dtype="float16", mode="mean"),
    sample("adapt_channels", [6], [CONV], mode="zeros"),
    sample("lora", [16], [(4, 6), (2, 6), (4, 2)]),
    sample("lora", [16], [(6, 4), (2, 6), (4, 2)], transpose=True, dtype="bfloat16"),
    sample("lora", [16], [CONV, (2, 3, 5, 5), (8, 2, 1, 1)]),
    sample("lora", [16], [(8, 3, 5), (2, 3, 5), (8, 2, 1)]),
    sample("lora", shapes=[(4, 6), (2, 6), (4, 2), ()], dtype="float16"),
    sample("lora", [16], [(4, 6), (2, 6), (4, 2)], rslora=True),
    sample("pick", [1], [(4, 6), (2, 6), (4, 2)], free=True),
    sample("pick", [-1], [(), (3,)], dtype="int64", free=True),
    sample("low_rank", [2], [MATRIX], 2),
    sample("low_rank", [2], [CONV], dtype="float16"),
    sample("fold_bn", shapes=[CONV, *[(8,)] * 4]),
    sample("fold_bn", shapes=[MATRIX, *[(4,)] * 5], dtype="bfloat16", eps=0.001),
    sample("fold_bn", shapes=[(3, 8, 2, 2), *[(8,)] * 5], transpose=True),
    sample("weight_norm", shapes=[(4, 6, 3), (4, 1, 1)]),
    sample("weight_norm", shapes=[MATRIX, (1, 6)], dim=-1, dtype="float16"),
    sample("weight_norm", shapes=[MATRIX, ()], dim=None),
]
