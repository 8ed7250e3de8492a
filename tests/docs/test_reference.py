"""The generated pages are fresh, what they show as examples can be read, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from surgery.codes import all_codes, page
from surgery.diagnostics import SurgeryError
from surgery.recipe import Recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["steps.md", "operations.md", "sources.md", "outputs.md", "errors.md", "cli.md"])
def test_generated_page_is_fresh(name: str) -> None:
    content = generator().PAGES[name]()
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == content, "run `python docs/generate.py`"


def test_pages_are_the_same_each_time() -> None:
    assert all(write() == write() for write in generator().PAGES.values())


@pytest.mark.parametrize("name", ["steps.md", "operations.md", "sources.md", "outputs.md"])
def test_examples_can_be_read(name: str) -> None:
    text = (DOCS / "reference" / name).read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        Recipe.of_text(example if name in ("sources.md", "outputs.md") else f"steps:\n- {example}", name)


def code_blocks(code: str) -> list[tuple[str, str]]:
    """The YAML blocks of an error page, with the word that stands before each: Wrong or Right."""
    found, word = [], ""
    for match in re.finditer(r"^(Wrong|Right)\b|^```yaml\n(.*?)^```$", page(code).body, re.MULTILINE | re.DOTALL):
        word = match[1] or word
        if match[2]:
            found.append((word, match[2]))
    return found


@pytest.mark.parametrize("code", all_codes())
def test_examples_of_error_pages(code: str) -> None:
    """What is right can be read; what is wrong is either told at once, with this very code, or needs a checkpoint."""
    for word, block in code_blocks(code):
        error = error_of(f"steps:\n{block}" if block.startswith("- ") else block, f"{code}.md")
        if error is not None:
            assert word == "Wrong", f"{error}"
            assert code in {found.code for found in error.diagnostics}, f"{error}"


def error_of(text: str, name: str) -> SurgeryError | None:
    try:
        Recipe.of_text(text, name)
    except SurgeryError as error:
        return error
    return None


def test_every_code_in_use_has_a_page() -> None:
    use = re.compile(r"""(?:fail|report|Diagnostic)\(\s*"([a-z]+(?:-[a-z]+)*)"[,)]""")
    used = {code for file in (ROOT / "surgery").rglob("*.py") for code in use.findall(file.read_text(encoding="utf-8"))}
    assert len(used) > 40
    assert used <= set(all_codes()), sorted(used - set(all_codes()))


LINKING = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("file", LINKING, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        found = (file.parent / target).resolve() if target else file
        assert found.exists(), f"{file.name}: there is no {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{file.name}: {target} has no heading `{anchor}`"


@cache
def anchors(file: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
