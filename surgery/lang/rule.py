"""Rules: a left side, an arrow, and what stands on the right of it in the different steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from surgery.diagnostics import Span
from surgery.lang.expression import Call, Expression, Name, Parameter
from surgery.lang.selector import Selector
from surgery.lang.template import Template
from surgery.text import Text

__all__ = ["Assignments", "Devices", "Join", "KeyTarget", "Layer", "Rule"]


@dataclass(frozen=True, slots=True)
class Join:
    """``[a, b, c]`` on the left: selectors that are joined on the captures they share."""

    selectors: tuple[Selector, ...]
    condition: Expression | None = None

    def __str__(self) -> str:
        text = f"[{', '.join(map(str, self.selectors))}]"
        return f"{text} if {self.condition}" if self.condition else text


@dataclass(frozen=True, slots=True)
class KeyTarget:
    """The right side of a key rule: one template or a list of them, and the operations behind ``via``."""

    templates: tuple[Template, ...]
    operations: tuple[Call | Name, ...] = ()
    listed: bool = False

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.templates))
        text = f"[{inside}]" if self.listed else inside
        return f"{text} via {' | '.join(map(str, self.operations))}" if self.operations else text


@dataclass(frozen=True, slots=True)
class Layer:
    """The right side of a layer rule: how the layer is built, and where its tensors come from (``with``)."""

    expression: Expression
    carry: Call | Name | None = None

    def __str__(self) -> str:
        return f"{self.expression} with {self.carry}" if self.carry else str(self.expression)


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices, the first of which that exists is taken: ``cuda:0 or cpu``."""

    names: tuple[Name | Parameter, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.names))


@dataclass(frozen=True, slots=True)
class Assignments:
    """Attributes and their values: ``eps=1e-3, momentum=0.01``."""

    pairs: tuple[tuple[str, Expression], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.pairs)


Right: TypeAlias = KeyTarget | Layer | Devices | Assignments | Template | Expression


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a step.

    Attributes:
        left: a selector, or a `Join`; of ``create``, a `Template`.
        right: what becomes of the selection, by the kind of rule.
        optional: it may select nothing.
        count: how many keys (for layers, modules) it must select.
        source: the text it was parsed from.
        parameters: the parameters it names, with their places.
    """

    left: Any
    right: Any
    optional: bool = False
    count: int | None = None
    note: str | None = None
    source: Text | None = field(default=None, compare=False, repr=False)
    parameters: tuple[tuple[str, Span], ...] = field(default=(), compare=False, repr=False)

    @property
    def text(self) -> str:
        """The rule as it was written, on one line."""
        return " ".join(self.source.value.split()) if self.source else str(self)

    @property
    def span(self) -> Span | None:
        """The place of the whole rule."""
        return self.source.span(0, len(self.source.value)) if self.source else None

    def span_of(self, at: tuple[int, int]) -> Span | None:
        """The place of some characters of the rule."""
        return self.source.span(*at) if self.source else None

    def span_of_name(self, name: str, at: tuple[int, int]) -> Span | None:
        """The place of the name that stands before the value at some characters: of ``eps`` in ``eps=1e-3``."""
        start = self.source.value.rfind(name, 0, at[0]) if self.source else -1
        return self.span_of((start, start + len(name)) if start >= 0 else at)

    def __str__(self) -> str:
        text = f"{self.left} -> {self.right}"
        return f"optional {text}" if self.optional else text
