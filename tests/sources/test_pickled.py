"""Pickled modules: nothing in them runs unless the caller allowed that very file; with permission they are models."""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import surgery
from surgery.formats import read
from surgery.formats.torch_legacy import MAGIC
from surgery.permissions import may_unpickle, permissions, pickle_permission

Golden = Callable[[str, str], None]
CANARY = "canary"
MODULE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.fc = nn.Linear(8, 3)
        self.again = nn.Linear(8, 3)
        self.again.weight = self.fc.weight
        self.fc.bias.requires_grad_(False)
        self.register_buffer("index", torch.arange(5.0), persistent=False)

    def forward(self, x):
        return self.fc(self.body(x))
"""


class Runs:
    """Makes the canary when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"echo sings > {CANARY}",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory, which Python looks into, with a module in `model.pt` whose class is in `zoo.py` there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "zoo.py").write_text(MODULE)
    sys.modules.pop("zoo", None)
    import zoo

    torch.manual_seed(0)
    torch.save(zoo.Net().eval(), "model.pt")
    yield tmp_path
    sys.modules.pop("zoo", None)


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with `trap.pt` and `legacy.pt`, which run code if they are unpickled, and a recipe that asks."""
    monkeypatch.chdir(tmp_path)
    made = nn.Linear(2, 2)
    made.trap = Runs()
    torch.save(made, "trap.pt")
    torch.save({"epoch": 1, "model": made}, "inside.pt")
    torch.save(made, "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "config.json").write_text('{"trust": "pickle", "allow": ["pickle"]}')
    (tmp_path / "asks.yaml").write_text(
        "params: {file: trap.pt}\nsource: {checkpoint: {path: $file, trust: pickle}}\n"
        "steps: [{mode: eval}]\noutput: out.pt\n"
    )
    (tmp_path / "plain.yaml").write_text("source: {checkpoint: trap.pt}\noutput: {path: plain.pt, overwrite: true}\n")
    return tmp_path


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    start = "from surgery.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", start, *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# without permission


@pytest.mark.parametrize(
    ("words", "status"),
    {
        "plan": ("plan asks.yaml", 2),
        "run": ("run asks.yaml", 2),
        "legacy": ("run asks.yaml -p file=legacy.pt", 2),
        "in a container": ("run asks.yaml -p file=inside.pt", 2),
        "another file is allowed": ("run asks.yaml --allow pickle:legacy.pt", 2),
        "other permissions": ("run asks.yaml --allow network --allow import:os", 2),
        "tensors": ("run plain.yaml", 0),
        "inspect": ("inspect trap.pt --allow pickle", 0),
        "apply": ("apply trap.pt out.safetensors", 0),
        "match": ("match weight trap.pt", 0),
    }.values(),
)
def test_nothing_runs(words: str, status: int, trapped: Path) -> None:
    done = command(*words.split(), TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1", SURGERY_ALLOW="pickle")
    assert done.returncode == status, done.stderr
    assert not (trapped / CANARY).exists()


def test_the_canary_would_sing(trapped: Path) -> None:
    done = command("run", "asks.yaml", "--allow", "pickle:trap.pt", "-o", "out.safetensors")
    assert done.returncode == 0, done.stderr
    assert (trapped / CANARY).exists()


def test_a_recipe_can_say_that_tensors_will_do(trapped: Path) -> None:
    """What the caller allowed, a recipe can leave unused."""
    (trapped / "data.yaml").write_text("source: {checkpoint: {path: trap.pt, trust: data}}\noutput: out.pt\n")
    assert command("run", "data.yaml", "--allow", "pickle").returncode == 0
    assert not (trapped / CANARY).exists()


def test_a_recipe_has_no_word_for_permissions(trapped: Path) -> None:
    for word in ("allow: [pickle]", "limits: {tensor: 1TB}"):
        with pytest.raises(surgery.SurgeryError) as caught:
            surgery.load({"source": {"checkpoint": "trap.pt"}} | {word.partition(":")[0]: ["pickle"]})
        assert caught.value.diagnostics[0].code == "unknown-word"


def test_what_is_asked_for_is_named(trapped: Path, golden: Golden) -> None:
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.load("asks.yaml").plan()
    golden("sources/pickled_not_allowed", str(caught.value))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_what_a_pickle_names_and_throws_away_is_named(kind: str, tmp_path: Path) -> None:
    hidden = b"\x80\x02cposix\nsystem\n0" + pickle.dumps({}, 2)[2:]
    path = tmp_path / "hidden"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", hidden)
    else:
        system = pickle.dumps({"little_endian": True}, 2)
        path.write_bytes(MAGIC + pickle.dumps(1001, 2) + system + hidden + pickle.dumps([], 2))
    assert ("posix", "system") in read(path).names


def test_a_step_that_lacks_a_model_knows_where_one_is(here: Path, golden: Golden) -> None:
    said = []
    for step in ({"replace_layer": "fc -> Linear(old.in_features, 10)"}, {"mode": "eval"}, {"freeze": "**[Linear]"}):
        with pytest.raises(surgery.SurgeryError) as caught:
            surgery.load({"source": {"checkpoint": "model.pt"}, "steps": [step]}).plan()
        said.append(str(caught.value))
    golden("sources/pickled_needs_a_model", "\n\n".join(said))


# with permission


def live(place: object = "model.pt", **options: object) -> surgery.Result:
    recipe = {"source": {"checkpoint": place}, "steps": [{"freeze": "fc.weight"}]}
    return surgery.load(recipe).run(allow="pickle", **options)


@pytest.mark.parametrize("allow", [["pickle"], "pickle", "pickle:model.pt", ["network", "pickle:./model.pt"]])
def test_the_module_is_a_model(allow: object, here: Path) -> None:
    recipe = surgery.load(
        {"source": {"checkpoint": "model.pt"}, "steps": [{"replace_layer": "fc -> Linear(old.in_features, 10)"}]}
    )
    model = recipe.run(allow=allow).model
    assert type(model).__name__ == "Net"
    assert model.fc.out_features == 10
    assert not model.training
    assert model.index.tolist() == [0, 1, 2, 3, 4]
    old = torch.load("model.pt", weights_only=False)
    assert torch.equal(model.body[0].weight, old.body[0].weight)
    assert model(torch.ones(2, 4)).shape == (2, 10)


def test_ties_and_what_is_trained_are_as_they_were(here: Path) -> None:
    model = live().model
    assert model.again.weight is model.fc.weight
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["fc.weight", "fc.bias"]


def test_in_a_container(here: Path) -> None:
    torch.save({"epoch": 3, "ema": [torch.load("model.pt", weights_only=False)]}, "ckpt.pt")
    result = live({"path": "ckpt.pt", "entry": "ema.0"})
    assert type(result.model).__name__ == "Net"


def test_legacy_files(here: Path) -> None:
    torch.save(torch.load("model.pt", weights_only=False), "old.pt", _use_new_zipfile_serialization=False)
    assert type(live("old.pt").model).__name__ == "Net"


@pytest.mark.parametrize("variable", ["TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_the_environment_has_no_say(variable: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert type(live().model).__name__ == "Net"
    assert os.environ[variable] == "1"


def test_a_device_for_its_tensors(here: Path) -> None:
    plan = surgery.load({"source": {"checkpoint": {"path": "model.pt", "map_location": "cuda:0"}}}).plan(allow="pickle")
    assert {entry.device for entry in plan.subject.entries.values()} == {"cuda:0"}


def test_input_and_output_may_be_one_file(here: Path) -> None:
    before = torch.load("model.pt", weights_only=False).state_dict()
    recipe = {"source": {"checkpoint": "model.pt"}, "output": {"path": "model.pt", "format": "module"}}
    surgery.load(recipe).run(allow="pickle", overwrite=True)
    after = torch.load("model.pt", weights_only=False).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_what_was_checked_is_what_is_loaded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is exchanged after it was looked at: what was looked at is loaded, and then the run is refused."""
    from surgery.model import live as module

    loaded: list[object] = []

    def exchange(file: object) -> object:
        found = real(file)
        torch.save(nn.Linear(1, 1), "model.pt")
        return found

    def keep(*args: object) -> object:
        loaded.append(load(*args))
        return loaded[-1]

    real = module.read_file
    load = module._loaded
    monkeypatch.setattr(module, "read_file", exchange)
    monkeypatch.setattr(module, "_loaded", keep)
    digest = hashlib.sha256(Path("model.pt").read_bytes()).hexdigest()
    with pytest.raises(surgery.SurgeryError, match="source-changed"):
        live({"path": "model.pt", "sha256": digest})
    assert [type(module).__name__ for module in loaded] == ["Net"]


def test_a_digest_is_checked_of_what_is_loaded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surgery.sources import checkpoint

    digest = hashlib.sha256(Path("model.pt").read_bytes()).hexdigest()

    def exchange(*args: object) -> bool:
        torch.save(nn.Linear(1, 1), "model.pt")
        return True

    monkeypatch.setattr(checkpoint, "is_wanted_alive", exchange)
    with pytest.raises(surgery.SurgeryError) as caught:
        live({"path": "model.pt", "sha256": digest})
    assert caught.value.diagnostics[0].code == "wrong-digest"


# what cannot be loaded


def test_what_fails_to_load(here: Path, golden: Golden) -> None:
    said = []
    changes = {
        "a class that is gone": "import torch\n",
        "a script that ends": "raise SystemExit(2)\n",
        "a module that fails": "1 / 0\n",
        "another state": MODULE + "\n    def __setstate__(self, state):\n        raise TypeError('no such state')\n",
        "no module any more": None,
    }
    for name, text in changes.items():
        sys.modules.pop("zoo", None)
        Path("zoo.py").unlink(missing_ok=True)
        if text is not None:
            Path("zoo.py").write_text(text)
        shutil.rmtree("__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        with pytest.raises(surgery.SurgeryError) as caught:
            live()
        assert caught.value.exit_code == 3
        said.append(f"{name}\n{caught.value}".replace(str(here), "HERE"))
    golden("sources/pickled_import_failed", "\n\n".join(said))


def test_what_has_no_module(here: Path, golden: Golden) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save("script.pt")
    torch.save(nn.Linear(2, 2).state_dict(), "state.pt")
    Path("plain.pkl").write_bytes(pickle.dumps(nn.Linear(2, 2), 4))
    said = []
    for name in ("script.pt", "state.pt", "plain.pkl", {"path": "model.pt", "separator": "/"}):
        place = {**(name if isinstance(name, dict) else {"path": name}), "trust": "pickle"}
        with pytest.raises(surgery.SurgeryError) as caught:
            surgery.load({"source": {"checkpoint": place}}).plan(allow="pickle")
        said.append(str(caught.value))
    golden("sources/pickled_no_module", "\n\n".join(said))


def test_torchscript_gives_its_tensors_whatever_is_allowed(here: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save("script.pt")
    result = surgery.load({"source": {"checkpoint": "script.pt"}}).run(allow="pickle")
    assert sorted(result.state_dict) == ["bias", "weight"]
    assert result.plan.subject.skeleton is None


# the words


def test_permissions() -> None:
    assert permissions("pickle:~") == {f"pickle:{os.path.expanduser('~')}"}
    assert may_unpickle(permissions("pickle:hf://a/b/c.pt"), "hf://a/b/c.pt", Path("anywhere"))
    assert not may_unpickle(permissions("pickle:hf://a/b/c.pt"), "hf://a/b/d.pt", Path("c.pt"))
    assert not may_unpickle(permissions(["network", "import:zoo"]), "a.pt", Path("a.pt"))
    assert pickle_permission("hf://a/b", Path("x")) == "pickle:hf://a/b"
    assert pickle_permission("a.pt", Path("sub/a.pt")) == "pickle:sub/a.pt"


@pytest.mark.parametrize("word", ["pickel", "pickle:", "import:", "import:a.b", "", "all"])
def test_unknown_permissions(word: str) -> None:
    with pytest.raises(surgery.SurgeryError) as caught:
        permissions([word])
    assert caught.value.diagnostics[0].code == "usage"
