"""Selectors: paths, and the algebra over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.diagnostics import Span
from surgery.lang.expression import Expression
from surgery.lang.path import Path
from surgery.text import Text

__all__ = ["Except", "Guarded", "Item", "Selection", "Selector", "Union", "included_paths", "paths"]


@dataclass(frozen=True, slots=True)
class Union:
    """``a | b``: what any of the operands selects."""

    operands: tuple[Selector, ...]

    def __str__(self) -> str:
        return " | ".join(_operand(o) for o in self.operands)


@dataclass(frozen=True, slots=True)
class Except:
    """``a except b``: what `base` selects and `minus` does not."""

    base: Selector
    minus: Selector

    def __str__(self) -> str:
        base = f"({self.base})" if isinstance(self.base, Guarded) else str(self.base)
        minus = f"({self.minus})" if isinstance(self.minus, Guarded | Except) else str(self.minus)
        return f"{base} except {minus}"


@dataclass(frozen=True, slots=True)
class Guarded:
    """``a if condition``: what `selector` selects, where the condition holds."""

    selector: Selector
    condition: Expression
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        inner = f"({self.selector})" if isinstance(self.selector, Guarded) else str(self.selector)
        return f"{inner} if {self.condition}"


Selector: TypeAlias = Path | Union | Except | Guarded


def _operand(selector: Selector) -> str:
    return str(selector) if isinstance(selector, Path) else f"({selector})"


def paths(selector: Selector) -> Iterator[Path]:
    """Every path in a selector, those that it leaves out included."""
    match selector:
        case Path():
            yield selector
        case Union(operands=operands):
            for operand in operands:
                yield from paths(operand)
        case Except(base=base, minus=minus):
            yield from paths(base)
            yield from paths(minus)
        case Guarded(selector=inner):
            yield from paths(inner)


def included_paths(selector: Selector) -> Iterator[Path]:
    """The paths that can select: those behind ``except`` are left out."""
    match selector:
        case Path():
            yield selector
        case Union(operands=operands):
            for operand in operands:
                yield from included_paths(operand)
        case Except(base=base):
            yield from included_paths(base)
        case Guarded(selector=inner):
            yield from included_paths(inner)


@dataclass(frozen=True, slots=True)
class Item:
    """A selector that stands alone, the text it was parsed from, and whether it may select nothing."""

    selector: Selector
    optional: bool = False
    source: Text | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"optional {self.selector}" if self.optional else str(self.selector)

    def span_of(self, at: tuple[int, int]) -> Span | None:
        """The place of the characters `at`."""
        return self.source.span(*at) if self.source else None

    @property
    def span(self) -> Span | None:
        """The place of the whole selector."""
        return self.source.span(0, len(self.source.value)) if self.source else None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a step without an arrow works on: the union of its items."""

    items: tuple[Item, ...]
    parameters: tuple[tuple[str, Span], ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return " | ".join(str(item) if len(self.items) == 1 else f"({item})" for item in self.items)
