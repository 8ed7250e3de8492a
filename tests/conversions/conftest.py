"""Conversions between implementations: real classes on both sides, small, with every tensor non-trivial."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor, nn

import surgery
from surgery.cli.main import command
from surgery.model.drawn import draw_all

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield tmp_path


@pytest.fixture
def fill() -> Callable[[nn.Module], Any]:
    """Give every tensor of a module values of its own: biases, norms and running statistics too."""

    def filled(module: nn.Module, *, seed: int = 0) -> nn.Module:
        draw_all(module, seed)
        return module.eval()

    return filled


@pytest.fixture
def convert(directory: Path) -> Callable[..., State]:
    """The result of a recipe: a shipped one by name, or text.

    It runs through the command line and from Python; both give the same bits, and what the plan says of them.
    """

    def run(recipe: str, **params: Any) -> State:
        if "\n" in recipe:
            (directory / "recipe.yaml").write_text(recipe, encoding="utf-8")
            recipe = "recipe.yaml"
        suffix = "" if "shard_size" in surgery.load(recipe).text else ".safetensors"
        words = [word for name, value in params.items() for word in ("-p", f"{name}={value}")]
        done = CliRunner().invoke(command, ["run", recipe, "--force", "-o", f"result{suffix}", *words])
        assert done.exit_code == 0, done.output
        written = _written(directory / f"result{suffix}")
        plan = surgery.load(recipe).plan(params=params, output=directory / f"again{suffix}", overwrite=True)
        promised = {key: str(entry.spec) for key, entry in plan.subject.entries.items()}
        found = plan.execute().state_dict
        assert promised == {key: f"{str(t.dtype)[6:]} {list(t.shape)}" for key, t in found.items()}
        assert_same(written, found)
        assert_same(_written(directory / f"again{suffix}"), found)
        return written

    return run


def _written(path: Path) -> State:
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    return {key: tensor for file in files for key, tensor in load_file(file).items()}


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    wrong = [k for k, t in expected.items() if t.dtype != found[k].dtype or not torch.equal(t, found[k])]
    assert not wrong


@pytest.fixture
def same() -> Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], None]:
    """Two state dicts hold the same bits under the same keys."""
    return assert_same


@pytest.fixture
def close() -> Callable[[Tensor, Tensor], None]:
    """Two outputs differ by at most 1e-5 of the largest value."""

    def compare(found: Tensor, expected: Tensor) -> None:
        assert found.shape == expected.shape
        assert expected.std() > 1e-3, "an output that is the same everywhere proves nothing"
        off = ((found - expected).abs().max() / expected.abs().max()).item()
        assert off <= 1e-5, off

    return compare
