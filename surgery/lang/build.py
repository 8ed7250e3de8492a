"""From Lark's parse tree to forms: one small method for each rule of the grammar."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Transformer, Tree

from surgery.lang import expression as ex
from surgery.lang import path as pa
from surgery.lang import rule as ru
from surgery.lang import selector as se
from surgery.lang import template as te

__all__ = ["BuildError", "Builder"]


class BuildError(Exception):
    """What was parsed makes no sense: a message, and the characters it is about."""

    def __init__(self, message: str, at: tuple[int, int], note: str | None = None) -> None:
        super().__init__(message)
        self.message, self.at, self.note = message, at, note


_ALTERNATIVE = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s|."\']+|[|.]')


def _at(token: Token) -> tuple[int, int]:
    return token.start_pos, token.end_pos  # type: ignore[return-value]


def _alternatives(text: str, at: tuple[int, int]) -> tuple[pa.Alternative, ...]:
    """The alternatives of a group, each as its segments."""
    found: list[list[str]] = [[""]]
    for match in _ALTERNATIVE.finditer(text):
        word = match.group()
        if word == "|":
            found.append([""])
        elif word == ".":
            found[-1].append("")
        else:
            found[-1][-1] += ex.unquote(word) if word[0] in "\"'" else word
    for alternative in found:
        if "" in alternative:
            raise BuildError("an alternative has an empty segment", at)
    if len({tuple(a) for a in found}) < len(found):
        raise BuildError("an alternative stands twice in this group", at)
    return tuple(tuple(alternative) for alternative in found)


def _adjacent(*places: tuple[int, int]) -> None:
    """Keys have no blanks: each word begins where the one before it ends."""
    for (start, end), (following, _) in zip(places, places[1:], strict=False):
        if end != following:
            raise BuildError("a key has no blanks inside", (start, following + 1), 'a blank in a key is quoted: "a b"')


class Builder(Transformer):  # type: ignore[misc]
    """Turns a parse tree into the forms of `surgery.lang`; every form knows the characters it was made from."""

    def __init__(self) -> None:
        super().__init__(visit_tokens=False)

    # --- selectors -------------------------------------------------------------------------------------------------

    def capture(self, children: list[Token]) -> pa.Capture:
        opening, name, *kind, closing = children
        at = (opening.start_pos, closing.end_pos)
        if not kind:
            return pa.Capture(str(name), at=at)
        if kind[0].type == "DEEP":
            return pa.Capture(str(name), "deep", at=at)
        if kind[0] == "int":
            return pa.Capture(str(name), "int", at=at)
        return pa.Capture(str(name), "one_of", _alternatives(kind[0], _at(kind[0])), at=at)

    def _part(self, part: Any) -> Any:
        if not isinstance(part, Token):
            return part
        at = _at(part)
        match part.type:
            case "TEXT":
                return pa.Literal(str(part), at)
            case "STRING":
                return pa.Literal(ex.unquote(part), at)
            case "GROUP":
                return pa.Group(_alternatives(part[1:-1], at), at)
            case "PARAMETER":
                return pa.ParameterText(part.strip("${}"), at)
            case "STAR":
                return pa.Star(at)
        return pa.Deep(at)

    def _parts(self, children: list[Any]) -> tuple[Any, ...]:
        parts: list[Any] = []
        for child in map(self._part, children):
            if isinstance(child, pa.Literal) and parts and isinstance(parts[-1], pa.Literal):
                parts[-1] = pa.Literal(parts[-1].text + child.text, (parts[-1].at[0], child.at[1]))
            else:
                parts.append(child)
        return tuple(parts)

    def segment(self, children: list[Any]) -> pa.Segment:
        *words, types = children
        parts = self._parts(words)
        _adjacent(*(part.at for part in parts), *([types[1]] if types else []))
        at = (parts[0].at[0], types[1][1] if types else parts[-1].at[1])
        segment = pa.Segment(parts, types[0] if types else (), at)
        deep = [p for p in segment.parts if isinstance(p, pa.Deep) or (isinstance(p, pa.Capture) and p.kind == "deep")]
        if deep and len(segment.parts) > 1:
            raise BuildError(f"`{deep[0]}` stands for whole segments: it needs a dot on either side", deep[0].at)
        for left, right in zip(segment.parts, segment.parts[1:], strict=False):
            if isinstance(left, pa.Capture | pa.Star) and isinstance(right, pa.Capture | pa.Star):
                message = f"`{left}` and `{right}` stand side by side: it is open where one ends and the other begins"
                raise BuildError(message, (left.at[0], right.at[1]), "put some text between them")
        return segment

    def types(self, children: list[Any]) -> tuple[tuple[str, ...], tuple[int, int]]:
        opening, *names, closing = children
        return tuple(names), (opening.start_pos, closing.end_pos)

    def type_name(self, children: list[Token]) -> str:
        return "".join(children)

    def path(self, children: list[Any]) -> pa.Path:
        _adjacent(*(_at(child) if isinstance(child, Token) else child.at for child in children))
        return pa.Path(tuple(children[::2]), (children[0].at[0], children[-1].at[1]))

    def union(self, children: list[Any]) -> se.Union:
        return se.Union(tuple(children))

    def difference(self, children: list[Any]) -> se.Except:
        base, _, minus = children
        return se.Except(base, minus)

    def guarded(self, children: list[Any]) -> se.Guarded:
        selector, word, condition = children
        return se.Guarded(selector, condition, _at(word))

    def lone_selector(self, children: list[Any]) -> se.Item:
        return se.Item(children[1], children[0] is not None)

    # --- expressions -----------------------------------------------------------------------------------------------

    def name(self, children: list[Token]) -> ex.Expression:
        constants = {"True": True, "False": False, "None": None}
        word = str(children[0])
        if word in constants:
            return ex.Const(constants[word], at=_at(children[0]))
        return ex.Name(word, at=_at(children[0]))

    def integer(self, children: list[Token]) -> ex.Const:
        if len(children[0]) > 19:
            raise BuildError("this number is beyond 64 bits", _at(children[0]))
        return ex.Const(int(children[0]), at=_at(children[0]))

    def number(self, children: list[Token]) -> ex.Const:
        return ex.Const(float(children[0]), at=_at(children[0]))

    def string(self, children: list[Token]) -> ex.Const:
        return ex.Const(ex.unquote(children[0]), at=_at(children[0]))

    def parameter(self, children: list[Token]) -> ex.Parameter:
        return ex.Parameter(children[0].strip("${}"), at=_at(children[0]))

    def list(self, children: list[Any]) -> ex.ListOf:
        return ex.ListOf(tuple(c for c in children if c is not None))

    def tuple(self, children: list[Any]) -> ex.ListOf:
        return ex.ListOf(tuple(children), is_tuple=True)

    def minus(self, children: list[Any]) -> ex.Expression:
        word, operand = children
        at = (word.start_pos, operand.at[1])
        if isinstance(operand, ex.Const) and type(operand.value) in (int, float):
            return ex.Const(-operand.value, at=at)
        return ex.Minus(operand, at=at)

    def arithmetic(self, children: list[Any]) -> ex.Arithmetic:
        left, word, right = children
        return ex.Arithmetic(str(word), left, right, at=(left.at[0], right.at[1]))

    def comparator(self, children: list[Token]) -> str:
        return " ".join(children)

    def comparison(self, children: list[Any]) -> ex.Comparison:
        return ex.Comparison(tuple(children[::2]), tuple(children[1::2]), at=(children[0].at[0], children[-1].at[1]))

    def negated(self, children: list[Any]) -> ex.Not:
        return ex.Not(children[1], at=(children[0].start_pos, children[1].at[1]))

    def both(self, children: list[Any]) -> ex.Boolean:
        return ex.Boolean("and", children[0], children[2], at=(children[0].at[0], children[2].at[1]))

    def either(self, children: list[Any]) -> ex.Boolean:
        return ex.Boolean("or", children[0], children[2], at=(children[0].at[0], children[2].at[1]))

    def attribute(self, children: list[Any]) -> ex.Attribute:
        base, _, name = children
        return ex.Attribute(base, str(name), at=(base.at[0], name.end_pos))

    def index(self, children: list[Any]) -> ex.Index:
        base, index = children
        return ex.Index(base, index, at=(base.at[0], index.at[1] + 1))

    def inherit(self, children: list[Token]) -> ex.Inherit:
        return ex.Inherit(at=_at(children[0]))

    def keyword(self, children: list[Any]) -> tuple[Token, ex.Expression]:
        return (children[0], children[1])

    def call(self, children: list[Any]) -> ex.Call:
        callee, *arguments = children
        if any(not isinstance(node, ex.Name | ex.Attribute) for node in ex.walk(callee)):
            raise BuildError(f"`{callee}` cannot be called: a name is what stands before `(`", callee.at)
        args: list[ex.Expression] = []
        kwargs: dict[str, ex.Expression] = {}
        for argument in arguments:
            if argument is None:
                continue
            if not isinstance(argument, tuple):
                if kwargs and not isinstance(argument, ex.Inherit):
                    raise BuildError("a positional argument stands after a named one", argument.at)
                if args and isinstance(args[-1], ex.Inherit):
                    raise BuildError("`...` stands in last place", args[-1].at)
                args.append(argument)
                continue
            word, value = argument
            if word in kwargs:
                raise BuildError(f"the argument `{word}` is given twice", _at(word))
            if args and isinstance(args[-1], ex.Inherit):
                raise BuildError("`...` stands in last place", args[-1].at)
            kwargs[str(word)] = value
        return ex.Call(str(callee), tuple(args), tuple(kwargs.items()), at=callee.at)

    # --- rules -----------------------------------------------------------------------------------------------------

    def hole(self, children: list[Any]) -> te.Hole:
        opening, expression, closing = children
        return te.Hole(expression, (opening.start_pos, closing.end_pos))

    def mapped(self, children: list[Token]) -> te.Mapped:
        opening, name, alternatives, closing = children
        at = (opening.start_pos, closing.end_pos)
        return te.Mapped(str(name), _alternatives(alternatives, _at(alternatives)), at)

    def target_segment(self, children: list[Any]) -> te.TargetSegment:
        parts = self._parts(children)
        _adjacent(*(part.at for part in parts))
        segment = te.TargetSegment(parts, (parts[0].at[0], parts[-1].at[1]))
        deep = [p for p in segment.parts if isinstance(p, pa.Deep)]
        if deep and len(segment.parts) > 1:
            raise BuildError("`**` stands for whole segments: it needs a dot on either side", deep[0].at)
        return segment

    def template(self, children: list[Any]) -> te.Template:
        _adjacent(*(_at(child) if isinstance(child, Token) else child.at for child in children))
        return te.Template(tuple(children[::2]), (children[0].at[0], children[-1].at[1]))

    def results(self, children: list[te.Template]) -> tuple[te.Template, ...]:
        return tuple(children)

    def join(self, children: list[Any]) -> ru.Join:
        words = [index for index, child in enumerate(children) if isinstance(child, Token)]
        if words:
            return ru.Join(tuple(children[: words[0]]), children[-1])
        return ru.Join(tuple(children))

    def pipeline(self, children: list[Any]) -> tuple[Any, ...]:
        for operation in children:
            if not isinstance(operation, ex.Call | ex.Name):
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
        if not isinstance(children[0], ex.Call | ex.Name):
            raise BuildError(f"`{children[0]}` is not `old`, `overlap` or an operation", children[0].at)
        return children[0]

    def layer_rule(self, children: list[Any]) -> ru.Rule:
        optional, selector, _, layer, _, carry = children
        return ru.Rule(selector, ru.Layer(layer, carry), optional is not None)

    def create_rule(self, children: list[Any]) -> ru.Rule:
        return ru.Rule(children[1], children[3], children[0] is not None)

    tie_rule = create_rule

    def init_rule(self, children: list[Any]) -> ru.Rule:
        if not isinstance(children[3], ex.Call | ex.Name):
            raise BuildError(f"`{children[3]}` is not an initialiser", children[3].at)
        return ru.Rule(children[1], children[3], children[0] is not None)

    def cast_rule(self, children: list[Any]) -> ru.Rule:
        return ru.Rule(children[1], self._name_or_parameter(children[3]), children[0] is not None)

    def _name_or_parameter(self, word: Token) -> ex.Expression:
        if word.type == "PARAMETER":
            return ex.Parameter(word.strip("${}"), at=_at(word))
        return ex.Name(str(word), at=_at(word))

    def device(self, children: list[Token]) -> ex.Expression:
        return self._name_or_parameter(children[0])

    def device_rule(self, children: list[Any]) -> ru.Rule:
        devices = tuple(c for c in children[3:] if not isinstance(c, Token))
        return ru.Rule(children[1], ru.Devices(devices), children[0] is not None)

    def assignment(self, children: list[Any]) -> tuple[str, ex.Expression]:
        return (str(children[0]), children[1])

    def set_rule(self, children: list[Any]) -> ru.Rule:
        return ru.Rule(children[1], ru.Assignments(tuple(children[3:])), children[0] is not None)

    def __default__(self, data: Any, children: Any, meta: Any) -> Tree:
        raise AssertionError(f"no form for {data}")
