"""From the text of a reference to a reference, by ``grammars/references.lark``."""

from __future__ import annotations

import re
from functools import cache

import lark

from surgery.diagnostics import Span, fail
from surgery.references import REFERENCES
from surgery.references.base import Found, Reference, Words
from surgery.references.path import PathReference
from surgery.resources import resource
from surgery.suggest import did_you_mean

__all__ = ["collection", "is_path", "parse_reference"]

_KIND = re.compile(r"([a-z][a-z0-9+]*):")
_SSH = ("git+ssh", "ssh")
#: the address of a file's page, as a browser shows it
_PAGE = re.compile(r"https://github\.com/([^/\s]+/[^/\s]+)/(?:blob|raw)/([^/\s]+)/(\S+)")


def parse_reference(text: str, span: Span | None = None, *, beside: Reference | None = None) -> Reference:
    """The reference that a text is.

    Args:
        text: as somebody wrote it.
        span: its place in a recipe.
        beside: the reference of the recipe in which it stands: what a path is relative to.

    Raises:
        SurgeryError: ``reference``: there is no such kind, or it names no recipe.

    >>> str(parse_reference("builtin:soup"))
    'builtin:soup'
    """
    if not text.strip() or "\0" in text:
        raise fail("reference", "a reference to a recipe stands here", span)
    if is_path(text):
        return beside.beside(text, span) if beside is not None else PathReference(text)
    kind, words = _parsed(text, span)
    return kind.parse(words)


def collection(text: str) -> list[Found]:
    """Every YAML file that lies where a text says: a directory, ``builtin:``, ``pkg:NAME``, ``github:ORG/REPO@REV``.

    Raises:
        SurgeryError: it names no such place, or that cannot be got.
    """
    if is_path(text):
        return PathReference.collection(Words(text, text))
    if text == "builtin:":
        return REFERENCES["builtin"].collection(Words(text, ""))
    kind, words = _parsed(text, None)
    return kind.collection(words)


def _parsed(text: str, span: Span | None) -> tuple[type[Reference], Words]:
    found = _KIND.match(text)
    name = found[1] if found else ""
    if name not in REFERENCES or name == "path":
        kinds = [known for known in REFERENCES if known != "path"]
        examples = ", ".join(f"`{REFERENCES[known].example}`" for known in kinds)
        page = _PAGE.fullmatch(text)
        if page:
            note = f"did you mean `github:{page[1]}//{page[3]}@{page[2]}`?"
        elif name in _SSH:
            note = "over ssh: `git+https://…`, where git's own setting `url.….insteadOf` leads to ssh"
        else:
            note = did_you_mean(name, kinds) or f"such as {examples}"
        message = f"there are no references of the kind `{name}:`"
        raise fail("reference", message, span, (note, f"a path: `./{text}`"))
    try:
        tree = _parser().parse(text)
    except lark.exceptions.LarkError as error:
        example = f"such as `{REFERENCES[name].example}`"
        raise fail("reference", f"`{text}` is no reference", span, (example,)) from error
    _, location, path, revision = (None if token is None else str(token) for token in tree.children)
    return REFERENCES[name], Words(text, location or "", path, revision, span)


def is_path(text: str) -> bool:
    """Whether a reference is a path: it begins with no kind. A drive of Windows is none.

    >>> is_path("recipes/clean.yaml"), is_path("github:org/repo//clean.yaml"), is_path("C:/clean.yaml")
    (True, False, True)
    """
    return _KIND.match(text) is None


@cache
def _parser() -> lark.Lark:
    grammar = (resource("grammars") / "references.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", start="reference", maybe_placeholders=True)
