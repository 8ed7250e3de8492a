"""The forms of rules and templates."""

from __future__ import annotations

from typing import Any

from lark import Token

from surgery.lang import expression as fo
from surgery.lang import rule as ru
from surgery.lang import template as te
from surgery.lang.build.words import BuildError, alternatives, joined, merged, place

__all__ = ["RuleBuilder"]


class RuleBuilder:
    """The methods for `grammars/4_rules.lark`."""

    def hole(self, children: list[Any]) -> te.Hole:
        opening, expression, closing = children
        return te.Hole(expression, (opening.start_pos, closing.end_pos))

    def mapped(self, children: list[Token]) -> te.Mapped:
        opening, name, listed, closing = children
        at = (place(opening)[0], place(closing)[1])
        if listed in ("int", "**"):
            message = f"the kind of `{{{name}}}` is said on the left side only"
            raise BuildError(message, place(listed), f"here: `{{{name}}}`")
        return te.Mapped(str(name), alternatives(listed, place(listed)), at)

    def target_segment(self, children: list[Any]) -> te.TargetSegment:
        parts = merged(children)
        return te.TargetSegment(parts, (parts[0].at[0], parts[-1].at[1]))

    def template(self, children: list[Any]) -> te.Template:
        return te.Template(*joined(children))

    def results(self, children: list[te.Template]) -> tuple[te.Template, ...]:
        return tuple(children)

    def join(self, children: list[Any]) -> ru.Join:
        words = [index for index, child in enumerate(children) if isinstance(child, Token)]
        if words:
            return ru.Join(tuple(children[: words[0]]), children[-1])
        return ru.Join(tuple(children))

    def pipeline(self, children: list[Any]) -> tuple[Any, ...]:
        for operation in children:
            if not isinstance(operation, fo.Call | fo.Name):
                raise BuildError(f"`{operation}` is not an operation", operation.at)
        return tuple(children)

    def key_rule(self, children: list[Any]) -> ru.Rule:
        optional, left, _, targets, _, pipeline = children
        listed = isinstance(targets, tuple)
        right = ru.KeyTarget(targets if listed else (targets,), pipeline or (), listed)
        return ru.Rule(left, right, optional is not None)

    def layer(self, children: list[Any]) -> Any:
        return children[0]

    def carry(self, children: list[Any]) -> Any:
        if not isinstance(children[0], fo.Call | fo.Name):
            raise BuildError(f"`{children[0]}` is not `old`, `overlap` or an operation", children[0].at)
        return children[0]

    def layer_rule(self, children: list[Any]) -> ru.Rule:
        optional, selector, _, layer, _, carry = children
        return ru.Rule(selector, ru.Layer(layer, carry), optional is not None)

    def create_rule(self, children: list[Any]) -> ru.Rule:
        return ru.Rule(children[1], children[3], children[0] is not None)

    tie_rule = create_rule

    def init_rule(self, children: list[Any]) -> ru.Rule:
        if not isinstance(children[3], fo.Call | fo.Name):
            raise BuildError(f"`{children[3]}` is not an initialiser", children[3].at)
        return ru.Rule(children[1], children[3], children[0] is not None)

    def cast_rule(self, children: list[Any]) -> ru.Rule:
        return ru.Rule(children[1], _name_or_parameter(children[3]), children[0] is not None)

    def device(self, children: list[Token]) -> fo.Expression:
        return _name_or_parameter(children[0])

    def device_rule(self, children: list[Any]) -> ru.Rule:
        devices = tuple(c for c in children[3:] if not isinstance(c, Token))
        return ru.Rule(children[1], ru.Devices(devices), children[0] is not None)

    def assignment(self, children: list[Any]) -> tuple[Token, fo.Expression]:
        return (children[0], children[1])

    def set_rule(self, children: list[Any]) -> ru.Rule:
        names: set[str] = set()
        for word, _ in children[3:]:
            if word in names:
                raise BuildError(f"the attribute `{word}` is set twice", place(word))
            names.add(word)
        pairs = tuple((str(word), value) for word, value in children[3:])
        return ru.Rule(children[1], ru.Assignments(pairs), children[0] is not None)


def _name_or_parameter(word: Token) -> fo.Expression:
    if word.type == "PARAMETER":
        return fo.Parameter(word.strip("${}"), at=place(word))
    return fo.Name(str(word), at=place(word))
