"""Error codes. Each has one page, ``surgery/pages/<code>.md``, which is all there is to register.

A page opens with a front matter that gives its title and the exit status of a command that ends with it, and goes on
in Markdown: what the code means, an example that is wrong, and one that is right::

    ---
    title: A rule that selects nothing
    exit: 2
    ---
    Every rule must select something …

Exit statuses: 1 a check or expectation failed, 2 usage or an invalid recipe, 3 a source or an output, 4 execution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Page", "all_codes", "page"]


@dataclass(frozen=True, slots=True)
class Page:
    """What is written about one error code."""

    code: str
    title: str
    exit_code: int
    body: str


@cache
def page(code: str) -> Page:
    """The page of `code`.

    Raises:
        KeyError: there is no such code.
    """
    file = resources.files("surgery").joinpath("pages", f"{code}.md")
    if not file.is_file():
        raise KeyError(code)
    _, front, body = file.read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.strip().splitlines())
    return Page(code, fields["title"], int(fields["exit"]), body.strip() + "\n")


def all_codes() -> list[str]:
    """Every code that has a page, in alphabetical order."""
    pages = resources.files("surgery").joinpath("pages")
    return sorted(entry.name.removesuffix(".md") for entry in pages.iterdir() if entry.name.endswith(".md"))
