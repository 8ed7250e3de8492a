"""Expressions: conditions of guards, arithmetic in templates, arguments of operations and layers."""

from __future__ import annotations

from surgery.lang.expression.evaluate import EvaluationError, describe, evaluate, in_python
from surgery.lang.expression.forms import (
    Arithmetic,
    Attribute,
    Boolean,
    Call,
    Comparison,
    Const,
    Expression,
    Index,
    Inherit,
    ListOf,
    Minus,
    Name,
    Not,
    Parameter,
    names,
    walk,
)
from surgery.lang.expression.quoting import quote, unquote

__all__ = [
    "Arithmetic",
    "Attribute",
    "Boolean",
    "Call",
    "Comparison",
    "Const",
    "EvaluationError",
    "Expression",
    "Index",
    "Inherit",
    "ListOf",
    "Minus",
    "Name",
    "Not",
    "Parameter",
    "describe",
    "evaluate",
    "in_python",
    "names",
    "quote",
    "unquote",
    "walk",
]
