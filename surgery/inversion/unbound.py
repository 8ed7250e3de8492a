"""Operations whose arguments are parameters without a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from surgery.diagnostics import SurgeryError
from surgery.lang.bind import bind, parameters
from surgery.lang.rule import Rule
from surgery.params import REQUIRED, Param
from surgery.planning.pipeline import Pipeline, bind_pipeline

__all__ = ["Unbound", "is_bound", "unbound_pipeline"]

#: stands for an integer, each time another one, that no recipe would hold
_NOBODYS = 715_827_881
_MOST = 100


class Unbound(ValueError):
    """What an operation does depends on a parameter."""


def unbound_pipeline(rule: Rule, params: Mapping[str, Param]) -> Pipeline:
    """The operations of a rule, integers that nobody would write in the place of its integer parameters.

    Raises:
        Unbound: an argument that is a parameter of another kind, or may not be such an integer.
    """
    names = {name for name, _ in parameters(rule.right.operations)}
    values: dict[str, Any] = {}
    for number, name in enumerate(sorted(names)):
        param = params[name]
        if param.type.name == "integer" and not param.many and number < _MOST:
            values[name] = _NOBODYS + number
        elif param.default is not REQUIRED and param.default_node is not None and "$" not in str(param.default):
            values[name] = param.default
        else:
            raise Unbound(f"what undoes this depends on the parameter `{name}`")
    operations = bind(rule.right.operations, values)
    bound = dataclasses.replace(rule, right=dataclasses.replace(rule.right, operations=operations))
    try:
        return bind_pipeline(bound, operations)
    except SurgeryError as error:
        raise Unbound(f"what undoes this depends on parameters: {error.diagnostics[0].message}") from None


def is_bound(text: str) -> bool:
    """Whether a text holds none of the integers that stand for parameters."""
    return not any(str(_NOBODYS + number) in text for number in range(_MOST))
