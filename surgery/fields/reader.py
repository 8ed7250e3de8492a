"""Reading: from nodes to the fields of a dataclass, every error collected with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from surgery.diagnostics import Diagnostic, Span
from surgery.document import ListNode, MapNode, Node, Scalar, texts
from surgery.fields.declare import Field, fields_of, main_field
from surgery.suggest import did_you_mean
from surgery.wording import listed

__all__ = ["OPEN", "Declared", "Open", "Reader", "parameters_in"]

T = TypeVar("T")


class Open:
    """Stands for a value that depends on a parameter whose value is not known yet."""

    def __repr__(self) -> str:
        return "OPEN"


#: the value of a scalar with a parameter, in a check without parameter values
OPEN = Open()

_PARAMETER = re.compile(r"\$(?:\$|(?P<bare>[^\W\d]\w*)|\{(?P<braced>[^\W\d]\w*)\}|)")


def parameters_in(node: Node) -> Iterator[str]:
    """The names of the parameters in the scalars of a node, but for rules: these have a grammar of their own."""
    for _, value in texts(node):
        yield from (m["bare"] or m["braced"] for m in _PARAMETER.finditer(value) if m["bare"] or m["braced"])


@dataclass(frozen=True, slots=True)
class Declared:
    """What the reader knows of a parameter: whether it has a value, and which."""

    name: str
    value: Any = OPEN
    #: relative paths in the value are relative to this directory; None for the recipe's own
    directory: str | None = None
    #: whether it was declared as a path
    is_path: bool = False


@dataclass(slots=True)
class Reader:
    """The surroundings of reading: the parameters, and where errors go.

    Attributes:
        parameters: the declared parameters; one whose value is `OPEN` leaves what names it open.
        diagnostics: everything that was wrong so far.
        used: the parameters that were named so far.
        is_foreign: whether a recipe from elsewhere is read, which makes no paths of what its caller gives.
    """

    parameters: Mapping[str, Declared] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    is_foreign: bool = False

    def report(self, code: str, message: str, span: Span | None, notes: Iterable[str] = ()) -> None:
        """Note an error and go on."""
        self.diagnostics.append(Diagnostic(code, message, span, tuple(notes)))

    @property
    def values(self) -> dict[str, Any]:
        """The parameters whose values are known."""
        return {name: p.value for name, p in self.parameters.items() if p.value is not OPEN}

    def scalar(self, node: Scalar) -> Any:
        """The value of a scalar, its parameters put in; `OPEN` where one of them is.

        A scalar that is nothing but one parameter takes the parameter's value, type and all; in any other text it is
        put in as text. ``$$`` is a dollar sign.
        """
        if not isinstance(node.value, str) or "$" not in node.value:
            return node.value
        whole = _PARAMETER.fullmatch(node.value)
        name = whole and (whole["bare"] or whole["braced"])
        if name:
            return self._value(name, node, 0, len(node.value))
        pieces, at, is_open = [], 0, False
        for match in _PARAMETER.finditer(node.value):
            pieces.append(node.value[at : match.start()])
            at = match.end()
            name = match["bare"] or match["braced"]
            if not name:
                pieces.append("$")
                if match.group() == "$":
                    note = "`$name` or `${name}` stands for a parameter, `$$` for a dollar sign"
                    self.report("parameter", "a dollar sign stands alone", node.text.span(match.start(), at), (note,))
                continue
            value = self._value(name, node, match.start(), match.end())
            is_open = is_open or value is OPEN
            pieces.append(_as_text(value))
        return OPEN if is_open else "".join((*pieces, node.value[at:]))

    def _value(self, name: str, node: Scalar, start: int, end: int) -> Any:
        if self.known(name, node.text.span(start, end)):
            return self.parameters[name].value
        return OPEN

    def directory_of(self, node: Node, *, callers: bool = False) -> str | None:
        """The directory that a path in this scalar is relative to: that of the parameter it begins with, if any.

        Args:
            node: the scalar.
            callers: whether only a path that the caller names counts; of a recipe from elsewhere that is always so.
        """
        begins = _PARAMETER.match(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None
        name = begins and (begins["bare"] or begins["braced"])
        param = self.parameters.get(name) if name else None
        if param is None or ((callers or self.is_foreign) and not self._is_callers(node, param)):
            return None
        return param.directory

    def _is_callers(self, node: Node, param: Declared) -> bool:
        """Whether a text that begins with a parameter is a path that its caller named: the value, or one below it.

        Of other values, and of paths that lead up again (``$directory/../secret.pt``), a recipe could make any path.
        """
        assert isinstance(node, Scalar), "only scalars begin with a parameter"
        text, value = str(Reader(self.parameters).scalar(node)), _as_text(param.value)
        below = text.removeprefix(value)
        return not below or (param.is_path and below[0] in "/#" and ".." not in re.split(r"[/\\]", below))

    def known(self, name: str, span: Span | None) -> bool:
        """Whether a parameter is declared; if not, that is reported."""
        self.used.add(name)
        if name in self.parameters:
            return True
        near = did_you_mean(name, self.parameters)
        declared = (
            f"declared are {listed(self.parameters)}" if self.parameters else (f"declare it: `params: {{{name}: …}}`")
        )
        self.report("parameter", f"there is no parameter `{name}`", span, (near or declared,))
        return False

    def fields(self, cls: type[T], node: Node) -> T | None:
        """An instance of `cls` from a node: its main field alone, or a mapping of its fields.

        None where something was wrong (it is reported).
        """
        alone = main_field(cls)
        if isinstance(node, MapNode) and not (alone and alone.kind.takes(node) and not self._names_any(cls, node)):
            return self._from_mapping(cls, node)
        if alone is None:
            names = listed(f.name for f in fields_of(cls))
            example = getattr(cls, "example", "")
            self.report(
                "wrong-type", f"a mapping stands here, with {names}", node.span, [f"as in `{example}`"] * bool(example)
            )
            return None
        before = len(self.diagnostics)
        value = alone.kind.read(node, self)
        missing = self._missing(cls, {alone.attribute}, node.span)
        if len(self.diagnostics) > before or missing:
            return None
        return cls(**{alone.attribute: value})

    def _names_any(self, cls: type, node: MapNode) -> bool:
        return any(f.name in node for f in fields_of(cls))

    def _from_mapping(self, cls: type[T], node: MapNode) -> T | None:
        known = {f.name: f for f in fields_of(cls)}
        values: dict[str, Any] = {}
        before = len(self.diagnostics)
        misspelled = False
        for key, value in node.pairs:
            name = str(key.value)
            if name in known:
                values[known[name].attribute] = known[name].kind.read(value, self)
            else:
                alone = main_field(cls)
                habit: str | None = getattr(cls, "habits", {}).get(name)
                meant = habit or (alone.kind.meant(name, value) if alone else None)
                self.unknown_word(name, key, known, meant)
                misspelled = True
        if not misspelled:  # the word that is missing may be the one that is misspelled
            self._missing(cls, set(values), node.span)
        return cls(**values) if len(self.diagnostics) == before else None

    def unknown_word(self, word: str, node: Node, known: Iterable[str], meant: str | None = None) -> None:
        """Report a key that means nothing where it stands; `meant` is what would say it, where that is known."""
        known = list(known)
        note = meant or did_you_mean(word, known) or f"known here: {listed(known)}"
        self.report("unknown-word", f"`{word}` means nothing here", node.span, (note,))

    def _missing(self, cls: type, given: set[str], span: Span) -> bool:
        lacking: list[Field] = [f for f in fields_of(cls) if f.required and f.attribute not in given]
        for f in lacking:
            self.report("missing-word", f"`{f.name}` is missing here" + (f": {f.help}" if f.help else ""), span)
        return bool(lacking)

    def items(self, node: Node) -> tuple[Node, ...]:
        """The items of a list; a node that is no list is its own only item."""
        return node.items if isinstance(node, ListNode) else (node,)


def _as_text(value: Any) -> str:
    """A parameter's value inside other text, as YAML would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
