"""Laws of every operation over random arguments, shapes, dtypes and bits: what is planned is what comes.

Each operation is called with arguments that may not fit. Whatever is refused is refused as an `OpError`, by the shape
rule if it can be; the results have the planned shapes and dtypes; the inverse gives every bit back; and where bytes are
only rearranged, those of the ranges are those that torch would compute.
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from surgery.ops import OPS
from surgery.ops.arithmetic import spec_of, torch_dtype
from surgery.ops.base import Op, OpError
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec

#: ``--fuzz`` asks for more
often = settings(
    max_examples=max(60, settings.default.max_examples // 2), deadline=None, suppress_health_check=list(HealthCheck)
)

sizes = st.sampled_from([0, 1, 1, 2, 3, 4, 6])
shapes = st.lists(sizes, max_size=4).map(tuple)
dims = st.sampled_from([0, 0, 1, -1, -2, 2, 5])
few = st.lists(st.sampled_from([0, 1, 2, 3, -1]), min_size=1, max_size=4)
numbers = st.sampled_from([0, 1, 2, -1, 3, 255, 0.5, 1e30, 1e-9])
dtypes = st.sampled_from(list(DTYPES.values()))
patterns = [
    "a b -> b a",
    "a b -> (a b)",
    "(a two) b -> two a b",
    "... a -> a ...",
    "a ... -> (... a)",
    "a -> a 1",
    "->",
]
sums = ["a b -> a", "a b ->", "... a -> ...", "(a 2) b -> a b", "a b c -> b 1"]
modes = st.sampled_from(["nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"])
axes = st.sampled_from([{}, {"two": 2}, {"a": 2}, {"r": 2}])
dim_only = st.fixed_dictionaries({"dim": dims})
as_input = st.fixed_dictionaries({}, optional={"dtype": dtypes})


def call(*args: st.SearchStrategy, kwargs: st.SearchStrategy | None = None, **named: st.SearchStrategy):
    return st.tuples(st.tuples(*args), kwargs if kwargs is not None else st.fixed_dictionaries(named))


CALLS = {
    "adapt_channels": call(sizes, dim=dims, mode=st.sampled_from(["repeat", "mean", "zeros"])),
    "cast": call(dtypes),
    "chunk": call(kwargs=dim_only),
    "clamp": call(min=st.none() | numbers, max=st.none() | numbers),
    "concat": call(kwargs=dim_only),
    "flatten": call(start=dims, end=dims),
    "flip": call(kwargs=dim_only),
    "fold_bn": call(transpose=st.booleans()),
    "full": call(numbers, kwargs=as_input),
    "lora": call(transpose=st.booleans(), alpha=st.none() | st.just(16)),
    "low_rank": call(sizes),
    "mean": call(weights=st.none() | few),
    "ones": call(kwargs=as_input),
    "pad": call(sizes, dim=dims, fill=numbers | st.just("mean")),
    "permute": call(st.permutations([0, 1, -1]) | few),
    "pick": call(dims),
    "rearrange": call(st.sampled_from(patterns), kwargs=axes),
    "reduce": call(st.sampled_from(sums), st.sampled_from(["min", "max", "mean", "sum", "prod"])),
    "repeat": call(st.sampled_from([*patterns, "a -> a r", "... -> r ...", "a b -> (a r) (b 2)"]), kwargs=axes),
    "resample_bias": call(sizes, sizes, suffix=sizes, mode=st.sampled_from(["geometric", "bicubic"])),
    "resample_grid": call(sizes, sizes, prefix=sizes, dim=dims, old_height=st.none() | sizes),
    "reshape": call(few),
    "resize": call(few, mode=modes),
    "scale": call(numbers),
    "select": call(few, dim=dims),
    "shift": call(numbers),
    "slice": call(dims, st.none() | dims, dim=dims, step=sizes),
    "split": call(few, dim=dims),
    "squeeze": call(dims),
    "stack": call(kwargs=dim_only),
    "transpose": call(dims, dims),
    "unsqueeze": call(dims),
    "unstack": call(kwargs=dim_only),
    "weight_norm": call(dim=st.none() | dims),
    "zeros": call(kwargs=as_input),
}
PLAIN = {"add", "exp", "log", "matmul", "mul", "sub", "sum"}


def inputs_of(draw: st.DrawFn, name: str) -> tuple[Spec, ...]:
    """One shape for all, or shapes that often belong together."""
    shape, dtype = draw(shapes), draw(dtypes)
    if name == "lora":
        found = [(3, 4), (2, 4), (3, 2), ()][: draw(st.integers(3, 4))]
    elif name == "matmul":
        found = [(2, 3), (3, 2)]
    elif name == "resample_bias":
        found = [(9, 2)]
    elif name == "fold_bn":
        found = [shape, *[shape[:1]] * draw(st.integers(4, 5))]
    elif name == "weight_norm":
        found = [shape, draw(st.sampled_from([(), shape[:1] + (1,) * len(shape[1:])]))]
    elif OPS[name].arity in ("each", "split"):
        found = [shape]
    else:
        broadcast = st.tuples(*(st.sampled_from([size, size, 1]) for size in shape))
        found = [shape, *draw(st.lists(broadcast if name != "stack" else st.just(shape), max_size=2))]
    return tuple(Spec(shape, dtype) for shape in found)


def tensor_of(draw: st.DrawFn, spec: Spec) -> torch.Tensor:
    """Random bits, NaNs of every kind among them, or small numbers; sometimes not contiguous."""
    chance = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    dtype = torch_dtype(spec.dtype.name)
    if not spec.numel:
        return torch.empty(spec.shape, dtype=dtype)
    if spec.dtype.name == "bool" or draw(st.booleans()):
        made = torch.randint(2, spec.shape, generator=chance).to(dtype)
    else:
        raw = torch.randint(256, (spec.nbytes,), dtype=torch.uint8, generator=chance)
        made = raw.view(dtype).reshape(spec.shape)
    turned = made.ndim > 1 and spec.dtype.size in (4, 8) and spec.dtype.kind != "uint" and draw(st.booleans())
    return made.mT.contiguous().mT if turned else made


def raw(tensor: torch.Tensor) -> bytes:
    if not tensor.numel():
        return b""
    whole = tensor.resolve_conj().contiguous()
    return bytes(whole.as_strided((whole.numel(),), (1,)).view(torch.uint8).numpy())


def bound(draw: st.DrawFn, name: str) -> Op:
    args, kwargs = draw(CALLS[name]) if name in CALLS else ((), {})
    try:
        return OPS[name].bind(args, kwargs)
    except OpError:
        assume(False)
        raise


def test_every_operation_is_called() -> None:
    assert {*CALLS, *PLAIN} == set(OPS)


@pytest.mark.filterwarnings("ignore:ComplexHalf", "ignore:Casting complex")
@pytest.mark.parametrize("name", list(OPS))
@often
@given(st.data())
def test_what_is_planned_is_what_comes(name: str, data: st.DataObject) -> None:
    op = bound(data.draw, name)
    specs = inputs_of(data.draw, name)
    try:
        planned = op.infer(specs, data.draw(st.none() | st.integers(1, 3)))
    except OpError:
        return
    tensors = [tensor_of(data.draw, spec) for spec in specs]
    try:
        results = op.apply(list(tensors), len(planned))
    except OpError:
        return
    assert tuple(map(spec_of, results)) == planned
    contents = list(map(raw, results))
    the_same_by_ranges(op, specs, tensors, contents)
    inverse = op.inverse(specs, planned)
    if inverse is not None:
        assert inverse.infer(planned, len(specs)) == specs
        back = inverse.apply(results, len(specs))
        if name != "cast" or not any(t.isnan().any() for t in tensors if t.is_floating_point() or t.is_complex()):
            assert list(map(raw, back)) == list(map(raw, tensors))


def the_same_by_ranges(op: Op, specs: tuple[Spec, ...], tensors: list[torch.Tensor], contents: list[bytes]) -> None:
    file, stored = b"head", []
    for spec, tensor in zip(specs, tensors, strict=True):
        stored.append(Stored(spec, (ByteRange("file", len(file), spec.nbytes),)))
        file += raw(tensor)
    moved = op.rearrange(tuple(stored), len(contents))
    if moved is not None:
        assert [b"".join(file[r.offset : r.offset + r.length] for r in one.ranges) for one in moved] == contents
