"""Distributed checkpoints that are broken, or made to do harm: each is one typed error before anything is read."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from surgery.diagnostics import SurgeryError
from surgery.formats import read

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound checkpoint: a tensor in two chunks, another, and a number."""
    path = tmp_path_factory.mktemp("original") / "run"
    dcp.save({"w": torch.arange(8.0).reshape(4, 2), "v": torch.ones(3), "step": 3}, checkpoint_id=path, no_dist=True)
    metadata = pickle.loads((path / ".metadata").read_bytes())
    with (path / "__1_0.distcp").open("wb") as file:
        places = []
        for piece in torch.arange(8.0).reshape(4, 2).split(2):
            start = file.tell()
            torch.save(piece.clone(), file)
            places.append(_StorageInfo("__1_0.distcp", start, file.tell() - start))
    chunks = [ChunkStorageMetadata(torch.Size((at, 0)), torch.Size((2, 2))) for at in (0, 2)]
    metadata.state_dict_metadata["w"].chunks = chunks
    del metadata.storage_data[MetadataIndex("w", (0, 0))]
    metadata.storage_data |= {MetadataIndex("w", (at, 0)): place for at, place in zip((0, 2), places, strict=True)}
    (path / ".metadata").write_bytes(pickle.dumps(metadata))
    assert read(path).tree["w"].spec.shape == (4, 2)
    return path


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    for file in original.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


def refusal(path: Path) -> Any:
    with pytest.raises(SurgeryError) as error:
        read(path)
    (found,) = error.value.diagnostics
    return found


def chunk(at: tuple[int, ...], sizes: tuple[int, ...]) -> ChunkStorageMetadata:
    return ChunkStorageMetadata(torch.Size(at), torch.Size(sizes))


def tensor_of(metadata: Metadata, name: str = "w") -> TensorStorageMetadata:
    return metadata.state_dict_metadata[name]  # type: ignore[return-value]


def place_of(metadata: Metadata, name: str, offset: tuple[int, ...] | None) -> _StorageInfo:
    return metadata.storage_data[MetadataIndex(name, offset)]  # type: ignore[no-any-return]


def change_chunks(*chunks: ChunkStorageMetadata) -> Callable[[Metadata], None]:
    def change(metadata: Metadata) -> None:
        tensor_of(metadata).chunks = list(chunks)
        some = place_of(metadata, "w", (0, 0))
        for one in chunks:
            metadata.storage_data.setdefault(MetadataIndex("w", one.offsets), some)

    return change


def change_file(name: Any) -> Callable[[Metadata], None]:
    return lambda metadata: setattr(place_of(metadata, "v", (0,)), "relative_path", name)


def change_place(**fields: Any) -> Callable[[Metadata], None]:
    return lambda metadata: [setattr(place_of(metadata, "v", (0,)), *field) for field in fields.items()]  # type: ignore[func-returns-value,return-value]


def change_path(path: Any) -> Callable[[Metadata], None]:
    return lambda metadata: metadata.planner_data.__setitem__("v", path)  # type: ignore[no-any-return]


class Unknown:
    """Nothing of torch."""


CASES: dict[str, tuple[Callable[[Metadata], Any], str, str]] = {
    "a hole": (change_chunks(chunk((0, 0), (2, 2))), "corrupt-checkpoint", "overlap, leave holes or interlock"),
    "no chunks": (change_chunks(), "corrupt-checkpoint", "overlap, leave holes or interlock"),
    "chunks that overlap": (
        change_chunks(chunk((0, 0), (2, 2)), chunk((1, 0), (2, 2))),
        "corrupt-checkpoint",
        "overlap, leave holes or interlock",
    ),
    "a chunk twice": (
        change_chunks(chunk((0, 0), (2, 2)), chunk((0, 0), (2, 2))),
        "corrupt-checkpoint",
        "overlap, leave holes or interlock",
    ),
    "a chunk that reaches out": (
        change_chunks(chunk((0, 0), (2, 2)), chunk((3, 0), (2, 2))),
        "corrupt-checkpoint",
        "reaches beyond its shape",
    ),
    "a chunk of other dimensions": (
        change_chunks(chunk((0,), (4,))),
        "corrupt-checkpoint",
        "another number of dimensions",
    ),
    "a chunk before the beginning": (
        change_chunks(chunk((-2, 0), (2, 2)), chunk((0, 0), (2, 2))),
        "corrupt-checkpoint",
        "a shape or an offset in it is none that can be",
    ),
    "a chunk that is of another shape": (
        change_chunks(chunk((0, 0), (1, 2)), chunk((1, 0), (3, 2))),
        "corrupt-checkpoint",
        "said to be float32 [1, 2], and is float32 [2, 2]",
    ),
    "a chunk without a place": (
        lambda m: m.storage_data.pop(MetadataIndex("w", (2, 0))),
        "corrupt-checkpoint",
        "does not say where `w` was saved",
    ),
    "an object without a place": (
        lambda m: m.storage_data.pop(MetadataIndex("step")),
        "corrupt-checkpoint",
        "does not say where `step` was saved",
    ),
    "another dtype": (
        lambda m: setattr(tensor_of(m), "properties", TensorProperties(dtype=torch.int32)),
        "corrupt-checkpoint",
        "said to be int32 [2, 2], and is float32 [2, 2]",
    ),
    "a dtype that is unknown": (
        lambda m: setattr(tensor_of(m), "properties", TensorProperties(dtype=torch.quint8)),
        "unsupported-checkpoint",
        "`w` is of the dtype `torch.quint8`",
    ),
    "a tensor that is sparse": (
        lambda m: setattr(tensor_of(m), "properties", TensorProperties(layout=torch.sparse_coo)),
        "unsupported-checkpoint",
        "not stored element by element: it is sparse",
    ),
    "an absurd size": (
        lambda m: setattr(tensor_of(m), "size", torch.Size((1 << 40, 1 << 40))),
        "corrupt-checkpoint",
        "overlap, leave holes or interlock",
    ),
    "a shape that is none": (
        lambda m: setattr(tensor_of(m), "size", "wide"),
        "corrupt-checkpoint",
        "a shape or an offset in it is none that can be",
    ),
    "an object where a tensor should be": (
        lambda m: m.storage_data.__setitem__(MetadataIndex("v", (0,)), place_of(m, "step", None)),
        "corrupt-checkpoint",
        "said to be float32 [3], and is no tensor",
    ),
    "another class": (
        lambda m: m.state_dict_metadata.__setitem__("w", Unknown()),
        "corrupt-checkpoint",
        "something else where a `TensorStorageMetadata` should be",
    ),
    "no entries": (
        lambda m: setattr(m, "state_dict_metadata", None),
        "corrupt-checkpoint",
        "its `state_dict_metadata` is no mapping",
    ),
    "no places": (lambda m: setattr(m, "storage_data", None), "corrupt-checkpoint", "its `storage_data` is no mapping"),
    "a name that is none": (
        lambda m: m.state_dict_metadata.__setitem__(3, tensor_of(m)),  # type: ignore[index]
        "corrupt-checkpoint",
        "a name in it is no text",
    ),
    "compressed": (
        change_place(transform_descriptors=["stream.zstd/1"]),
        "unsupported-checkpoint",
        "`v` was compressed or encrypted when it was saved",
    ),
    "the file above": (change_file("../secret"), "corrupt-checkpoint", "no name of a file beside the metadata"),
    "an absolute file": (change_file("/etc/passwd"), "corrupt-checkpoint", "no name of a file beside the metadata"),
    "a file of an address": (change_file("https://a/b"), "corrupt-checkpoint", "no name of a file beside"),
    "a file with a zero": (change_file("a\0b"), "corrupt-checkpoint", "no name of a file beside the metadata"),
    "a file that is no text": (change_file(7), "corrupt-checkpoint", "no name of a file beside the metadata"),
    "a file that is absent": (change_file("__9_0.distcp"), "no-file", "__9_0.distcp"),
    "a file that is the metadata": (
        change_place(relative_path=".metadata", offset=0, length=9),
        "unsupported-checkpoint",
        "not as `torch.save` writes it",
    ),
    "beyond the end": (change_place(length=1 << 40), "corrupt-checkpoint", "shorter than its metadata says"),
    "before the beginning": (change_place(offset=-1), "corrupt-checkpoint", "the place of `v` in its file is none"),
    "a place that is no number": (change_place(offset=True), "corrupt-checkpoint", "the place of `v` in its file"),
    "an item cut short": (change_place(length=700), "corrupt-checkpoint", "has no end"),
    "an empty item": (change_place(length=0), "unsupported-checkpoint", "not as `torch.save` writes it"),
    "items that overlap": (change_place(offset=10), "corrupt-checkpoint", "overlap with those of something else"),
    "a path into another": (change_path(("w", "v")), "corrupt-checkpoint", "leads into something else"),
    "a path of another": (change_path(("w",)), "corrupt-checkpoint", "two entries stand at `w`"),
    "an empty path": (change_path(()), "corrupt-checkpoint", "the path of `v` in the state dict is none"),
    "a path that is no path": (change_path("v"), "corrupt-checkpoint", "the path of `v` in the state dict is none"),
    "an index below zero": (change_path(("v", -1)), "corrupt-checkpoint", "the path of `v` in the state dict is none"),
    "an absurd index": (change_path(("v", 1 << 60)), "too-large", "lists with 1152921504606846977 places in all"),
    "an absurd depth": (change_path(("v",) * 5000), "too-large", "lies too deep"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, copy: Path) -> None:
    change, code, words = CASES[case]
    metadata = pickle.loads((copy / ".metadata").read_bytes())
    change(metadata)
    (copy / ".metadata").write_bytes(pickle.dumps(metadata))
    found = refusal(copy)
    assert found.code == code
    assert words in found.message


def test_boxes_that_interlock(tmp_path: Path) -> None:
    """Four boxes around one: no cut goes through, and nothing that torch saves looks like it."""
    boxes = [((0, 0), (1, 2)), ((0, 2), (2, 1)), ((2, 1), (1, 2)), ((1, 0), (2, 1)), ((1, 1), (1, 1))]
    path = tmp_path / "run"
    path.mkdir()
    places = {}
    with (path / "__0_0.distcp").open("wb") as file:
        for at, sizes in boxes:
            start = file.tell()
            torch.save(torch.ones(sizes), file)
            places[MetadataIndex("w", at)] = _StorageInfo("__0_0.distcp", start, file.tell() - start)
    entry = TensorStorageMetadata(TensorProperties(), torch.Size((3, 3)), [chunk(*box) for box in boxes])
    (path / ".metadata").write_bytes(pickle.dumps(Metadata({"w": entry}, None, places)))
    found = refusal(path)
    assert found.code == "corrupt-checkpoint"
    assert "interlock" in found.message


def test_a_tensor_that_holds_itself(copy: Path) -> None:
    metadata = pickle.loads((copy / ".metadata").read_bytes())
    metadata.state_dict_metadata["w"].chunks.append(metadata)
    metadata.planner_data["w"] = metadata
    (copy / ".metadata").write_bytes(pickle.dumps(metadata))
    assert refusal(copy).code == "corrupt-checkpoint"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: setattr(tensor_of(m).properties, "layout", "MARK"), "unsupported-checkpoint"),
        (change_file("MARK"), "corrupt-checkpoint"),
        (change_place(transform_descriptors="MARK"), "unsupported-checkpoint"),
        (change_path("MARK"), "corrupt-checkpoint"),
    ],
)
def test_what_stands_there_instead_may_be_nested_without_end(
    change: Callable[[Metadata], Any], code: str, copy: Path
) -> None:
    """Nobody prints it."""
    metadata = pickle.loads((copy / ".metadata").read_bytes())
    change(metadata)
    content = pickle.dumps(metadata, 2)
    text = b"X\x04\0\0\0MARK"
    assert content.count(text) == 1
    (copy / ".metadata").write_bytes(content.replace(text, b")" + 100_000 * b"\x85"))
    assert refusal(copy).code == code


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def test_nothing_runs(copy: Path, tmp_path: Path) -> None:
    metadata = pickle.loads((copy / ".metadata").read_bytes())
    metadata.storage_meta = Hostile(tmp_path / "canary")
    (copy / ".metadata").write_bytes(pickle.dumps(metadata))
    assert read(copy).tree["step"] == 3
    metadata.planner_data = Hostile(tmp_path / "canary")
    (copy / ".metadata").write_bytes(pickle.dumps(metadata))
    assert refusal(copy).code == "corrupt-checkpoint"
    assert not (tmp_path / "canary").exists()


def test_items_run_nothing(tmp_path: Path) -> None:
    dcp.save({"bad": Hostile(tmp_path / "canary"), "w": torch.ones(1)}, checkpoint_id=tmp_path / "run", no_dist=True)
    assert str(read(tmp_path / "run").tree["bad"]).endswith("system")
    assert not (tmp_path / "canary").exists()


def test_another_object_of_the_module(tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(pickle.dumps(MetadataIndex("w")))
    assert "something else where a `Metadata` should be" in refusal(tmp_path).message
    (tmp_path / ".metadata").write_bytes(b"")
    assert refusal(tmp_path).code == "not-a-checkpoint"


def test_every_cut_of_the_metadata(copy: Path) -> None:
    content = (copy / ".metadata").read_bytes()
    for length in range(len(content)):
        (copy / ".metadata").write_bytes(content[:length])
        assert refusal(copy).code in ("corrupt-checkpoint", "not-a-checkpoint")


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp", "__1_0.distcp"])
def test_changed_bytes_are_a_typed_error_or_none(name: str, copy: Path) -> None:
    content = (copy / name).read_bytes()
    generator = random.Random(name)
    codes = set()
    for _ in range(400):
        changed = bytearray(content)
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
        (copy / name).write_bytes(changed)
        try:
            read(copy)
        except SurgeryError as error:
            codes |= {found.code for found in error.diagnostics}
    expected = {"corrupt-checkpoint", "unsupported-checkpoint", "not-a-checkpoint", "no-file", "too-large"}
    assert "corrupt-checkpoint" in codes
    assert codes <= expected
