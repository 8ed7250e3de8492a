"""Arrays: npz, npy and pickles of every protocol, against what numpy reads."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import numpy
import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.formats.nodes import scalar_value
from surgery.limits import limited
from surgery.tensors.expr import Held, Stored, Strided

CODES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1", "c16", "c8"]


def arrays():
    base = numpy.arange(24).reshape(2, 3, 4)
    found = {f"x_{code}": (base % 2 if code == "b1" else base).astype(code) for code in CODES}
    found |= {f"big_{code}": found[f"x_{code}"].astype(f">{code}") for code in ("f4", "i2", "c8")}
    found |= {
        "fortran": numpy.asfortranarray(found["x_f4"]),
        "zero_dim": numpy.array(3.5),
        "empty": numpy.zeros((0, 3), numpy.float32),
        "long": numpy.arange(70_000, dtype=numpy.float32),
    }
    return found


def expected(array):
    return torch.from_numpy(numpy.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).reshape(array.shape))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles(protocol, tmp_path, tensor, same):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": arrays(), "__author__": "someone"}, protocol))
    checkpoint = read(path)
    assert checkpoint.format == "pickle"
    state = choose(checkpoint)
    assert state.entry == ("model",)
    for key, array in arrays().items():
        assert same(tensor(state.tensors[key]), expected(array)), key
    in_file = protocol >= 3
    assert isinstance(state.tensors["long"], Stored if in_file else Held)
    assert isinstance(state.tensors["fortran"], Strided if in_file else Held)
    assert checkpoint.traits[state.tensors["long"]].form == "array"


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_npz(save, tmp_path, tensor, same):
    save(tmp_path / "a.npz", **{"t/" + key: array for key, array in arrays().items()})
    checkpoint = read(tmp_path / "a.npz")
    state = choose(checkpoint, separator="/")
    for key, array in arrays().items():
        assert same(tensor(state.tensors[f"t.{key}"]), expected(array)), key


def test_compressed_arrays_are_a_limit(tmp_path):
    numpy.savez_compressed(tmp_path / "a.npz", a=numpy.zeros(1_000_000))
    with limited({"inflated": 1000}), pytest.raises(SurgeryError, match="8000128 bytes of memory"):
        read(tmp_path / "a.npz")


def test_a_dict_saved_by_numpy(tmp_path, tensor, same):
    numpy.save(tmp_path / "a.npy", {"conv1": {"weights": numpy.ones((2, 2)), "biases": numpy.zeros(2)}})
    state = choose(read(tmp_path / "a.npy"))
    assert list(state.tensors) == ["weights", "biases"]
    assert same(tensor(state.tensors["weights"]), torch.ones(2, 2, dtype=torch.float64))


def test_one_array_alone_is_no_state_dict(tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.ones(3))
    with pytest.raises(SurgeryError, match=r"it holds one tensor, float64 \[3\], without a name"):
        choose(read(tmp_path / "a.npy"))


def test_a_damaged_array_is_found_when_it_is_read(tmp_path):
    numpy.savez(tmp_path / "a.npz", a=numpy.arange(100.0), b=numpy.ones(2))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[raw.find(numpy.float64(50.0).tobytes()) + 3] ^= 1
    (tmp_path / "a.npz").write_bytes(raw)
    state = surgery.load(_recipe(tmp_path, "a")).run
    with pytest.raises(SurgeryError, match="are damaged"):
        state()
    assert list(surgery.load(_recipe(tmp_path, "b")).run().state_dict) == ["b"]


def _recipe(folder, keep):
    path = folder / f"{keep}.yaml"
    path.write_text(f"source: {{checkpoint: a.npz}}\nsteps: [{{filter: {{keep: {keep}}}}}]\n")
    return path


@pytest.mark.parametrize("dtype", ["U3", "S3", "M8[s]", [("a", "f4")]])
def test_arrays_that_torch_does_not_have(dtype, tmp_path):
    for save in (numpy.savez, numpy.savez_compressed):
        save(tmp_path / "a.npz", a=numpy.zeros(2, dtype), b=numpy.ones(2))
        state = choose(read(tmp_path / "a.npz"))
        assert (list(state.tensors), list(state.extra)) == (["b"], ["a"])
    numpy.save(tmp_path / "a.npy", numpy.zeros(2, dtype))
    with pytest.raises(SurgeryError) as error:
        read(tmp_path / "a.npy")
    assert error.value.diagnostics[0].code == "unsupported-checkpoint"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": numpy.zeros(2, dtype), "b": numpy.ones(2)}, 4))
    assert list(choose(read(tmp_path / "a.pkl")).tensors) == ["b"]


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (2,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        b"{'descr': '<f4', 'fortran_order': 1, 'shape': (2,), }",
        b"[" * 50_000,
        b"",
    ],
)
def test_headers_are_matched_and_not_evaluated(header, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8))
    with pytest.raises(SurgeryError) as error:
        read(path)
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


@pytest.mark.parametrize("value", [numpy.float64(0.5), numpy.float32(0.25), numpy.int64(-3), numpy.bool_(True)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numbers_of_numpy(value, protocol, tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"best": value}, protocol))
    assert scalar_value(read(tmp_path / "a.pkl").tree["best"]) == value


def test_pickles_of_python_2(tmp_path, tensor, same):
    """Strings of Python 2 are bytes: as keys they are text, as data of an array they are where they stand."""
    data = numpy.arange(2, dtype="<f4").tobytes()
    raw = (
        b"\x80\x02}q\x00(U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + data
        + b"tbu."
    )
    (tmp_path / "a.pkl").write_bytes(raw)
    found = read(tmp_path / "a.pkl").tree
    assert [type(key) for key in found] == [str]
    assert isinstance(found["w"], Stored)
    assert same(tensor(found["w"]), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_torch_tensors(protocol, tmp_path, tensor, same):
    state = torch.nn.Linear(200, 200).state_dict()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(state, protocol))
    found = choose(read(tmp_path / "a.pkl"))
    assert all(same(tensor(found.tensors[key]), state[key]) for key in state)


def test_pickles_of_torch_tensors_as_text(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": torch.ones(2)}, 2))
    with pytest.raises(SurgeryError, match=r"write it with `torch\.save`") as error:
        read(tmp_path / "a.pkl")
    assert error.value.diagnostics[0].code == "unsupported-checkpoint"


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_compressed_array_is_in_memory_once_and_counts_in_the_plan(order, tmp_path):
    array = numpy.zeros((4096, 2048), numpy.float32, order=order)
    numpy.savez_compressed(tmp_path / "a.npz", a=array)
    read(tmp_path / "a.npz")  # what is imported is no part of it
    tracemalloc.start()
    try:
        plan = surgery.load({"source": {"checkpoint": str(tmp_path / "a.npz")}, "output": "b.safetensors"}).plan()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * array.nbytes
    assert plan.cost.peak >= array.nbytes
    given = surgery.load([]).plan(state_dict={"a": array}, output="b.safetensors")
    assert given.cost.peak <= plan.cost.peak - array.nbytes, "what the caller holds is the caller's"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 128, (1 << 20) - 127, 1 << 20, 3 << 20])
def test_compressed_arrays_of_any_length(size, tmp_path, tensor, same):
    noise = numpy.random.default_rng(0).integers(0, 256, size, dtype=numpy.uint8)
    numpy.savez_compressed(tmp_path / "a.npz", noise=noise, zeros=numpy.zeros(size, numpy.uint8))
    state = choose(read(tmp_path / "a.npz"))
    assert same(tensor(state.tensors["noise"]), torch.from_numpy(noise))
    assert same(tensor(state.tensors["zeros"]), torch.zeros(size, dtype=torch.uint8))


def test_big_endian_arrays_that_were_compressed_come_out_right(tmp_path):
    array = numpy.arange(6, dtype=">f4").reshape(2, 3)
    numpy.savez_compressed(tmp_path / "a.npz", c=array, f=numpy.asfortranarray(array))
    state = surgery.load({"source": {"checkpoint": str(tmp_path / "a.npz")}}).run().state_dict
    assert state["c"].tolist() == state["f"].tolist() == array.tolist()
