"""The values of the parameters for one run: given, read from files, or default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgery.diagnostics import Diagnostic, Span, SurgeryError
from surgery.fields import OPEN, Declared, Reader, anything
from surgery.params.arguments import Argument
from surgery.params.declare import depends_on
from surgery.params.param import REQUIRED, Param, check_value
from surgery.params.pointer import NotThere, read_pointer
from surgery.params.types import TYPES
from surgery.references.kind import Passed
from surgery.suggest import did_you_mean
from surgery.wording import listed

__all__ = ["bind_params"]


def bind_params(
    params: Mapping[str, Param],
    given: Mapping[str, Any],
    *,
    directory: Path,
    recipe_directory: Path | None,
    by_recipe: bool = False,
) -> dict[str, Declared]:
    """A value for each parameter.

    Args:
        params: as declared.
        given: values from Python, `Argument` for those from a command line, `Passed` for those from another recipe.
        directory: the caller's: what relative paths that were given are relative to.
        recipe_directory: what those in the recipe are relative to; None for a recipe that may read no file by itself.
        by_recipe: whether it is another recipe that gives the values.

    Raises:
        SurgeryError: unknown names, missing and unfit values, all together.
    """
    binder = _Binder(params, directory, recipe_directory, by_recipe)
    for name, value in given.items():
        binder.give(name, value)
    for name in params:
        binder.find(name)
    errors = binder.reader.diagnostics
    if errors:
        raise SurgeryError(errors)
    return {name: binder.found[name] for name in params}


@dataclass(slots=True)
class _Binder:
    """Values on their way; what is wrong with them goes to the reader."""

    params: Mapping[str, Param]
    directory: Path
    recipe_directory: Path | None
    by_recipe: bool
    found: dict[str, Declared] = field(default_factory=dict)
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = Reader(self.found, is_foreign=self.recipe_directory is None)

    def give(self, name: str, value: Any) -> None:
        """Take a value from the caller: from Python, a command line, or another recipe."""
        argument = value.text if isinstance(value, Argument) else None
        passed = value if isinstance(value, Passed) else None
        param = self.params.get(name)
        if param is None:
            span = argument.file.span(0, 0, len(name)) if argument else passed.name if passed else None
            declared = f"its parameters: {listed(self.params)}"
            note = did_you_mean(name, self.params) or (declared if self.params else "it has none")
            if _is_subject(value):
                note = f"what a recipe calls `{{given: {name}}}` is passed as `given={{'{name}': …}}`"
            self.reader.report("parameter-value", f"the recipe has no parameter `{name}`", span, (note,))
        elif argument:
            span, plain = argument.span(0, len(argument.value)), _from_text(param, argument.value)
            self.take(param, plain, span, str(self.directory), code="parameter-value")
        elif passed:
            self.take(param, _from_python(param, passed.value), passed.span, passed.base, code="parameter-value")
        else:
            self.take(param, _from_python(param, value), None, str(self.directory), code="parameter-value")

    def take(self, param: Param, value: Any, span: Span | None, base: str | None, *, code: str) -> None:
        """Keep a value if it fits; if not, the parameter is open, so that its uses are no errors too."""
        wrong = check_value(param, value)
        if wrong is not None:
            self.reader.diagnostics.append(Diagnostic(code, wrong[0], span, wrong[1]))
            value = OPEN
        self.found[param.name] = Declared(
            param.name, _from_python(param, value), base, is_path=param.type is TYPES["path"]
        )

    def find(self, name: str) -> None:
        """The value of a parameter that was not given, those it is made of first."""
        if name in self.found:
            return
        param = self.params[name]
        for other in depends_on(param):
            self.find(other)
        if param.origin is not None and self.read(param):
            return
        if param.default is REQUIRED or param.default_node is None:
            self.found.setdefault(name, Declared(name))
            if param.origin is None:
                self.missing(param)
            return
        value = anything.read(param.default_node, self.reader)
        if value == param.default or value is OPEN:
            self.found[name] = Declared(name, _from_python(param, value))
        else:
            base = self.reader.directory_of(param.default_node)
            self.take(param, value, param.default_node.span, base, code="parameter")

    def missing(self, param: Param) -> None:
        what = param.help or param.what
        name = param.name
        note = f"`params: {{{name}: …}}`" if self.by_recipe else f"`-p {name}=…`; from Python `{name}=…`"
        self.reader.report("parameter-value", f"`{name}` has to be given: {what}", param.span, (note,))

    def read(self, param: Param) -> bool:
        """Take a value from the file that `from` names. False where the file has none and there is a default."""
        assert param.origin is not None
        text = self.reader.scalar(param.origin)
        if text is OPEN:
            self.found[param.name] = Declared(param.name)
            return True
        path, _, pointer = text.partition("#")
        base = self.reader.directory_of(param.origin)
        directory = base or self.recipe_directory
        if directory is None:
            note = "a recipe from elsewhere reads no file but those that its caller names, for its parameters"
            self.reader.report("not-allowed", f"`{path}` is a file of this machine", param.origin.span, (note,))
            self.found.setdefault(param.name, Declared(param.name))
            return True
        try:
            value = read_pointer(Path(directory) / path, pointer)
        except NotThere as error:
            if param.default is not REQUIRED:
                return False
            self.reader.report("parameter-file", str(error), param.origin.span, error.notes)
        except SurgeryError as error:
            self.reader.diagnostics.extend(error.placed(param.origin.span).diagnostics)
        else:
            self.take(param, _from_python(param, value), param.origin.span, base, code="parameter-file")
        self.found.setdefault(param.name, Declared(param.name))
        return True


def _from_text(param: Param, text: str) -> Any:
    """The value of a text from a command line. A list is `[a, b]`, or `a,b`."""
    if not param.many:
        return param.type.from_text(text)
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    pieces = [piece.strip() for piece in inner.split(",")] if inner.strip() else []
    return [param.type.from_text(piece) for piece in pieces]


def _from_python(param: Param, value: Any) -> Any:
    if param.many and isinstance(value, list | tuple):
        return [param.type.from_python(item) for item in value]
    return param.type.from_python(value)


def _is_subject(value: Any) -> bool:
    """Whether a value from Python is a module, or maps names to tensors, and no parameter's."""
    if isinstance(value, Mapping):
        return any(hasattr(inner, "shape") for inner in value.values())
    return hasattr(value, "state_dict")
