"""Every snippet of the README and of docs/ runs, page by page, each page in an empty directory of its own.

What a fenced block is, is told by its language and by what stands behind it:

- ```` ```yaml name.yaml ````, ```` ```python name.py ````: the block is written to that file.
- ```` ```python ````: the block is executed; all blocks of a page share one namespace. One that begins with ``>>>`` is
  a doctest.
- ```` ```console ````: lines that begin with ``$ `` are commands (``surgery …``, ``cat FILE``, ``ls``, ``cd DIR``); the
  lines behind one are what it prints, output and errors together. Where a command fails without an error on the screen,
  a line ``[exit status N]`` follows.
- ```` ```yaml ```` without a name is a fragment: a recipe, steps, or some of a recipe's words. It must be one that
  `surgery check` accepts, as it stands.
- everything else (```` ```text ````, ```` ```sh ````) is not run.

``--update-golden`` writes what the commands print into the pages; then read it.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from surgery.recipe import Recipe

ROOT = Path(__file__).parents[2]
GENERATED = {
    "steps.md", "operations.md", "sources.md", "outputs.md", "errors.md", "cli.md", "library.md", "limits.md",
    "importers.md",
}  # fmt: skip
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not (p.parent.name == "reference" and p.name in GENERATED)),
]
#: how long a test took
_SECONDS = re.compile(r"\b\d+\.\d s$")
_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<name>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    language: str
    name: str | None
    body: str
    start: int
    end: int
    line: int


def blocks(text: str) -> list[Block]:
    return [
        Block(m["language"], m["name"], m["body"], m.start("body"), m.end("body"), text.count("\n", 0, m.start()) + 1)
        for m in _BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    monkeypatch.chdir(tmp_path)
    # as Python has it that is started there
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed: dict[int, str] = {}
    for block in blocks(text):
        where = f"{page.name}:{block.line}"
        if block.language == "console":
            printed[block.start] = "".join(run_console(block.body, where))
        elif block.name:
            Path(block.name).write_text(block.body, encoding="utf-8")
        elif block.language == "python":
            run_python(block.body, where, namespace)
        elif block.language == "yaml":
            check_fragment(block.body, where)
    if request.config.getoption("--update-golden"):
        page.write_text(with_output(text, printed), encoding="utf-8")
    for block in blocks(text):
        if block.start in printed and not request.config.getoption("--update-golden"):
            assert block.body == printed[block.start], f"{page.name}:{block.line} prints something else"


def with_output(text: str, printed: dict[int, str]) -> str:
    for block in reversed(blocks(text)):
        if block.start in printed:
            text = text[: block.start] + printed[block.start] + text[block.end :]
    return text


def run_console(body: str, where: str) -> Iterator[str]:
    """The block as it comes out when its commands are run."""
    for number, line in enumerate(commands(body)):
        if number:
            yield "\n"
        yield f"$ {line}\n"
        status, output = run_command(shlex.split(line.replace("\\\n", " "), comments=True))
        output = "".join(f"{_SECONDS.sub('0.1 s', line.rstrip())}\n" for line in output.splitlines())
        yield output
        if status and "error[" not in output:
            yield f"[exit status {status}]\n"
        assert "Traceback" not in output, f"{where}: `{line}` ends in a traceback:\n{output}"


def commands(body: str) -> list[str]:
    """The command lines; one that ends with a backslash goes on."""
    return [m.group(1) for m in re.finditer(r"^\$ ((?:.*\\\n)*.*)$", body, re.MULTILINE)]


def run_command(words: list[str]) -> tuple[int, str]:
    """Exit status and output of a command, run in this process to save the imports."""
    match words:
        case ["surgery", *arguments]:
            return surgery(arguments)
        case ["cat", name]:
            return 0, Path(name).read_text(encoding="utf-8")
        case ["ls", *where]:
            return 0, "".join(f"{name}\n" for name in sorted(os.listdir(*where)) if not name.startswith("."))
        case ["cd", where]:
            os.chdir(where)
            return 0, ""
    raise AssertionError(f"{words[0]} is no command that a page may use")


def surgery(arguments: list[str]) -> tuple[int, str]:
    from surgery.cli.main import command

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            command.main(arguments)
        except SystemExit as end:
            return int(end.code or 0), output.getvalue()


def check_fragment(body: str, where: str) -> None:
    """Read some steps, or some words of a recipe, as `surgery check` reads them."""
    Recipe.of_text(f"steps:\n{indent(body, '  ')}" if body.startswith("- ") else body, where)


def run_python(body: str, where: str, namespace: dict[str, Any]) -> None:
    if not body.startswith(">>> "):
        exec(compile(body, where, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(body, {}, where, where, 0)
    test.globs = namespace
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)
