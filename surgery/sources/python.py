"""``python``: a model that a function makes."""

from __future__ import annotations

import inspect
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
    called as it stands, and its values are those it made, drawn from the recipe's seed.
    """

    example: ClassVar[str] = "{python: 'mypkg.models:build', kwargs: {depth: 12}}"

    python: str = main(word, help="`package.module:callable` or `package.module:Class.method`")
    kwargs: Any = option(arguments, help="arguments of the callable")

    def open(self, context: Context) -> Subject:
        """The subject of what the callable returns.

        Raises:
            SurgeryError: ``not-allowed``, ``import-failed``, ``builder-arguments``.
        """
        from surgery.model.given import subject_of_module
        from surgery.model.seeds import seeded

        if not isinstance(self.python, str):
            raise fail("parameter", "the callable is a parameter without a value", context.here)
        span = span_of(self.python) or context.here
        thing = self._callable(context, span)
        try:
            with seeded(context.seed, self.python):
                made = thing(**(self.kwargs or {}))
        except Exception as error:
            message = (
                f"`{self.python}` fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
            raise fail("builder-arguments", message, span, cause=error) from error
        return subject_of_module(made, self.python, context)

    def _callable(self, context: Context, span: Span | None) -> Any:
        """What is called. A method is one of a class: attributes are not walked any further."""
        from surgery.model.names import imported

        module, colon, attribute = self.python.partition(":")
        name, _, method = attribute.partition(".")
        if not colon or not all(word.isidentifier() for word in f"{module}.{attribute}".split(".")) or "." in method:
            message = f"`{self.python}` names no callable"
            raise fail("import-failed", message, span, ("`package.module:callable` or `package.module:Class.method`",))
        thing = imported(f"{module}.{name}", context.allow, span)
        if not method:
            return thing
        if not inspect.isclass(thing):
            raise fail("import-failed", f"`{module}:{name}` is no class, and only a class has methods", span)
        if not hasattr(thing, method):
            near = did_you_mean(method, dir(thing))
            raise fail("import-failed", f"`{module}:{name}` has no `{method}`", span, (near,) if near else ())
        return getattr(thing, method)

    def describe(self) -> str:
        """``python mypkg.models:build``."""
        return f"python {self.python}"
