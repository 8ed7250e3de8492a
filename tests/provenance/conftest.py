import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import surgery
from surgery.result import Result

TENSORS = {
    "module.a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "module.a.bias": np.arange(3, dtype=np.float32),
    "module.b.weight": np.arange(20, dtype=np.int64).reshape(10, 2),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with ``in.safetensors``."""
    monkeypatch.chdir(tmp_path)
    save_file(TENSORS, tmp_path / "in.safetensors", {"license": "mit"})
    return tmp_path


@pytest.fixture
def run(here: Path) -> Callable[..., Result]:
    """Run the text of a recipe."""

    def run(text: str, **options: object) -> Result:
        return surgery.Recipe.of_text(text, "recipe.yaml").run(**options)

    return run


@pytest.fixture
def digest() -> Callable[[str | Path], str]:
    """One digest of a file, or of all files of a directory with their names."""

    def digest(path: str | Path) -> str:
        files = sorted(p for p in Path(path).rglob("*") if p.is_file()) or [Path(path)]
        content = b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in files)
        return hashlib.sha256(content).hexdigest()

    return digest
