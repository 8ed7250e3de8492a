"""Large results computed part by part: the bytes, and the errors, of the results computed at once; little memory."""

import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from samples import SAMPLES, specs_of

from surgery.diagnostics import SurgeryError
from surgery.engine import series
from surgery.engine.evaluation import Failure, nodes
from surgery.engine.flow import contents, needs_torch
from surgery.engine.leaves import bytes_of_tensor
from surgery.engine.reading import SourceFiles
from surgery.engine.series import series_of
from surgery.engine.tasks import tasks_of
from surgery.engine.values import Values
from surgery.ops import OPS
from surgery.ops.arithmetic import spec_of, torch_dtype
from surgery.ops.base import OpError
from surgery.ops.finite import Finite
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Computed, Held
from surgery.tensors.spec import Spec


def apply(operation, *inputs, outputs=1):
    specs = operation.infer(tuple(i.spec for i in inputs), outputs)
    return [Computed(spec, operation, inputs, n, len(specs)) for n, spec in enumerate(specs)]


def op(name, *args, **kwargs):
    return OPS[name].bind(args, kwargs)


def content_of(expr):
    """The bytes of an expression computed at once, or the message of an error."""
    with SourceFiles() as files:
        try:
            if needs_torch(expr):
                return bytes(bytes_of_tensor(Values([expr], files).take(expr)))
            return b"".join(map(bytes, next(contents([expr], files))))
        except Failure as failure:
            return str(failure.error)


def small(bytes_of_part):
    """A bound on memory that takes each number of an expression for its size."""
    series.PART = bytes_of_part
    return lambda expr: sum(node.spec.nbytes for node in nodes([expr]))


@pytest.fixture(autouse=True)
def as_it_was():
    before = series.PART
    yield
    series.PART = before


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
@pytest.mark.parametrize("kind", ["stored", "held"])
def test_parts_are_the_whole(store, sample, kind):
    tensors = [torch.rand(spec.shape).add(0.5).to(torch_dtype(spec.dtype.name)) for spec in specs_of(sample)]
    leaves = [store.stored(tensor) if kind == "stored" else Held(spec_of(tensor), tensor) for tensor in tensors]
    for expr in apply(sample.op, *leaves, outputs=sample.outputs):
        # behind what keeps the order, as most things are
        for root in (expr, *(apply(op("concat"), expr, expr) if expr.spec.shape else ())):
            found = series_of(root, small(32))
            if found is not None:
                assert b"".join(content_of(part) for part in found.parts) == content_of(root)


#: by name, what can be said of a tensor of three dimensions
STEPS = {
    "transpose": lambda draw: op("transpose", *draw(st.sampled_from([(0, 1), (1, 2), (-1, -2), (0, 2)]))),
    "permute": lambda draw: op("permute", draw(st.permutations([0, 1, 2]))),
    "flip": lambda draw: op("flip", dim=draw(st.integers(-3, 2))),
    "cast": lambda draw: op("cast", DTYPES[draw(st.sampled_from(["float64", "bfloat16", "float32"]))]),
    "scale": lambda draw: op("scale", 0.5),
    "clamp": lambda draw: op("clamp", min=0.2, max=0.7),
    "slice": lambda draw: op("slice", 1, None, dim=draw(st.integers(-3, 2))),
    "select": lambda draw: op("select", [1, 0, 1], dim=draw(st.integers(-3, 2))),
    "pad": lambda draw: op("pad", 12, dim=draw(st.integers(-3, 2)), fill=draw(st.sampled_from([0, 1, "mean"]))),
    "rearrange": lambda draw: op(
        "rearrange", draw(st.sampled_from(["a b c -> a c b", "... c -> c ...", "a b c -> b a c"]))
    ),
    "repeat": lambda draw: op("repeat", draw(st.sampled_from(["a b c -> a (r b) c", "a b c -> (r a) b c"])), r=2),
}
JOINS = {
    "concat": lambda draw: op("concat", dim=draw(st.integers(-3, 2))),
    "mean": lambda draw: op("mean"),
    "add": lambda draw: op("add"),
}


@st.composite
def expressions(draw):
    """Leaves of one shape, each after the same steps, joined, and some steps on that."""
    sizes = draw(st.tuples(*[st.integers(2, 5)] * 3))
    chance = torch.Generator().manual_seed(0)
    tensors = [torch.rand(sizes, generator=chance) for _ in range(draw(st.integers(1, 4)))]
    exprs = [Held(spec_of(tensor), tensor if draw(st.booleans()) else tensor.numpy()) for tensor in tensors]
    names = draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=2))
    names += [draw(st.sampled_from(sorted(JOINS))), *draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=3))]
    for name in names:
        operation = (STEPS | JOINS)[name](draw)
        try:
            exprs = apply(operation, *exprs) if name in JOINS else [apply(operation, expr)[0] for expr in exprs]
        except OpError:
            continue
    return exprs[0]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(), st.sampled_from([16, 64, 300]))
def test_parts_of_any_pipeline_are_the_whole(expr, part):
    found = series_of(expr, small(part))
    if found is None:
        return
    before = expr
    for _ in found.stages:
        (before,) = before.inputs
    assert b"".join(content_of(one) for one in found.parts) == content_of(before)


def test_many_pipelines_have_parts():
    """The property above is about something."""
    tensors = [torch.rand(4, 3, 2) for _ in range(3)]
    exprs = [Held(spec_of(tensor), tensor) for tensor in tensors]
    (stacked,) = apply(op("stack"), *(apply(op("transpose", 0, 1), expr)[0] for expr in exprs))
    assert len(series_of(stacked, small(100)).parts) == 3
    (turned,) = apply(op("transpose", 1, 2), *apply(op("stack"), *exprs))
    assert len(series_of(turned, small(100)).parts) == 3
    (mean,) = apply(op("mean"), *exprs)
    assert len(series_of(mean, small(100)).parts) == 4
    (cast,) = apply(op("cast", DTYPES["float64"]), mean)
    found = series_of(cast, small(100))
    assert len(found.parts) == 4
    assert found.stages == (cast,)


def test_what_mixes_rows_is_computed_at_once():
    expr = Held(Spec((40, 30), DTYPES["float32"]), torch.rand(40, 30))
    for operation in (op("transpose", 0, 1), op("flip"), op("select", [1, 0]), op("pad", 50), op("resize", 7, 7)):
        assert series_of(apply(operation, expr)[0], small(100)) is None


def test_no_operation_is_done_twice():
    """What two parts need is computed once, and so they are not parted."""
    expr = Held(Spec((40, 30), DTYPES["float32"]), torch.rand(40, 30))
    halves = apply(op("chunk"), *apply(op("transpose", 0, 1), expr), outputs=2)
    assert series_of(apply(op("concat"), *reversed(halves))[0], small(100)) is None


def test_a_check_sees_the_places_of_the_whole(store, save):
    """Rows of a mean that are not finite are counted over all parts, and the first is told by its index."""
    series.PART = 200
    left, right = torch.rand(20, 5), torch.rand(20, 5)
    left[7, 3], left[15, 0], left[15, 1] = float("inf"), float("nan"), float("inf")
    (mean,) = apply(op("mean"), store.stored(left), store.stored(right))
    (checked,) = apply(Finite("a"), mean)
    (task,) = tasks_of([checked])
    assert len(task.series.parts) > 5
    with pytest.raises(SurgeryError, match=r"`a` is not finite: 3 of 100 values .* first at \[7, 3\] \(inf\)"):
        save({"a": checked})


def test_an_error_of_a_part_is_that_of_the_tensor(store, save):
    series.PART = 200
    big = torch.full((20, 5), 6e4).half()
    (total,) = apply(op("add"), store.stored(big), store.stored(big))
    with pytest.raises(SurgeryError, match=r"`a`: `add`: 120000.0 does not fit into float16"):
        save({"a": total})


def test_files_are_the_same_in_parts(store, save):
    """Also where a file has a checksum of each tensor, and sources have."""
    tensors = [torch.rand(30, 20) for _ in range(6)]
    stored = [store.stored(tensor, pieces=2) for tensor in tensors]
    (stacked,) = apply(op("stack"), *(apply(op("transpose", 0, 1), expr)[0] for expr in stored))
    (mean,) = apply(op("mean"), *stored)
    for name in ("a.safetensors", "a.pt"):
        series.PART = 16 << 20
        whole = save({"stacked": stacked, "mean": mean}, f"whole/{name}").read_bytes()
        series.PART = 3000
        assert all(task.series for task in tasks_of([stacked, mean]))
        assert save({"stacked": stacked, "mean": mean}, f"parts/{name}").read_bytes() == whole


PEAK = """
from surgery.cli.main import main
try: main()
except SystemExit: pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("steps", ["transpose(0, 1) | stack", "stack | transpose(1, 2)", "cast(bfloat16) | stack"])
def test_a_gather_of_a_hundred_holds_a_few(tmp_path, steps):
    """256 MB of experts become one tensor, in a process that never has a third of them."""
    from safetensors.numpy import save_file

    experts = {f"experts.{e}.w": numpy.full((512, 1280), e, "f4") for e in range(100)}
    save_file(experts, tmp_path / "in.safetensors")
    del experts
    step = f'convert: "experts.{{e:int}}.w -> experts.w via {steps}"'
    command = [sys.executable, "-c", PEAK, "apply", "in.safetensors", "out.safetensors", "-q", "-e", step]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert int(run.stdout.split()[-1]) < 100_000
    for path in Path(tmp_path).glob("*.safetensors"):
        path.unlink()
