"""Subjects made by hand: tensors that stand in files which are never opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from surgery.lang import Selection, parse_selector
from surgery.planning.context import Context
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject
from surgery.text import Text


@pytest.fixture
def context() -> Context:
    return Context(directory=Path("recipes"), here=Text.plain("- load:", "recipe.yaml").span(2, 6))


@pytest.fixture
def stored(context: Context) -> Callable[..., Subject]:
    """A bare state dict of key -> shape, or (shape, dtype); keys in `ties` hold the expression of their value."""

    def make(tensors: Mapping[str, tuple], *, source: str = "file", ties: Mapping[str, str] | None = None) -> Subject:
        entries: dict[str, Entry] = {}
        offset = 0
        for key, what in tensors.items():
            shape, dtype = what if what and isinstance(what[-1], str) else (what, "float32")
            spec = Spec(tuple(shape), DTYPES[dtype])
            origin = Origin(source, key)
            context.inventory[origin] = spec
            entries[key] = Entry(Stored(spec, (ByteRange(source, offset, spec.nbytes),)), (origin,))
            offset += spec.nbytes
        for key, other in (ties or {}).items():
            origin = Origin(source, key)
            context.inventory[origin] = entries[other].spec
            entries[key] = Entry(entries[other].expr, (origin,))
        return Subject(entries)

    return make


@pytest.fixture
def fresh(stored: Callable[..., Subject]) -> Callable[..., Subject]:
    """As `stored`, but nothing comes from a source: what a model without weights looks like."""

    def make(tensors: Mapping[str, tuple], **options: object) -> Subject:
        import dataclasses

        made = stored(tensors, source="fresh", **options)
        entries = {
            key: dataclasses.replace(entry, origins=(), kind="parameter", requires_grad=True)
            for key, entry in made.entries.items()
        }
        return Subject(entries)

    return make


def select(text: str) -> Selection:
    return parse_selector(Text.plain(text, "recipe.yaml"))


@pytest.fixture(name="select")
def _select() -> Callable[[str], Selection]:
    """A selection of its text."""
    return select


@pytest.fixture
def errors(context: Context) -> Callable[[], str]:
    """Everything that was reported, as it is printed."""
    return lambda: "\n\n".join(map(str, context.diagnostics))
