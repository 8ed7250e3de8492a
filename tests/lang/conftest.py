"""Selectors and rules at work on lists of keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.lang import parse_rules, parse_selector
from surgery.lang.facts import Facts
from surgery.lang.pattern import TypeTest
from surgery.lang.render import Filling, render
from surgery.lang.select import SelectorIndex
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec
from surgery.text import Text

Select = Callable[..., list[str]]
Rename = Callable[..., dict[str, str]]


def facts(key: str, shape: tuple[int, ...] = (2, 3), dtype: str = "float32", kind: str | None = "parameter") -> Facts:
    return Facts(key, Spec(shape, DTYPES[dtype]), kind)


@pytest.fixture
def select() -> Select:
    """The keys that a selector takes, in order."""

    def of(
        selector: str, keys: str | list[str], about: dict[str, Facts] | None = None, types: TypeTest | None = None
    ) -> list[str]:
        index = SelectorIndex([parse_selector(Text.plain(selector)).items[0].selector], types=types)
        listed = keys.split() if isinstance(keys, str) else keys
        return [key for key in listed if index.first(key.split("."), (about or {}).get(key) or facts(key))]

    return of


@pytest.fixture
def rename() -> Rename:
    """What the rules of one step make of keys; keys that no rule takes are left out."""

    def of(rules: str, *keys: str) -> dict[str, str]:
        parsed = parse_rules(Text.plain(rules), "key")
        index = SelectorIndex([rule.left for rule in parsed])
        found = {}
        for key in keys:
            first = index.first(key.split("."), facts(key))
            if first:
                number, path, match = first
                found[key] = render(parsed[number].right.templates[0], Filling.of(match, path), match.rest)
        return found

    return of
