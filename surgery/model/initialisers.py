"""Initialisers of ``torch.nn.init``, by name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import init

from surgery.diagnostics import fail
from surgery.lang.expression import Call, EvaluationError, Name, evaluate
from surgery.lang.rule import Rule
from surgery.model.seeds import seeded
from surgery.ops.arithmetic import convert, torch_dtype
from surgery.ops.base import OpError
from surgery.suggest import did_you_mean
from surgery.tensors.expr import Initial
from surgery.tensors.spec import Spec

__all__ = ["Initialiser", "bind_initialiser", "initial"]

# the shapes of tensors, at most, on which an initialiser is tried out
_SMALL = 4096


def _known() -> dict[str, Callable[..., Any]]:
    found = {name: thing for name, thing in vars(init).items() if inspect.isfunction(thing)}
    return {name: thing for name, thing in found.items() if name.endswith("_") and not name.startswith("_")}


@dataclass(frozen=True, slots=True)
class Initialiser:
    """A function of ``torch.nn.init`` with its arguments."""

    text: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def fill(self, tensor: Tensor) -> None:
        """Fill a tensor, from torch's generator."""
        self.function(tensor, *self.args, **self.kwargs)


@dataclass(frozen=True, slots=True, eq=False)
class _InitialiserProducer:
    """Makes one tensor by an initialiser, from a generator seeded for its key."""

    initialiser: Initialiser
    spec: Spec
    seed: int

    def describe(self, name: str) -> str:
        """``trunc_normal_(std=0.02)``."""
        return self.initialiser.text

    def produce(self, name: str) -> Tensor:
        """The tensor for the key `name`.

        Raises:
            SurgeryError: code ``execution``; a value does not fit into the dtype.
        """
        try:
            return _filled(self.initialiser, self.spec.shape, self.spec.dtype.name, self.seed, name)
        except OpError as error:
            raise fail("execution", f"`{name}`: {error}", cause=error) from error


def _filled(initialiser: Initialiser, shape: tuple[int, ...], dtype: str, seed: int, name: str) -> Tensor:
    """A new tensor: drawn in float32 (float64 for double), then cast."""
    target = torch_dtype(dtype)
    # float8 has no promotion
    wide = torch.float32 if target.itemsize == 1 else torch.promote_types(target, torch.float32)
    tensor = torch.empty(shape, dtype=wide)
    with seeded(seed, name), torch.no_grad():
        initialiser.fill(tensor)
    return convert(initialiser.function.__name__, tensor, target)


def bind_initialiser(rule: Rule) -> Initialiser:
    """The initialiser on the right side of a rule.

    Raises:
        SurgeryError: ``unknown-initialiser``; ``layer-arguments``.
    """
    expression: Call | Name = rule.right
    span = rule.span_of(expression.at)
    known = _known()
    function = known.get(expression.name)
    if function is None:
        near = did_you_mean(expression.name, known) or f"initialisers: {', '.join(sorted(known))}"
        raise fail("unknown-initialiser", f"there is no initialiser `{expression.name}`", span, (near,))
    args, kwargs = (expression.args, expression.kwargs) if isinstance(expression, Call) else ((), ())
    try:
        given = tuple(evaluate(argument, {}) for argument in args)
        named = {name: evaluate(argument, {}) for name, argument in kwargs}
    except EvaluationError as error:
        raise fail("layer-arguments", str(error), rule.span_of(error.expression.at), cause=error) from error
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "generator"]
    usage = ", ".join(str(p.replace(annotation=p.empty)) for p in parameters[1:])
    try:
        inspect.Signature(parameters).bind(None, *given, **named)
    except TypeError as error:
        message = f"`{expression.name}` does not take these arguments: {error}"
        raise fail("layer-arguments", message, span, (f"{expression.name}({usage})",), cause=error) from error
    return Initialiser(str(expression), function, given, named)


def _small(initialiser: Initialiser, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that an initialiser takes if it takes `shape`, with few elements."""
    if prod(shape) <= _SMALL:
        return shape
    if initialiser.function is init.dirac_:
        # its groups divide the first dimension, and the others do not matter
        return (shape[0], *(1 for _ in shape[1:]))
    return tuple(min(size, 8) for size in shape)


def initial(
    initialiser: Initialiser, key: str, spec: Spec, seed: int, rule: Rule, *, text: str | None = None
) -> Initial:
    """The tensor `key`, filled by an initialiser, which is called `text` if that is given.

    Raises:
        SurgeryError: ``layer-arguments``; it is not for tensors of this shape or dtype, or takes no such values.
    """
    span = rule.span_of(rule.right.at)
    if spec.dtype.kind not in ("float", "complex"):
        raise fail("layer-arguments", f"`{key}` is {spec}: initialisers fill floating-point tensors", span)
    try:
        _filled(initialiser, _small(initialiser, spec.shape), spec.dtype.name, 0, "")
    except Exception as error:
        message = f"`{initialiser.text}` does not fill `{key}`, {spec}: {error}"
        raise fail("layer-arguments", message, span, cause=error) from error
    if text is not None:
        initialiser = dataclasses.replace(initialiser, text=text)
    return Initial(spec, _InitialiserProducer(initialiser, spec, seed), key)
