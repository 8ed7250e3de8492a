import io
import pickle
import zipfile
from collections import OrderedDict

import numpy
import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.formats.contents import Rest
from surgery.formats.entries import choose
from surgery.tensors.subject import Entry, Subject

FORMATS = pytest.mark.parametrize("form", ["torch", "torch-legacy"])
UNTYPED = {"uint16", "uint32", "uint64", "complex32"} | {
    f"float8_{kind}" for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
}


def load(path, **options):
    return torch.load(path, weights_only=True, **options)


def subject_of(path, entry=None):
    """A checkpoint as its source gives it."""
    found = read(path)
    state = choose(found, entry)
    rest = Rest(found.tree, state.entry, state.extra, state.metadata, found.traits)
    return Subject({key: Entry(tensor) for key, tensor in state.tensors.items()}, rest=rest)


@FORMATS
@pytest.mark.parametrize("source", ["held", "stored"])
def test_every_dtype_comes_back_bit_for_bit(form, source, request, all_dtypes, write, same):
    if form == "torch-legacy":
        all_dtypes = {key: t for key, t in all_dtypes.items() if key.split(".")[0] not in UNTYPED}
    subject = request.getfixturevalue(source)(all_dtypes)
    found = load(write(subject, "all.pt", format=form))
    assert type(found) is OrderedDict
    assert list(found) == list(all_dtypes)
    same(found, all_dtypes)


@pytest.mark.parametrize("dtype", sorted(UNTYPED))
def test_dtypes_that_came_after_the_old_format(dtype, held, write, make):
    with pytest.raises(SurgeryError, match=f"files from before torch 1.6 have no {dtype}, and `w` is of it"):
        write(held({"w": make(dtype, (2,))}), "old.pt", format="torch-legacy")


def test_mapped_loading(stored, write, make, same):
    tensors = {"a": make("float32", (100,)), "b": make("uint16", (7,)), "c": make("int8", (0,))}
    same(load(write(stored(tensors), "a.pt"), mmap=True), tensors)


def test_the_archive_is_sound_and_aligned(stored, write, make):
    tensors = {f"{i}": make("float32", (i,), i) for i in range(20)}
    path = write(stored(tensors), "a.pt")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.CRC or not info.file_size
            with path.open("rb") as file:
                file.seek(info.header_offset + 26)
                name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
            assert (info.header_offset + 30 + name + extra) % 64 == 0


@FORMATS
@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_arrays_of_numpy_become_tensors(form, save, tmp_path, write, same):
    arrays = {"w": numpy.arange(6.0).reshape(2, 3), "big": numpy.ones(2, ">i2"), "none": numpy.ones((2, 0), "f2")}
    save(tmp_path / "in.npz", **arrays)
    found = load(write(subject_of(tmp_path / "in.npz"), "a.pt", format=form))
    same(
        found,
        {"w": torch.arange(6.0).reshape(2, 3).double(), "big": torch.ones(2).short(), "none": torch.ones(2, 0).half()},
    )


@FORMATS
def test_ties_share_one_storage(form, held, write, make):
    tied = make("float32", (4, 4))
    found = load(write(held({"embed": tied, "head": tied, "own": tied.clone()}), "a.pt", format=form))
    assert found["embed"].data_ptr() == found["head"].data_ptr()
    assert found["own"].data_ptr() != found["head"].data_ptr()


@FORMATS
def test_state_metadata_and_extra_state(form, held, write, make):
    state = torch.nn.BatchNorm1d(2).state_dict()
    rest = Rest(None, extra={"_extra_state": {"step": 3}}, state_metadata=state._metadata)
    found = load(write(held(dict(state), rest=rest), "a.pt", format=form))
    assert found._metadata == state._metadata
    assert found["_extra_state"] == {"step": 3}


@FORMATS
def test_no_tensors(form, held, write):
    assert load(write(held({}), "a.pt", format=form)) == {}


def training_checkpoint():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    shared = [1, 2]
    return {
        "epoch": 3,
        "big": [2**31, -(2**31) - 1, 2**70, -1, 255, 256, 65536, -(2**200)],
        "loss": 0.25,
        "names": ("a", "b", "c", "d", "é"),
        "none": None,
        "flags": [True, False],
        "raw": b"\x00\xff",
        "complex": 1 + 2j,
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "shared": [shared, shared],
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=True),
        "trained": torch.ones(2, requires_grad=True),
        "rng": torch.get_rng_state(),
        5: OrderedDict(x=1),
    }


def equal(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)
        assert found.requires_grad == wanted.requires_grad
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            equal(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            equal(one, other)
    else:
        assert found == wanted


@FORMATS
def test_the_rest_of_a_checkpoint_is_kept(form, tmp_path, write):
    wanted = training_checkpoint()
    del wanted["complex"]  # weights_only refuses it
    torch.save(wanted, tmp_path / "in.tar")
    subject = subject_of(tmp_path / "in.tar", "model_state_dict")
    renamed = subject.replace(entries={f"net.{key}": entry for key, entry in subject.entries.items()})
    found = load(write(renamed, "out.tar", format=form, container="keep"))
    wanted["model_state_dict"] = OrderedDict((f"net.{k}", v) for k, v in wanted["model_state_dict"].items())
    equal(found, wanted)
    assert found["shared"][0] is found["shared"][1]
    assert found["model_state_dict"]._metadata


@FORMATS
@pytest.mark.parametrize("protocol", [2, 5])
def test_placeholders_are_written_as_they_stood(form, protocol, tmp_path, write):
    import argparse
    from collections import Counter, defaultdict
    from datetime import timedelta

    wanted = {
        "args": argparse.Namespace(lr=0.1, sizes=[1, 2]),
        "when": timedelta(days=3),
        "counter": Counter("abca"),
        "defaults": defaultdict(list, a=[1]),
        "set": {"b", "a"},
        "frozen": frozenset({1}),
        "array": numpy.arange(6, dtype="f4").reshape(2, 3),
        "number": numpy.float64(2.5),
        "complex": 1 + 2j,
        "bytes": bytearray(b"ab\xff"),
        "state_dict": {"w": torch.arange(3.0)},
    }
    torch.save(wanted, tmp_path / "in.pt", pickle_protocol=protocol)
    path = write(subject_of(tmp_path / "in.pt", "state_dict"), "out.pt", format=form, container="keep")
    with pytest.raises(pickle.UnpicklingError):
        load(path)
    found = torch.load(path, weights_only=False)
    for key in ("args", "when", "counter", "defaults", "set", "frozen", "number", "complex", "bytes"):
        assert found[key] == wanted[key], key
        assert type(found[key]) is type(wanted[key]), key
    assert (found["array"] == wanted["array"]).all()
    assert torch.equal(found["state_dict"]["w"], wanted["state_dict"]["w"])


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (None, {"epoch": 3, "model": {"w": 1}}),
        ("model", {"epoch": 3, "model": {"w": 1}}),
        ("net", {"epoch": 3, "net": {"w": 1}}),
        ("nets.a", {"epoch": 3, "nets": {"a": {"w": 1}}}),
    ],
)
def test_where_the_state_dict_goes(entry, wanted, tmp_path, write):
    torch.save({"epoch": 3, "model": {"w": torch.tensor(1)}}, tmp_path / "in.pt")
    assert load(write(subject_of(tmp_path / "in.pt"), "out.pt", container="keep", entry=entry)) == wanted


def test_a_pickled_module_in_a_container_gives_way_to_its_state_dict(tmp_path, write):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "net": model, "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    found = load(write(subject_of(tmp_path / "in.pt"), "out.pt", container="keep"))
    assert found["epoch"] == 3
    assert found["net"].keys() == {"weight", "bias"}
    assert torch.equal(found["net"]["weight"], model.weight)
    assert found["optimizer"]["state"].keys() == {0, 1}


def test_a_file_that_is_a_pickled_module_has_nothing_to_keep(tmp_path, write):
    torch.save(torch.nn.Linear(2, 1), tmp_path / "in.pt")
    with pytest.raises(SurgeryError, match="nothing-to-keep"):
        write(subject_of(tmp_path / "in.pt"), "out.pt", container="keep")


def test_a_new_container(held, write):
    path = write(held({"w": torch.tensor(1)}), "out.pt", container="keep", entry="model")
    assert load(path) == {"model": {"w": 1}}


def test_nothing_to_keep(held, write):
    with pytest.raises(SurgeryError, match="nothing-to-keep"):
        write(held({"w": torch.tensor(1)}), "out.pt", container="keep")


def test_metadata_has_no_place(held, write):
    with pytest.raises(SurgeryError, match="no place for `metadata`"):
        write(held({"w": torch.tensor(1)}), "out.pt", metadata={"a": "b"})


def test_names_that_would_break_out_of_the_pickle(tmp_path, write):
    evil = b"\x80\x04}(\x8c\x05model}\x8c\x01w" + b"K\x01s\x8c\x04evil\x8c\x09os\nsystem\x8c\x01x\x93u."
    from surgery.formats.contents import Placeholder

    rest = Rest({"model": {}, "evil": Placeholder("os\nsystem", "x")}, ("model",))
    with pytest.raises(SurgeryError, match="names a class that cannot be"):
        write(Subject({}, rest=rest), "out.pt", container="keep")
    assert evil


def test_a_whole_row_of_a_large_tensor_is_just_that_row(held, write):
    path = write(held({"row": torch.zeros(1000, 1000)[3]}), "row.pt")
    assert path.stat().st_size < 8000


def test_the_pickle_can_be_read_by_pickletools(held, write, make):
    import pickletools

    path = write(held({f"{i}": make("float32", (1,), i) for i in range(200)}), "a.pt")
    with zipfile.ZipFile(path) as archive:
        pickletools.dis(archive.read("archive/data.pkl"), io.StringIO())
