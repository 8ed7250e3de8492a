from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli.main import command
from surgery.testing.outcome import Outcome
from surgery.testing.running import try_recipe

HEAD = """\
params:
  model: {type: path}
source: {checkpoint: $model}
steps:
  - rename: "module.** -> **"
output: out.safetensors
tests:
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def outcome(directory: Path) -> Callable[..., Outcome]:
    """What comes of the one case of a recipe: of `HEAD`, unless it has a head of its own."""

    def run(case: str, *allow: str) -> Outcome:
        text = case if "tests:" in case else HEAD + case
        (directory / "recipe.yaml").write_text(text, encoding="utf-8")
        tested = try_recipe("recipe.yaml", frozenset(allow))
        assert not tested.errors, "\n".join(map(str, tested.errors))
        (found,) = tested.outcomes
        assert [p.name for p in directory.iterdir() if p.suffix != ".py"] == ["recipe.yaml"], "nothing is left behind"
        return found

    return run


@pytest.fixture
def surgery() -> Callable[..., str]:
    """Run a command line; gives output and exit status as one text, in which all times are alike."""

    def run(line: str) -> str:
        result = CliRunner().invoke(command, shlex.split(line))
        assert result.exit_code != 70, result.stderr
        text = f"$ surgery {line}\n{result.stdout}"
        text += f"--- stderr\n{result.stderr}" if result.stderr else ""
        return re.sub(r"\b\d+\.\d s$", "0.1 s", f"{text}--- exit {result.exit_code}\n", flags=re.MULTILINE)

    return run
