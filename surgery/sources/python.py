"""``python``: a model that a function makes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Span, fail
from surgery.fields import main, option
from surgery.fields.words import arguments, span_of, word
from surgery.planning.context import Context
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Subject

__all__ = ["PythonSource"]


@SOURCES.register("python")
@dataclass(frozen=True, slots=True)
class PythonSource(Source):
    """The model that a Python function or class makes, ``pkg.module:callable`` or ``pkg.module:Class.method``.

    Its package is imported, which runs code, so the caller has to allow it: ``--allow import:pkg``. The function is
    called as it stands, and its values are those it made, drawn from the recipe's seed. An argument that is a mapping
    of ``python`` and ``kwargs`` again is what that call makes: ``kwargs: {config: {python: 'mypkg:Config'}}``.
    """

    example: ClassVar[str] = "{python: 'mypkg.models:build', kwargs: {depth: 12}}"

    python: str = main(word, help="`package.module:callable` or `package.module:Class.method`")
    kwargs: Any = option(arguments, help="arguments of the callable, calls in the same form among them")

    def open(self, context: Context) -> Subject:
        """The subject of what the callable returns.

        Raises:
            SurgeryError: ``not-allowed``, ``import-failed``, ``builder-arguments``.
        """
        from surgery.model.given import subject_of_module
        from surgery.model.seeds import seeded

        if not isinstance(self.python, str):
            raise fail("parameter", "the callable is a parameter without a value", context.here)
        with seeded(context.seed, self.python):
            made = _called(self.python, self.kwargs or {}, context, span_of(self.python) or context.here)
        return subject_of_module(made, self.python, context)

    def describe(self) -> str:
        """``python mypkg.models:build``."""
        return f"python {self.python}"


def _called(name: str, kwargs: Mapping[str, Any], context: Context, span: Span | None) -> Any:
    """What the callable makes of the arguments, those that are calls themselves being made first."""
    thing = _callable(name, context, span)
    arguments = {word: _value(value, context, span_of(kwargs, word) or span) for word, value in kwargs.items()}
    try:
        return thing(**arguments)
    except (Exception, SystemExit) as error:  # one that leaves would end the command as if all were well
        message = f"`{name}` fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise fail("builder-arguments", message, span, cause=error) from error


def _value(value: Any, context: Context, span: Span | None) -> Any:
    """An argument: what a call makes, or what stands there."""
    if isinstance(value, Mapping):
        name, kwargs = value.get("python"), value.get("kwargs", {})
        if isinstance(name, str) and isinstance(kwargs, Mapping) and set(value) <= {"python", "kwargs"}:
            return _called(name, kwargs, context, span)
        return {word: _value(inner, context, span) for word, inner in value.items()}
    return [_value(inner, context, span) for inner in value] if isinstance(value, list) else value


def _callable(text: str, context: Context, span: Span | None) -> Any:
    """What is called. A method is one of a class: attributes are not walked any further."""
    from surgery.model.names import imported

    module, colon, attribute = text.partition(":")
    name, _, method = attribute.partition(".")
    if not colon or not all(word.isidentifier() for word in f"{module}.{attribute}".split(".")) or "." in method:
        note = "`package.module:callable` or `package.module:Class.method`"
        raise fail("import-failed", f"`{text}` names no callable", span, (note,))
    thing = imported(f"{module}.{name}", context.allow, span)
    if not method:
        return thing
    if not inspect.isclass(thing):
        raise fail("import-failed", f"`{module}:{name}` is no class, and only a class has methods", span)
    if not hasattr(thing, method):
        near = did_you_mean(method, dir(thing))
        raise fail("import-failed", f"`{module}:{name}` has no `{method}`", span, (near,) if near else ())
    return getattr(thing, method)
