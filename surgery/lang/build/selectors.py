"""The forms of selectors."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from lark import Token

from surgery.lang import path as pa
from surgery.lang import selector as se
from surgery.lang.build.words import BuildError, Place, adjacent, alternatives, joined, merged, place

__all__ = ["SelectorBuilder"]

#: what people write for `{name:int}`, from other languages
_INTEGER_WORDS = {"d", "i", "n", "integer", "digit", "digits", "number", "num", "float", "long", "uint", "index", "idx"}

#: what an expression would read as something else
_RESERVED = {"and", "or", "not", "in", "True", "False", "None"}


class SelectorBuilder:
    """The methods for `grammars/2_selectors.lark`."""

    def capture(self, children: list[Token]) -> pa.Capture:
        opening, name, *kind, closing = children
        at = (place(opening)[0], place(closing)[1])
        if name in _RESERVED:
            raise BuildError(f"`{name}` is a word of the language, not the name of a capture", place(name))
        if not kind:
            return pa.Capture(str(name), at=at)
        if kind[0].type == "DEEP":
            return pa.Capture(str(name), "deep", at=at)
        if kind[0] == "int":
            return pa.Capture(str(name), "int", at=at)
        listed = alternatives(kind[0], place(kind[0]))
        if len(listed) == 1 and kind[0][0] not in "\"'":
            raise _unknown_kind(name, kind[0])
        return pa.Capture(str(name), "one_of", listed, at=at)

    def segment(self, children: list[Any]) -> pa.Segment:
        *words, types = children
        parts = merged(words)
        if types:
            adjacent(parts[-1].at, types[1])
        at = (parts[0].at[0], types[1][1] if types else parts[-1].at[1])
        for left, right in pairwise(parts):
            if isinstance(left, pa.Capture | pa.Star) and isinstance(right, pa.Capture | pa.Star):
                message = f"`{left}` and `{right}` stand side by side: it is open where one ends and the other begins"
                raise BuildError(message, (left.at[0], right.at[1]), "put some text between them")
        return pa.Segment(parts, types[0] if types else (), at)

    def types(self, children: list[Any]) -> tuple[tuple[str, ...], Place]:
        opening, *names, closing = children
        return tuple(names), (opening.start_pos, closing.end_pos)

    def type_name(self, children: list[Token]) -> str:
        return "".join(children)

    def path(self, children: list[Any]) -> pa.Path:
        return pa.Path(*joined(children))

    def union(self, children: list[Any]) -> se.Union:
        operands: list[se.Selector] = []
        for child in children:
            operands.extend(child.operands if isinstance(child, se.Union) else (child,))
        return se.Union(tuple(operands))

    def difference(self, children: list[Any]) -> se.Except:
        base, _, minus = children
        return se.Except(base, minus)

    def guarded(self, children: list[Any]) -> se.Guarded:
        selector, word, condition = children
        return se.Guarded(selector, condition, place(word))

    def lone_selector(self, children: list[Any]) -> se.Item:
        return se.Item(children[1], children[0] is not None)


def _unknown_kind(name: str, kind: Token) -> BuildError:
    if kind.lower() in _INTEGER_WORDS:
        note = f"digits are captured by `{{{name}:int}}`"
    elif kind.lower() in ("str", "string", "text", "s", "word"):
        note = f"text is captured by `{{{name}}}`"
    else:
        note = "kinds: `{name}` text, `{name:int}` digits, `{name:**}` segments, `{name:q|k|v}` one of several"
    return BuildError(f"`{kind}` is no kind of capture", place(kind), note)
