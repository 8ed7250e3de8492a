"""Promises that the code itself has to keep: one place that writes, nothing that runs what a file holds."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from subprocess import run

import pytest

import surgery
from surgery.codes import all_codes, page

PACKAGE = Path(surgery.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
#: what runs code, or reads in a way that can
RUNS_CODE = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "os.system"}
#: the one module that may load what runs code, where the caller allowed that
LOADS_LIVE = "model/live.py"
READS_ENVIRONMENT = re.compile(r"\benviron\b|getenv")
#: the one function that is longer than others may be: a loop whose every call would cost
LONG = {"formats/pickles/machine.py:_run"}
#: what writes files
WRITES = {"torch.save", "save_file", "safetensors.torch.save_file", "shutil.copy", "shutil.copyfile", "numpy.save"}
WRITES |= {"os.pwrite", "os.rename", "os.replace", "os.symlink", "os.link"}


def calls(module: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_code_of_a_file_runs_and_one_place_writes(module: Path) -> None:
    inside_package = module.relative_to(PACKAGE).as_posix()
    inside = module.relative_to(PACKAGE).parts[0]
    for name, call in calls(module):
        assert name not in RUNS_CODE, f"{module}:{call.lineno}"
        if inside_package != LOADS_LIVE:
            assert name.rpartition(".")[2] not in ("load", "_load") or not name.startswith("torch"), (
                f"{module}:{call.lineno}"
            )
            assert not any(keyword.arg == "weights_only" for keyword in call.keywords), f"{module}:{call.lineno}"
        if inside != "files":
            assert name not in WRITES, f"{module}:{call.lineno}"
            modes = [a.value for a in call.args[1:2] if isinstance(a, ast.Constant)] if name == "open" else []
            assert not any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes), (
                f"{module}:{call.lineno}"
            )
            assert not name.endswith((".write_text", ".write_bytes")), f"{module}:{call.lineno}"


def test_one_call_loads_pickles_and_says_so() -> None:
    """Nothing is loaded in a second, less safe way after a first one failed; the mode is written out."""
    found = [call for name, call in calls(PACKAGE / LOADS_LIVE) if name == "torch.load"]
    assert len(found) == 1
    said = {keyword.arg: ast.unparse(keyword.value) for keyword in found[0].keywords}
    assert said["weights_only"] == "False"
    text = (PACKAGE / LOADS_LIVE).read_text(encoding="utf-8")
    assert text.count("_loaded(") == 2, "one definition, one call"
    users = [m for m in MODULES if "subject_of_pickled" in m.read_text(encoding="utf-8")]
    assert {m.relative_to(PACKAGE).as_posix() for m in users} == {LOADS_LIVE, "sources/checkpoint.py"}


def test_no_permission_comes_from_the_environment() -> None:
    """What is read of the environment decides places and screens, never trust."""
    known = {
        "cli/main.py",
        "model/live.py",
        "places/cache.py",
        "references/git_command.py",  # what git is given
        "report/terminal.py",
        "testing/quiet.py",  # what is set back after a case
    }
    found = {
        m.relative_to(PACKAGE).as_posix() for m in MODULES if READS_ENVIRONMENT.search(m.read_text(encoding="utf-8"))
    }
    assert found <= known, found - known


def test_modules_stay_small() -> None:
    sizes = sorted(len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES)
    assert sizes[-1] <= 400
    assert sizes[len(sizes) // 2] <= 120


def bodies(module: Path) -> Iterator[tuple[str, int]]:
    """Each function with the lines of its body, docstring apart."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            yield f"{module.relative_to(PACKAGE).as_posix()}:{node.name}", (node.end_lineno or 0) - body[0].lineno + 1


def test_functions_stay_short() -> None:
    assert {name for module in MODULES for name, lines in bodies(module) if lines > 40} <= LONG


def test_what_is_imported_is_exported() -> None:
    """Nothing reaches into another module for what that keeps to itself."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("surgery."):
                exporting = PACKAGE.parent / f"{node.module.replace('.', '/')}.py"
                names = exported(exporting) if exporting.exists() else None
                if names is not None:
                    assert {name.name for name in node.names} <= names, f"{module}:{node.lineno}"


@cache
def exported(module: Path) -> frozenset[str] | None:
    """What stands in ``__all__``; None where there is none, as in a file that only registers something."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("code", all_codes())
def test_every_page_has_a_title_and_a_status(code: str) -> None:
    assert page(code).title
    assert page(code).exit_code in (1, 2, 3, 4)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import surgery, sys; assert not {'torch', 'numpy', 'lark', 'yaml', 'click'} & set(sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_that_is_promised_is_there() -> None:
    for name in surgery.__all__:
        assert getattr(importlib.import_module("surgery"), name) is not None
