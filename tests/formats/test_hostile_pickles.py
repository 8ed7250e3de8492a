"""Pickles written to do harm: nothing runs, nothing grows, each ends in one error or in data."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import Placeholder, read
from surgery.formats.archive import read_archive
from surgery.formats.entries import candidates, choose
from surgery.formats.file import open_file
from surgery.limits import limited

CANARY = "canary-that-code-would-make"


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Puts a pickle into a file of each kind; the test fails if the canary was made."""
    monkeypatch.chdir(tmp_path)

    def pack(raw, kind="zip", records=()):
        path = tmp_path / f"file-{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a/data.pkl", raw)
                for name, content in records:
                    archive.writestr(f"a/data/{name}", content)
        elif kind == "legacy":
            from surgery.formats.torch_legacy import MAGIC

            start = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
            path.write_bytes(start + raw + pickle.dumps([], 2))
        else:
            path.write_bytes(raw)
        return path

    yield pack
    assert not os.path.exists(tmp_path / CANARY)


class Runs:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize(
    "function",
    [
        (os.system, f"touch {CANARY}"),
        (exec, f"open({CANARY!r}, 'w')"),
        (open, CANARY, "w"),
        (getattr, "x", "upper"),
        (__import__, "antigravity"),
    ],
    ids=lambda call: call[0].__name__,
)
def test_no_function_is_called(kind, function, pack):
    found = read(pack(pickle.dumps({"x": Runs(*function)}, 2), kind)).tree["x"]
    assert isinstance(found, Placeholder)
    assert found.args == tuple(function[1:])


def test_the_result_of_one_call_is_not_called(pack):
    raw = b"c__builtin__\ngetattr\n(Vobject\nVx\ntR(Vtouch\ntR."
    with pytest.raises(SurgeryError, match="something is called that is neither a class nor a function"):
        read(pack(b"\x80\x02" + raw))


def test_a_class_within_a_class_is_a_name(pack):
    """Before protocol 4 it is got by `getattr`, here and in the file that is written."""
    raw = b"c__builtin__\ngetattr\n(c__builtin__\nobject\nVx\ntR(Vtouch\ntR."
    found = read(pack(b"\x80\x02" + raw)).tree
    assert (found.module, found.name, found.args) == ("__builtin__", "object.x", ("touch",))


@pytest.mark.parametrize("name", ["torch", "collections", "surgery.formats.detect"])
def test_the_state_of_a_class_stays_with_its_name(name, pack):
    """BUILD on a named class sets attributes of the real class in Python's own unpickler."""
    raw = b"\x80\x02c" + name.encode() + b"\nOrderedDict\nq\x00}(Vkeys\nK\x01ub."
    assert isinstance(read(pack(raw)).tree, Placeholder)
    assert callable(dict.keys)
    assert read(pack(pickle.dumps({}, 2), "pickle")).tree == {}


def test_dotted_names_walk_nowhere(pack):
    raw = b"\x80\x04\x8c\x08builtins\x8c\x0dopen.__call__\x93\x8c\x07canary!\x85R."
    found = read(pack(raw)).tree
    assert (found.module, found.name) == ("builtins", "open.__call__")


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"\x97", b"\x98"])
def test_extensions_and_buffers_are_refused(opcode, pack):
    with pytest.raises(SurgeryError, match="no opcode"):
        read(pack(b"\x80\x02" + opcode + b"."))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"N(.", "left over"),
        (b"NN.", "left over"),
        (b".", "left over"),
        (b"K", "cut off"),
        (b"", "cut off"),
        (b"X\xff\xff\xff\xffabc.", "cut off"),
        (b"B\xff\xff\xff\x7fabc.", "cut off"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.", "cut off"),
        (b"T\xff\xff\xff\xffabc.", "negative"),
        (b"\x8b\xff\xff\xff\x7fabc.", "an integer of 2147483647 bytes"),
        (b"Vabc", "cut off"),
        (b"h\x05.", "damaged"),
        (b"0.", "damaged"),
        (b"K\x01K\x02R.", "neither a class nor a function"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "damaged"),
        (b"K\x01K\x02a.", "items are added to something that has none"),
        (b"}]K\x01s.", "cannot be one"),
        (b"}K\x01(u.", "damaged|items are added|left over"),
        (b"L" + b"9" * 5000 + b"L\n.", "damaged"),
        (b"I1_0x\n.", "damaged"),
        (b"\x80\x09.", "protocol 9"),
        (b"N.trailing", "bytes follow"),
    ],
)
def test_broken_pickles(raw, words, pack):
    with pytest.raises(SurgeryError, match=words) as error:
        read(pack(b"\x80\x02" + raw, "zip"))
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


def test_a_memo_index_costs_nothing(pack):
    """In CPython's unpickler the memo is an array: these eight bytes would take 32 GB."""
    assert read(pack(b"\x80\x02Nr\xff\xff\xff\xff.")).tree is None


def test_a_key_whose_hash_would_overflow_the_stack(pack):
    raw = b"\x80\x02})" + b"\x85" * 200_000 + b"Ns."
    with pytest.raises(SurgeryError, match="a key that cannot be one"):
        read(pack(raw))


def test_a_key_whose_hash_would_take_for_ever(pack):
    raw = b"\x80\x02})" + b"2\x86" * 60 + b"Ns."
    with pytest.raises(SurgeryError, match="a key that cannot be one"):
        read(pack(raw))


def test_depth_and_sharing_do_not_hang_whoever_walks_the_tree(pack):
    deep = b"\x80\x02" + b"}Va\n" * 50_000 + b"N" + b"s" * 50_000 + b"."
    assert candidates(read(pack(deep)).tree) == []
    with pytest.raises(SurgeryError, match="no state dict"):
        choose(read(pack(_laughs())))


def _laughs():
    """A list of two of the list before it, sixty times."""
    raw = io.BytesIO()
    pickler = pickle.Pickler(raw, 2)
    thing = []
    for _ in range(60):
        thing = [thing, thing]
    pickler.dump(thing)
    return raw.getvalue()


def test_a_container_that_holds_itself(pack):
    loop = {"w": 1}
    loop["me"] = loop
    with pytest.raises(SurgeryError, match="no state dict"):
        choose(read(pack(pickle.dumps(loop, 2))))


def test_many_small_appends_to_an_object_are_linear(pack):
    raw = b"\x80\x02cx\ny\n)R" + b"Na" * 300_000 + b"."
    assert len(read(pack(raw)).tree.items) == 300_000


def test_a_pickle_beyond_the_limit(pack):
    path = pack(pickle.dumps(["x" * 1000] * 1 + [str(i) for i in range(100_000)], 2), "pickle")
    with limited({"pickle": 1000}), pytest.raises(SurgeryError, match="longer than the limit"):
        read(path)


# tensors


def tensor_pickle(numel=4, offset=0, size=(4,), stride=(1,), storage=b"FloatStorage"):
    def ints(values):
        return b"(" + b"".join(b"L%dL\n" % value for value in values) + b"t"

    return b"".join(
        [
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\n" + storage + b"\nV0\nVcpu\n",
            b"L%dL\ntQL%dL\n" % (numel, offset),
            ints(size) + ints(stride) + b"I00\nNtR.",
        ]
    )


def test_the_pickle_of_these_tests_is_right(pack):
    assert read(pack(tensor_pickle(), records=[("0", bytes(16))])).tree.spec.shape == (4,)


@pytest.mark.parametrize(
    ("changes", "content", "words"),
    [
        ({}, bytes(12), "16 are declared, and 12 are there"),
        ({}, bytes(20), "16 are declared, and 20 are there"),
        ({"numel": 3}, bytes(16), "12 are declared, and 16 are there"),
        ({"offset": 1}, bytes(16), "beyond its storage"),
        ({"size": (5,)}, bytes(16), "beyond its storage"),
        ({"stride": (2,)}, bytes(16), "beyond its storage"),
        ({"size": (2, 2), "stride": (3, 1)}, bytes(16), "beyond its storage"),
        ({"offset": -1}, bytes(16), "no numbers that can be"),
        ({"size": (-1,)}, bytes(16), "no numbers that can be"),
        ({"stride": (-1,)}, bytes(16), "no numbers that can be"),
        ({"size": (1 << 70,)}, bytes(16), "no numbers that can be"),
        ({"size": (4, 1)}, bytes(16), "shape and strides do not agree"),
        ({"size": (1,) * 100, "stride": (1,) * 100}, bytes(16), "100 dimensions"),
        ({"storage": b"NoStorage"}, bytes(16), "no storage of the type"),
        ({"numel": -4}, bytes(16), "cannot be"),
    ],
)
def test_tensors_that_cannot_be(changes, content, words, pack):
    with pytest.raises(SurgeryError, match=words) as error:
        read(pack(tensor_pickle(**changes), records=[("0", content)]))
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


def test_a_tensor_of_terabytes_is_a_limit(pack):
    raw = tensor_pickle(size=(1 << 40, 4), stride=(0, 1))
    with pytest.raises(SurgeryError, match=r"repeats the elements of 16 B: 17\.6 TB") as error:
        read(pack(raw, records=[("0", bytes(16))]))
    assert error.value.diagnostics[0].code == "too-large"


def test_an_absent_record(pack):
    with pytest.raises(SurgeryError, match="`data/0`, with the bytes of a tensor, is absent"):
        read(pack(tensor_pickle()))


def test_legacy_files_without_their_storages(pack):
    raw = tensor_pickle().replace(b"L4L\ntQ", b"L4L\nNtQ")
    with pytest.raises(SurgeryError, match="whatever was in memory"):
        read(pack(raw, "legacy"))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_uninitialised_memory(kind, pack):
    with pytest.raises(SurgeryError, match="arbitrary memory"):
        read(pack(b"\x80\x02ctorch\nTensor\n(M\xa0\x0ftR.", kind))


def test_a_storage_with_two_sizes(pack):
    one = tensor_pickle()[2:-1]
    two = tensor_pickle(numel=2, size=(2,))[2:-1]
    with pytest.raises(SurgeryError, match="named with two types or sizes"):
        read(pack(b"\x80\x02" + one + two + b"\x86.", records=[("0", bytes(16))]))


# archives


def damage(path, change):
    raw = bytearray(path.read_bytes())
    change(raw)
    path.write_bytes(raw)
    return path


@pytest.fixture
def zipped(tmp_path):
    torch.save({"a": torch.arange(4.0)}, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def test_two_entries_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(1, 2))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/data.pkl", pickle.dumps(2, 2))
    with pytest.raises(SurgeryError, match=r"two entries are named `a/data\.pkl`"):
        read(tmp_path / "a")


def test_two_checkpoints_in_one_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(1, 2))
        archive.writestr("b/data.pkl", pickle.dumps(2, 2))
    with pytest.raises(SurgeryError, match="several checkpoints"):
        read(tmp_path / "a")


def test_compressed_tensors_are_refused_and_a_compressed_pickle_is_read(tmp_path):
    for kind, records in (("pickle", False), ("all", True)):
        with zipfile.ZipFile(tmp_path / kind, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", tensor_pickle())
            archive.writestr("a/data/0", bytes(16), zipfile.ZIP_DEFLATED if records else zipfile.ZIP_STORED)
    assert read(tmp_path / "pickle").tree.spec.numel == 4
    with pytest.raises(SurgeryError, match="`a/data/0` is compressed") as error:
        read(tmp_path / "all")
    assert error.value.diagnostics[0].code == "unsupported-checkpoint"


def test_a_zip_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(50_000_000))
    with limited({"pickle": 1_000_000}), pytest.raises(SurgeryError, match="says that it holds 50000000 bytes"):
        read(tmp_path / "a")
    path = damage(tmp_path / "a", lambda raw: _lie_about_sizes(raw, 50_000_000, 1000))
    with pytest.raises(SurgeryError, match=r"longer than the directory says|not as long"):
        read(path)


def _lie_about_sizes(raw, size, lie):
    at = raw.rfind(struct.pack("<L", size))
    raw[at : at + 4] = struct.pack("<L", lie)


@pytest.mark.parametrize("where", ["front", "behind"])
def test_bytes_around_an_archive(where, zipped):
    raw = zipped.read_bytes()
    zipped.write_bytes(b"PK\x03\x04" + raw if where == "front" else raw + b"x")
    with pytest.raises(SurgeryError) as error:
        read(zipped)
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


def test_a_flipped_bit_in_the_pickle(zipped):
    at = zipped.read_bytes().index(b"_rebuild_tensor_v2")
    with pytest.raises(SurgeryError, match="its CRC-32 is not what it was"):
        read(damage(zipped, lambda raw: raw.__setitem__(at, raw[at] ^ 1)))


def test_a_place_beyond_all_files(zipped):
    """The 64-bit locator names a place that no system call takes."""
    at = zipped.read_bytes().rindex(b"PK\x06\x07")
    with pytest.raises(SurgeryError, match="the end of its zip directory is damaged"):
        read(damage(zipped, lambda raw: raw.__setitem__(slice(at + 8, at + 16), b"\xff" * 8)))


def test_an_encrypted_entry(zipped):
    at = zipped.read_bytes().index(b"PK\x01\x02")
    with pytest.raises(SurgeryError, match="is encrypted"):
        read(damage(zipped, lambda raw: raw.__setitem__(at + 8, raw[at + 8] | 1)))


def test_many_entries_are_a_limit(zipped):
    found = pytest.raises(SurgeryError, match="says that it has 7 entries")
    with limited({"entries": 2}), open_file(zipped) as file, found as error:
        read_archive(file)
    assert error.value.diagnostics[0].code == "too-large"
