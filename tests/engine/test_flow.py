"""What is computed without torch: the same bytes, and the same errors, as torch's; no more in memory than is stated."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import numpy
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from samples import SAMPLES, specs_of

from surgery.diagnostics import SurgeryError
from surgery.engine import tiles
from surgery.engine.evaluate import materialise
from surgery.engine.evaluation import Failure
from surgery.engine.flow import contents, needs_torch, way_of
from surgery.engine.memory import memory_of_flows
from surgery.engine.reading import SourceFiles
from surgery.ops import OPS
from surgery.ops.arithmetic import spec_of, torch_dtype
from surgery.ops.finite import Finite
from surgery.ops.ways import Elementwise
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Computed, Held, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry

#: what needs no torch, whatever the dtype
MOVES = ["chunk", "concat", "flatten", "flip", "permute", "rearrange", "repeat", "reshape"]
MOVES += ["select", "slice", "split", "squeeze", "stack", "transpose", "unsqueeze", "unstack"]
NO_TORCH = {*MOVES, "cast", "full", "ones", "pad", "pick", "zeros"}


def apply(operation, *inputs, outputs=1):
    specs = operation.infer(tuple(i.spec for i in inputs), outputs)
    return [Computed(spec, operation, inputs, n, len(specs)) for n, spec in enumerate(specs)]


def op(name, *args, **kwargs):
    return OPS[name].bind(args, kwargs)


def flowing(*exprs):
    """The bytes of expressions."""
    assert not any(map(needs_torch, exprs))
    with SourceFiles() as files:
        return [b"".join(map(bytes, chunks)) for chunks in contents(exprs, files)]


def any_bits(spec, seed=0):
    """A tensor of random bits."""
    data = numpy.random.default_rng(seed).integers(0, 2 if spec.dtype.name == "bool" else 256, spec.nbytes, "u1")
    return torch.from_numpy(data).view(torch_dtype(spec.dtype.name)).view(spec.shape) if spec.numel else empty(spec)


def empty(spec):
    return torch.empty(spec.shape, dtype=torch_dtype(spec.dtype.name))


def sample_id(sample):
    return str(sample)


def with_ways(sample):
    specs = specs_of(sample)
    outputs = len(sample.op.infer(specs, sample.outputs))
    return sample.op.without_torch(specs, outputs) is not None


WAYS = [sample for sample in SAMPLES if with_ways(sample)]


def test_which_operations_need_no_torch():
    assert {sample.op.name for sample in WAYS} == NO_TORCH


LEAVES = {
    "stored": lambda store, tensor: store.stored(tensor),
    "pieces": lambda store, tensor: store.stored(tensor, pieces=3),
    "strided": lambda store, tensor: store.strided(tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor),
    "foreign": lambda store, tensor: store.strided(tensor, big_endian=True),
    "held": lambda store, tensor: Held(spec_of(tensor), tensor.numpy()),
}


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("sample", WAYS, ids=sample_id)
def test_every_operation_gives_the_bytes_that_torch_gives(store, bits, sample, leaf):
    specs = specs_of(sample)
    if leaf == "held" and any(spec.dtype.name == "bfloat16" for spec in specs):
        pytest.skip("numpy holds no such array")
    tensors = [torch.rand(spec.shape).add(0.5).to(torch_dtype(spec.dtype.name)) for spec in specs]
    inputs = [LEAVES[leaf](store, tensor) for tensor in tensors]
    exprs = apply(sample.op, *inputs, outputs=sample.outputs)
    wanted = sample.op.apply(tensors, len(exprs))
    assert flowing(*exprs) == [bits(tensor) for tensor in wanted]
    # and each alone, and as the input of what moves it, and of what does not
    for expr, tensor in zip(exprs, wanted, strict=True):
        assert flowing(expr) == [bits(tensor)]
        if tensor.ndim:
            assert flowing(apply(op("flip", -1), expr)[0]) == [bits(tensor.flip(-1))]
        assert flowing(apply(op("reshape", -1), expr)[0] if tensor.numel() else expr) == [bits(tensor)]
        assert flowing(apply(op("cast", DTYPES["float64"]), expr)[0]) == [bits(tensor.double())]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_moves_elements_takes_every_dtype(store, bits, dtype):
    for sample in (next(s for s in SAMPLES if s.op.name == name) for name in MOVES):
        specs = [Spec(spec.shape, DTYPES[dtype]) for spec in specs_of(sample)]
        tensors = [any_bits(spec, number) for number, spec in enumerate(specs)]
        exprs = apply(sample.op, *map(store.stored, tensors), outputs=sample.outputs)
        plain = [tensor.view(torch.uint8) if tensor.element_size() == 1 else tensor for tensor in tensors]
        if dtype == "complex32":
            plain = [tensor.view(torch.int32) for tensor in tensors]
        wanted = sample.op.apply(plain, len(exprs))
        assert flowing(*exprs) == [bits(tensor) for tensor in wanted], sample


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0, 1, 3])
@pytest.mark.parametrize("name", ["full", "pad"])
def test_constants_of_every_dtype(store, bits, name, value, dtype):
    if dtype == "float8_e8m0fnu" or (dtype == "bool" and value == 3):
        pytest.skip("it has no such value")
    spec = Spec((3, 2), DTYPES[dtype])
    operation = op("full", value) if name == "full" else op("pad", 5, fill=value)
    (expr,) = apply(operation, store.stored(any_bits(spec)))
    if not needs_torch(expr):
        assert flowing(expr) == [bits(operation.apply([any_bits(spec)], 1)[0])]
    assert needs_torch(expr) == (value != 0 and (dtype.startswith("float8") or dtype.startswith("complex")))


def test_fractions_that_are_rounded(store, bits):
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        for operation in (op("full", 0.1), op("pad", 5, fill=0.1)):
            tensor = any_bits(Spec((3, 2), DTYPES[dtype]))
            (expr,) = apply(operation, store.stored(tensor))
            assert flowing(expr) == [bits(operation.apply([tensor], 1)[0])]


def test_a_scalar_and_nothing_at_all(store, bits):
    scalar, nothing = torch.tensor(1.5), torch.empty(3, 0)
    (cast,) = apply(op("cast", DTYPES["bfloat16"]), store.stored(scalar))
    (many,) = apply(op("repeat", " -> n", n=3), store.stored(scalar))
    (turned,) = apply(op("transpose", 0, 1), store.stored(nothing))
    (none,) = apply(op("cast", DTYPES["int8"]), turned)
    assert flowing(cast, many, turned, none) == [bits(scalar.bfloat16()), bits(torch.full((3,), 1.5)), b"", b""]


# the same leaf, the same operation, long chains


def counted(monkeypatch):
    read = []
    real = os.preadv

    def preadv(*arguments):
        read.append(real(*arguments))
        return read[-1]

    monkeypatch.setattr(os, "preadv", preadv)
    return read


def test_what_several_results_share_is_read_once(store, bits, monkeypatch):
    tensor = torch.randn(40, 30)
    thirds = apply(op("chunk", 1), store.stored(tensor), outputs=3)
    turned = [apply(op("transpose", 0, 1), third)[0] for third in thirds]
    read = counted(monkeypatch)
    assert flowing(*thirds, *turned) == [*map(bits, tensor.chunk(3, 1)), *(bits(t.t()) for t in tensor.chunk(3, 1))]
    assert sum(read) == tensor.nbytes


def test_what_is_elementwise_holds_no_tensor(store, bits):
    tensor = torch.randn(1 << 20)
    (half,) = apply(op("cast", DTYPES["float16"]), store.stored(tensor, pieces=7))
    (back,) = apply(op("cast", DTYPES["float64"]), half)
    assert flowing(half, back) == [bits(tensor.half()), bits(tensor.half().double())]
    large, huge = (Stored(Spec((n,), DTYPES["float32"]), (ByteRange("a", 0, 4 * n),)) for n in (1 << 24, 1 << 34))
    bounds = [memory_of_flows(apply(op("cast", DTYPES["float16"]), stored)) for stored in (large, huge)]
    assert bounds[0] == bounds[1] < 16 << 20


def test_long_chains(store, bits):
    tensor = torch.randn(5, 4)
    expr = store.stored(tensor)
    for number in range(3000):
        name = ("float64", "float32")[number % 2]
        expr = apply(op("cast", DTYPES[name]), expr)[0]
    assert flowing(expr) == [bits(tensor)]
    for _ in range(3001):
        expr = apply(op("transpose", 0, 1), expr)[0]
    assert flowing(expr) == [bits(tensor.t())]


# mistakes


def failing(operation, expr):
    """What an operation says by torch, and without."""
    (made,) = apply(operation, expr)
    with pytest.raises(SurgeryError) as by_torch:
        materialise({"a": Entry(made)})
    with pytest.raises((Failure, SurgeryError)) as plain:
        flowing(made)
    return by_torch.value.diagnostics[0].message.removeprefix("`a`: "), str(plain.value)


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        ("float32", "float16", 65520.0),
        ("float32", "bfloat16", -3.4e38),
        ("float64", "float32", 1e39),
        ("int64", "float16", 70000),
        ("float32", "int8", 128.0),
        ("float32", "int8", 0.5),
        ("float16", "int32", float("inf")),
        ("bfloat16", "uint8", float("nan")),
        ("int32", "uint16", -1),
        ("float64", "bool", 2.0),
    ],
)
def test_values_that_do_not_fit_are_refused_in_the_same_words(store, source, target, value):
    values = torch.zeros(300_000, dtype=torch_dtype(source))
    values[200_000], values[299_000] = value, 1
    by_torch, plain = failing(op("cast", DTYPES[target]), store.stored(values))
    assert by_torch == plain


def test_a_fraction_comes_before_a_number_that_is_too_large(store):
    values = torch.zeros(300_000)
    values[0], values[299_999], values[150_000] = 1e10, 0.5, -1e10
    by_torch, plain = failing(op("cast", DTYPES["int8"]), store.stored(values))
    assert by_torch == plain
    values[299_999] = 0
    by_torch, plain = failing(op("cast", DTYPES["int8"]), store.stored(values))
    assert by_torch == plain
    assert "-10000000000.0 does not fit" in plain


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_what_is_not_finite_is_found(store, dtype, value):
    values = torch.zeros(3, 100, 1000, dtype=torch_dtype(dtype))
    (expr,) = apply(Finite("w"), store.stored(values))
    assert b"".join(flowing(expr)) == bytes(values.nbytes)
    values[1, 30, 7], values[2, 99, 999] = value, float("inf")
    (expr,) = apply(Finite("w"), store.stored(values))
    with pytest.raises(SurgeryError) as by_torch:
        materialise({"a": Entry(expr)})
    with pytest.raises(SurgeryError) as plain:
        flowing(expr)
    assert str(plain.value) == str(by_torch.value)
    assert "[1, 30, 7]" in str(plain.value)


def test_damage_is_found_while_it_flows(store):
    expr = store.stored(torch.randn(1000), pieces=2)
    with open(expr.ranges[1].path, "r+b") as file:
        file.seek(8)
        file.write(b"!")
    for operation in (op("cast", DTYPES["bfloat16"]), op("reshape", 10, 100), op("flip", 0)):
        with pytest.raises(SurgeryError, match="damaged"):
            flowing(*apply(operation, expr))


# copies


@st.composite
def views(draw):
    """An array, and a view of it: permuted, cut, reversed, repeated."""
    shape = draw(st.lists(st.integers(0, 40), min_size=0, max_size=4))
    if numpy.prod(shape) > 50_000:
        shape = shape[:2]
    array = numpy.arange(numpy.prod(shape), dtype=draw(st.sampled_from(["u1", "u2", "u4", "u8", "c16"]))).reshape(shape)
    view = array.transpose(draw(st.permutations(range(len(shape)))))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1, 3])) for _ in shape]
    view = view[tuple(slice(None, None, step) for step in steps)]
    if draw(st.booleans()):
        view = numpy.broadcast_to(view, (3, *view.shape))
    return view


@pytest.fixture
def small_tiles(monkeypatch):
    for name, value in {"_TILE": 8, "_SMALL": 0, "_NARROW": 2, "STRETCH": 512}.items():
        monkeypatch.setattr(tiles, name, value)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(views(), st.integers(1, 5000))
def test_arrays_of_any_strides_are_put_in_order(small_tiles, view, room):
    ordered = numpy.empty(view.shape, view.dtype)
    tiles.copy(ordered, view)
    assert numpy.array_equal(ordered, view)
    back = numpy.empty(view.shape[::-1], view.dtype).transpose()
    tiles.copy(back, ordered)
    assert numpy.array_equal(back, view)
    memory = numpy.empty(tiles.stretch_of(view.nbytes), "u1")
    blocks = [block.copy() for block in tiles.blocks_of(view, memory)]
    assert all(block.ndim == 1 for block in blocks)
    assert b"".join(block.tobytes() for block in blocks) == ordered.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "c16"])
@pytest.mark.parametrize("shape", [(300, 1030), (1030, 300), (3, 300, 500), (70_000, 9), (9, 70_000)])
def test_large_transpositions(shape, dtype):
    array = numpy.arange(numpy.prod(shape)).astype(dtype).reshape(shape)
    for order in ((*range(len(shape) - 2), -1, -2), tuple(range(len(shape)))[::-1]):
        view = array.transpose(order)
        blocks = tiles.blocks_of(view, numpy.empty(tiles.stretch_of(view.nbytes), "u1"))
        assert b"".join(block.tobytes() for block in blocks) == view.tobytes()


# whole processes


def test_neither_planning_nor_running_imports_torch(store, bits, tmp_path):
    tensor = torch.randn(64, 48)
    from safetensors.torch import load_file, save_file

    save_file({"w": tensor, "q": tensor * 2, "k": tensor * 3}, tmp_path / "a.safetensors")
    (tmp_path / "recipe.yaml").write_text(
        """
source: {checkpoint: a.safetensors}
steps:
  - convert: |
      w -> w via rearrange("(a b) c -> (b a) c", a=4) | transpose(0, 1)
      [q, k] -> qk via concat(dim=1)
  - cast: "** -> bfloat16"
output: b.safetensors
"""
    )
    code = (
        "import sys, surgery\n"
        "plan = surgery.load('recipe.yaml').plan()\n"
        "assert 'numpy' not in sys.modules\n"
        "plan.execute()\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = load_file(tmp_path / "b.safetensors")
    wanted = tensor.view(4, 16, 48).transpose(0, 1).reshape(64, 48).t().bfloat16()
    assert torch.equal(found["w"], wanted)
    assert torch.equal(found["qk"], torch.cat([tensor * 2, tensor * 3], 1).bfloat16())


def test_one_operation_that_needs_torch_takes_all_below_along(store):
    (cast,) = apply(op("cast", DTYPES["bfloat16"]), store.stored(torch.ones(2)))
    assert isinstance(way_of(cast), Elementwise)
    assert needs_torch(apply(op("scale", 0.5), cast)[0])
    assert not needs_torch(cast)
    assert needs_torch(apply(op("cast", DTYPES["float8_e5m2"]), cast)[0])
