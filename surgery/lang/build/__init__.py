"""From Lark's parse tree to forms: one small method for each rule of the grammar."""

from __future__ import annotations

from typing import Any

from lark import Transformer, Tree

from surgery.lang.build.expressions import ExpressionBuilder
from surgery.lang.build.rules import RuleBuilder
from surgery.lang.build.selectors import SelectorBuilder
from surgery.lang.build.words import BlankError, BuildError

__all__ = ["BlankError", "BuildError", "Builder"]


class Builder(SelectorBuilder, ExpressionBuilder, RuleBuilder, Transformer):
    """Turns a parse tree into the forms of `surgery.lang`; every form knows the characters it was made from."""

    def __init__(self) -> None:
        super().__init__(visit_tokens=False)

    def __default__(self, data: Any, children: Any, meta: Any) -> Tree:
        raise AssertionError(f"no form for {data}")
