"""Layer expressions: ``Sequential(Dropout(0.2), Linear(old.in_features, 10))`` becomes a module.

The same function builds a layer without weights, for a plan, and for real, when initial values are needed.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from surgery.diagnostics import Diagnostic, Span, SurgeryError, fail
from surgery.lang.expression import (
    Attribute,
    Call,
    Const,
    EvaluationError,
    Expression,
    Inherit,
    ListOf,
    Name,
    evaluate,
    in_python,
)
from surgery.model.building import Build, build
from surgery.model.inherit import SizeUnknown, inherited, parameters_of
from surgery.model.names import layer_class, named_class
from surgery.model.old import old_value, plain_attributes
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES

__all__ = ["Scope", "build_layer", "make_layer", "no_span"]

_LITERALS = {"int": int, "float": float, "bool": bool, "str": str}


def no_span(at: tuple[int, int]) -> Span | None:
    """For expressions that stand in no text."""
    return None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a layer expression may use.

    Attributes:
        old: the layer that is replaced, without its weights; None where there is none.
        allow: permissions of the caller.
        span_of: the place of some characters of the expression.
    """

    old: nn.Module | None = None
    allow: frozenset[str] = frozenset()
    span_of: Callable[[tuple[int, int]], Span | None] = no_span


def make_layer(expression: Expression, scope: Scope) -> nn.Module:
    """The module that an expression describes, with weights where it makes any.

    Raises:
        SurgeryError: ``unknown-layer``, ``layer-arguments``, ``not-allowed``.
    """
    if isinstance(expression, Call):
        return _call(expression, scope)
    span = scope.span_of(expression.at)
    if isinstance(expression, Name | Attribute) and layer_class(str(expression)) is not None:
        raise fail("layer-arguments", f"`{expression}` is a class: `{expression}(…)` makes a layer", span)
    if str(expression).partition(".")[0] == "old":
        note = "`old` may be wrapped: `Sequential(Dropout(0.2), old)`"
        raise fail("layer-arguments", f"a layer stands here, not `{expression}`", span, (note,))
    if isinstance(expression, Name | Attribute):
        named_class(str(expression), scope.allow, span)
    raise fail("layer-arguments", f"`{expression}` is no layer", span, ("`Name(arguments)` makes one",))


def build_layer(expression: Expression, scope: Scope, current: Build) -> nn.Module:
    """The same without weights.

    Raises:
        SurgeryError: as above, and ``too-large``, at the expression.
    """
    try:
        return build(lambda: make_layer(expression, scope), current)
    except SurgeryError as error:
        place = scope.span_of(expression.at)
        found = [d if d.span else dataclasses.replace(d, span=place) for d in error.diagnostics]
        raise SurgeryError(found) from error


def _call(call: Call, scope: Scope) -> nn.Module:
    span = scope.span_of(call.at)
    if call.name.partition(".")[0] == "old":
        raise fail("layer-arguments", f"`{call.name}` is a layer already: it cannot be called", span)
    cls = named_class(call.name, scope.allow, span)
    given = [value for value in call.args if not isinstance(value, Inherit)]
    args = [_value(argument, scope) for argument in given]
    kwargs = {name: _value(argument, scope) for name, argument in call.kwargs}
    bound = _bind(cls, call, args, kwargs, span)
    if len(given) < len(call.args):
        kwargs |= _inherit(cls, call, bound, scope, span)
    places = {f"{index}": value for index, value in enumerate(call.args)} | dict(call.kwargs)
    _check_types(cls, call, bound, scope, places)
    return _construct(cls, call, args, kwargs, span)


def _construct(
    cls: type[nn.Module], call: Call, args: list[Any], kwargs: dict[str, Any], span: Span | None
) -> nn.Module:
    try:
        layer = cls(*args, **kwargs)
    except SurgeryError:
        raise
    except Exception as error:
        text = str(error).split("\n")[0]
        if isinstance(error, LookupError) or not text:
            # the text alone says little: that of a KeyError is the key
            text = f"{type(error).__name__}: {text}"
        if isinstance(error, MemoryError) or "memory" in text:
            raise fail("too-large", f"`{call}` is too large to be allocated", span, cause=error) from error
        message = f"`{call.name}` does not take these arguments: {text}"
        old = [type(value).__name__ for value in (*args, *kwargs.values()) if isinstance(value, nn.Module)]
        notes = (_usage(cls, call), *(f"it was given a module of the class {name}" for name in old[:1]))
        raise fail("layer-arguments", message, span, notes, cause=error) from error
    if any(isinstance(p, nn.UninitializedParameter) for p in layer.parameters()):
        note = "give the sizes: `Linear` for `LazyLinear`"
        raise fail("layer-arguments", f"`{call.name}` has no shape before it sees an input", span, (note,))
    return layer


def _usage(cls: type[nn.Module], call: Call) -> str:
    listed = ", ".join(
        str(p.replace(annotation=inspect.Parameter.empty))
        for p in parameters_of(cls)
        if p.name not in ("device", "dtype")
    )
    return f"{call.name}({listed})"


def _bind(
    cls: type[nn.Module], call: Call, args: list[Any], kwargs: dict[str, Any], span: Span | None
) -> dict[str, Any]:
    """The arguments by the names of their parameters; a missing one is left for the constructor to miss."""
    parameters = parameters_of(cls)
    known = [p.name for p in parameters]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in kwargs:
        if name not in known and not open_ended:
            near = did_you_mean(name, known)
            notes = tuple(note for note in (near, _usage(cls, call)) if note)
            raise fail("layer-arguments", f"`{call.name}` has no argument `{name}`", span, notes)
    try:
        return dict(inspect.Signature(parameters).bind_partial(*args, **kwargs).arguments)
    except TypeError as error:
        message = f"`{call.name}` does not take these arguments: {error}"
        raise fail("layer-arguments", message, span, (_usage(cls, call),)) from error


def _inherit(
    cls: type[nn.Module], call: Call, bound: dict[str, Any], scope: Scope, span: Span | None
) -> dict[str, Any]:
    if scope.old is None:
        raise fail("needs-a-model", "`...` takes arguments from the old layer, and there is none here", span)
    try:
        return inherited(cls, bound, scope.old)
    except SizeUnknown as error:
        raise fail("layer-arguments", str(error), span, ("give it by name",)) from error


def _check_types(
    cls: type[nn.Module], call: Call, bound: dict[str, Any], scope: Scope, places: dict[str, Expression]
) -> None:
    """Plain annotations are checked: torch itself would keep ``inplace='no'`` until the layer runs."""
    for index, parameter in enumerate(parameters_of(cls)):
        annotation = parameter.annotation
        wanted = _LITERALS.get(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", ""))
        if wanted is None or parameter.name not in bound or parameter.default is None:
            continue
        value = bound[parameter.name]
        fits = isinstance(value, (int, float) if wanted is float else wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            place = places.get(parameter.name, places.get(str(index), call))
            message = f"`{parameter.name}` of `{call.name}` is {_article(wanted)}, not {value!r}"
            raise fail("layer-arguments", message, scope.span_of(place.at), (_usage(cls, call),))


def _article(wanted: type) -> str:
    return {int: "an integer", float: "a number", bool: "True or False", str: "a text"}[wanted]


def _value(expression: Expression, scope: Scope) -> Any:
    """The value of an argument."""
    match expression:
        case Call():
            return _call(expression, scope)
        case Name(name="old"):
            if scope.old is None:
                raise _no_old(expression, scope)
            return scope.old
        case Name(name=name):
            return _named(name, expression, scope)
        case Attribute():
            return _attribute(expression, scope)
        case ListOf(items=items, is_tuple=is_tuple):
            values = [_value(item, scope) for item in items]
            return tuple(values) if is_tuple else values
    try:
        return evaluate(_resolved(expression, scope), {})
    except EvaluationError as error:
        raise SurgeryError(Diagnostic("layer-arguments", str(error), scope.span_of(error.expression.at))) from error


def _named(name: str, expression: Expression, scope: Scope) -> Any:
    """A bare name as an argument: a dtype, or a class (``norm_layer=LayerNorm``)."""
    if name in DTYPES:
        return getattr(torch, name)
    found = layer_class(name)
    if found is None:
        message = f"nothing is called `{name}` here{in_python(name)}"
        note = "arguments are literals, layers, `old`, and attributes of it; a text stands in quotes"
        if scope.old is not None and name in plain_attributes(scope.old):
            note = f"`old.{name}` is that of the layer that is replaced"
        raise fail("layer-arguments", message, scope.span_of(expression.at), (note,))
    return found


def _attribute(expression: Attribute, scope: Scope) -> Any:
    words = str(expression).split(".")
    if words[0] != "old":
        found = layer_class(str(expression))
        if found is None:
            note = f"`old.{words[-1]}` is that of the layer that is replaced"
            raise fail("layer-arguments", f"`{expression}` means nothing here", scope.span_of(expression.at), (note,))
        return found
    if scope.old is None:
        raise _no_old(expression, scope)
    try:
        return old_value(scope.old, words[1:])
    except LookupError as error:
        message, *notes = error.args
        raise fail("layer-arguments", message, scope.span_of(expression.at), notes) from error


def _no_old(expression: Expression, scope: Scope) -> SurgeryError:
    note = "a bare state dict has tensors and no modules: give the sizes as numbers"
    message = f"`{expression}` speaks of the old layer, and there is none here"
    return fail("needs-a-model", message, scope.span_of(expression.at), (note,))


def _resolved(expression: Expression, scope: Scope) -> Expression:
    """The expression with what it says of `old` put in as values."""
    if isinstance(expression, Attribute | Name):
        return Const(_value(expression, scope), at=expression.at)
    if not expression.children():
        return expression
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(expression):
        value = getattr(expression, field.name)
        if isinstance(value, Expression):
            changes[field.name] = _resolved(value, scope)
        elif isinstance(value, tuple) and any(isinstance(item, Expression) for item in value):
            changes[field.name] = tuple(_resolved(item, scope) for item in value)
    return dataclasses.replace(expression, **changes)
