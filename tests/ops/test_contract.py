"""What holds for every operation: plans are exact, inverses give every bit back, ranges are what would be computed."""

import subprocess
import sys

import pytest
import torch
from samples import SAMPLES, Sample, specs_of, tensors_of

from surgery.ops import OPS
from surgery.ops.arithmetic import spec_of, torch_dtype
from surgery.ops.base import Op, OpError
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)


def raw(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().flatten().view(torch.uint8).numpy()) if tensor.numel() else b""


def results_of(sample: Sample) -> list[torch.Tensor]:
    return sample.op.apply(tensors_of(sample), len(sample.op.infer(specs_of(sample), sample.outputs)))


def test_every_operation_has_a_sample() -> None:
    assert {sample.op.name for sample in SAMPLES} == set(OPS)


@pytest.mark.parametrize("name", list(OPS))
def test_names_examples_and_docs(name: str) -> None:
    op = OPS[name]
    assert op.name == name
    assert op.arity in ("each", "split", "join", "many")
    assert " -> " in op.example
    assert f"via {name}" in op.example
    assert ">>> " in (op.__doc__ or "")
    assert "Shapes" in (op.__doc__ or "")


@every_sample
def test_the_plan_is_exact(sample: Sample) -> None:
    planned = sample.op.infer(specs_of(sample), sample.outputs)
    assert tuple(map(spec_of, results_of(sample))) == planned


@every_sample
def test_inputs_are_never_changed(sample: Sample) -> None:
    inputs = tensors_of(sample)
    before = list(map(raw, inputs))
    sample.op.apply(inputs, len(sample.op.infer(specs_of(sample), sample.outputs)))
    assert list(map(raw, inputs)) == before


@every_sample
def test_the_inverse_gives_every_bit_back(sample: Sample) -> None:
    specs, inputs = specs_of(sample), tensors_of(sample)
    planned = sample.op.infer(specs, sample.outputs)
    inverse = sample.op.inverse(specs, planned)
    assert (inverse is not None) == sample.invertible
    if inverse is not None:
        assert inverse.infer(planned, len(specs)) == specs
    for undoing in (inverse, sample.op.inverse_anywhere()):
        if undoing is not None:
            back = undoing.apply(results_of(sample), len(specs))
            assert list(map(raw, back)) == list(map(raw, inputs))


@every_sample
def test_ranges_are_the_bytes_that_would_be_computed(sample: Sample, tmp_path) -> None:
    stored, content = [], b"head"
    for spec, tensor in zip(specs_of(sample), tensors_of(sample), strict=True):
        stored.append(Stored(spec, (ByteRange("file", len(content), spec.nbytes, crc=1),)))
        content += raw(tensor)
    (tmp_path / "file").write_bytes(content)
    planned = sample.op.infer(specs_of(sample), sample.outputs)
    rearranged = sample.op.rearrange(tuple(stored), len(planned))
    assert (rearranged is not None) == sample.free
    if rearranged is None:
        return
    assert tuple(result.spec for result in rearranged) == planned
    assert not {id(result) for result in rearranged} & {id(expr) for expr in stored}, "results are tied to nothing"
    whole = (tmp_path / "file").read_bytes()
    for result, tensor in zip(rearranged, results_of(sample), strict=True):
        assert b"".join(whole[r.offset : r.offset + r.length] for r in result.ranges) == raw(tensor)
        taken = {(r.offset, r.length) for expr in stored for r in expr.ranges}
        assert all(r.crc is None or (r.offset, r.length) in taken for r in result.ranges), "a cut range has no CRC"


@every_sample
def test_it_prints_as_a_call_that_binds_again(sample: Sample) -> None:
    text = str(sample.op)
    args, kwargs = arguments(text)
    assert OPS[text.partition("(")[0]].bind(args, kwargs) == sample.op


def arguments(text: str) -> tuple[tuple, dict]:
    if "(" not in text:
        return (), {}
    capture = {text.partition("(")[0]: lambda *args, **kwargs: (args, kwargs)}
    return eval(text, {"__builtins__": {}}, capture | DTYPES | {"True": True, "False": False, "None": None})


@every_sample
def test_it_says_so_when_the_right_side_names_another_number(sample: Sample) -> None:
    planned = sample.op.infer(specs_of(sample), sample.outputs)
    if sample.op.name != "chunk":
        with pytest.raises(OpError, match="the right side names 7"):
            sample.op.infer(specs_of(sample), 7)
        assert sample.op.infer(specs_of(sample), len(planned)) == planned


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].arity in ("each", "split")])
def test_one_tensor_means_one(name: str) -> None:
    sample = next(sample for sample in SAMPLES if sample.op.name == name)
    with pytest.raises(OpError, match=r"takes (one tensor|0 or 1 tensors), not 2"):
        sample.op.infer(specs_of(sample)[:1] * 2, sample.outputs)


MOVES = "chunk split concat stack unstack transpose permute reshape flatten squeeze unsqueeze slice select flip pad "
MOVES += "rearrange repeat zeros ones full"
SIMPLE = [next(s for s in SAMPLES if s.op.name == name and s.dtype == "float32") for name in MOVES.split()]


@pytest.mark.parametrize("sample", SIMPLE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_only_moves_bytes_takes_every_dtype(sample: Sample, dtype: str) -> None:
    values = {"pad": 1, "full": 1}
    op: Op = sample.op
    if op.name in values:
        op = OPS[op.name].bind((6 if op.name == "pad" else 1,), {"fill": 1} if op.name == "pad" else {})
    if dtype == "float8_e8m0fnu" and op.name == "zeros":
        pytest.skip("it has no zero")
    specs = tuple(Spec(shape, DTYPES[dtype]) for shape in sample.shapes)
    tensors = [torch.ones(spec.shape).to(torch_dtype(dtype)) for spec in specs]
    planned = op.infer(specs, sample.outputs)
    assert tuple(map(spec_of, op.apply(tensors, len(planned)))) == planned


def test_no_operation_imports_torch_to_plan() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from samples import SAMPLES, specs_of\n"
        "for sample in SAMPLES: sample.op.infer(specs_of(sample), sample.outputs)\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(__import__("pathlib").Path(__file__).parent)], check=True)
