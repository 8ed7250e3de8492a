"""The forms of expressions."""

from __future__ import annotations

from math import isinf
from typing import Any

from lark import Token

from surgery.lang import expression as fo
from surgery.lang.build.words import BuildError, place

__all__ = ["ExpressionBuilder"]

_LARGEST = 2**63
_CONSTANTS = {"True": True, "False": False, "None": None}


class ExpressionBuilder:
    """The methods for `grammars/3_expressions.lark`."""

    def name(self, children: list[Token]) -> fo.Expression:
        word = str(children[0])
        if word in _CONSTANTS:
            return fo.Const(_CONSTANTS[word], at=place(children[0]))
        return fo.Name(word, at=place(children[0]))

    def integer(self, children: list[Token]) -> fo.Const:
        if len(children[0]) > 19 or int(children[0]) >= _LARGEST:
            raise BuildError("this number is beyond 64 bits", place(children[0]), code="too-large")
        return fo.Const(int(children[0]), at=place(children[0]))

    def number(self, children: list[Token]) -> fo.Const:
        if isinf(float(children[0])):
            raise BuildError("this number is beyond 64 bits", place(children[0]), code="too-large")
        return fo.Const(float(children[0]), at=place(children[0]))

    def string(self, children: list[Token]) -> fo.Const:
        return fo.Const(fo.unquote(children[0]), at=place(children[0]))

    def parameter(self, children: list[Token]) -> fo.Parameter:
        return fo.Parameter(children[0].strip("${}"), at=place(children[0]))

    def list_of(self, children: list[Any]) -> fo.ListOf:
        opening, *items, closing = children
        at = (place(opening)[0], place(closing)[1])
        return fo.ListOf(tuple(item for item in items if item is not None), at=at)

    def tuple_of(self, children: list[Any]) -> fo.ListOf:
        opening, *items, closing = children
        return fo.ListOf(tuple(items), is_tuple=True, at=(opening.start_pos, closing.end_pos))

    def minus(self, children: list[Any]) -> fo.Expression:
        word, operand = children
        at = (word.start_pos, operand.at[1])
        if isinstance(operand, fo.Const) and type(operand.value) in (int, float):
            return fo.Const(-operand.value, at=at)
        return fo.Minus(operand, at=at)

    def arithmetic(self, children: list[Any]) -> fo.Arithmetic:
        left, word, right = children
        return fo.Arithmetic(str(word), left, right, at=(left.at[0], right.at[1]))

    def comparator(self, children: list[Token]) -> str:
        return " ".join(children)

    def comparison(self, children: list[Any]) -> fo.Comparison:
        return fo.Comparison(tuple(children[::2]), tuple(children[1::2]), at=(children[0].at[0], children[-1].at[1]))

    def negated(self, children: list[Any]) -> fo.Not:
        return fo.Not(children[1], at=(children[0].start_pos, children[1].at[1]))

    def both(self, children: list[Any]) -> fo.Boolean:
        return fo.Boolean("and", children[0], children[2], at=(children[0].at[0], children[2].at[1]))

    def either(self, children: list[Any]) -> fo.Boolean:
        return fo.Boolean("or", children[0], children[2], at=(children[0].at[0], children[2].at[1]))

    def attribute(self, children: list[Any]) -> fo.Attribute:
        base, _, name = children
        return fo.Attribute(base, str(name), at=(base.at[0], name.end_pos))

    def index(self, children: list[Any]) -> fo.Index:
        base, _, index, closing = children
        return fo.Index(base, index, at=(base.at[0], closing.end_pos))

    def inherit(self, children: list[Token]) -> fo.Inherit:
        return fo.Inherit(at=place(children[0]))

    def keyword(self, children: list[Any]) -> tuple[Token, fo.Expression]:
        return (children[0], children[1])

    def call(self, children: list[Any]) -> fo.Call:
        callee, *arguments = children
        if any(not isinstance(node, fo.Name | fo.Attribute) for node in fo.walk(callee)):
            raise BuildError(f"`{callee}` cannot be called: a name is what stands before `(`", callee.at)
        args: list[fo.Expression] = []
        named: dict[str, fo.Expression] = {}
        for argument in (given for given in arguments if given is not None):
            if args and isinstance(args[-1], fo.Inherit):
                raise BuildError("`...` stands in last place", args[-1].at)
            if isinstance(argument, fo.Comparison | fo.Boolean | fo.Not):
                raise BuildError(f"`{argument}` is a condition, not an argument", argument.at, "`dim=0`: with one `=`")
            if isinstance(argument, tuple):
                word, value = argument
                if word in named:
                    raise BuildError(f"the argument `{word}` is given twice", place(word))
                named[str(word)] = value
            elif named and not isinstance(argument, fo.Inherit):
                raise BuildError("a positional argument stands after a named one", argument.at)
            else:
                args.append(argument)
        return fo.Call(str(callee), tuple(args), tuple(named.items()), at=callee.at)
