"""The wheel, installed by itself, does what the checkout does."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(ROOT),
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(target),
    ]
    subprocess.run(command, check=True, timeout=300)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel's content."""
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, folder: Path, *words: str) -> str:
    """A command of the installed wheel, run outside of the checkout."""
    code = f"import surgery, sys; assert surgery.__file__.startswith({str(installed)!r}), surgery.__file__\n"
    code += "from surgery.__main__ import main; sys.argv = ['surgery', *sys.argv[1:]]; main()"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_but_the_package_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"surgery"}
    for needed in (
        "surgery/grammars/tables.json",
        "surgery/recipes/efficientnet_lite0.yaml",
        "surgery/pages/rule-syntax.md",
    ):
        assert needed in names


def test_the_main_job(installed: Path, tmp_path: Path) -> None:
    assert "efficientnet_lite0" in run(installed, tmp_path, "list")
    run(installed, tmp_path, "run", "efficientnet_lite0", "-o", "out.safetensors")
    assert "296 tensors" in run(installed, tmp_path, "inspect", "out.safetensors")


def test_messages_have_their_pages(installed: Path, tmp_path: Path) -> None:
    assert "selects nothing" in run(installed, tmp_path, "explain", "unused-rule")
