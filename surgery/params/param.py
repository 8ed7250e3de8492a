"""What a parameter is, and which values it may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from surgery.diagnostics import Span
from surgery.document import Node, Scalar
from surgery.fields.kinds import describe
from surgery.params.types import ParamType
from surgery.suggest import did_you_mean

__all__ = ["REQUIRED", "Param", "check_value"]


class Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


#: the default of a parameter that must be given
REQUIRED: Final = Required()


@dataclass(frozen=True, slots=True)
class Param:
    """A declared parameter.

    Attributes:
        name: what ``$name`` calls it.
        type: of a value, or of each item of a list.
        many: whether it is a list.
        default: the value where none is given; `REQUIRED` where there is none.
        choices: the only values it may have; empty for any.
        minimum: of numbers.
        maximum: of numbers.
        help: one line for people.
        origin: where the value is read from if none is given: ``file.json#/pointer``, parameters not yet put in.
        default_node: where the default stands, which may name other parameters.
        span: where it is declared.
    """

    name: str
    type: ParamType
    many: bool = False
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    origin: Scalar | None = field(default=None, repr=False, compare=False)
    default_node: Node | None = field(default=None, repr=False, compare=False)
    span: Span | None = field(default=None, repr=False, compare=False)

    @property
    def required(self) -> bool:
        """Whether a value has to be given."""
        return self.default is REQUIRED and self.origin is None

    @property
    def type_name(self) -> str:
        """The type as a recipe writes it: ``integer``, ``[integer]``."""
        return f"[{self.type.name}]" if self.many else self.type.name

    @property
    def what(self) -> str:
        """A value of it in words: ``an integer``, ``a list of integers``."""
        return f"a list of {self.type.several}" if self.many else self.type.what

    def schema(self) -> dict[str, Any]:
        """The values it may have, as JSON Schema, draft 7."""
        one = dict(self.type.schema)
        if self.choices:
            one["enum"] = list(self.choices)
        if self.minimum is not None:
            one["minimum"] = self.minimum
        if self.maximum is not None:
            one["maximum"] = self.maximum
        whole: dict[str, Any] = {"type": "array", "items": one} if self.many else one
        return {"anyOf": [whole, {"type": "null"}]} if self.default is None else whole


def check_value(param: Param, value: Any) -> tuple[str, tuple[str, ...]] | None:
    """What is wrong with a value, as a message and notes; None where it fits."""
    # imported here, since most recipes declare nothing that needs it
    import jsonschema

    validator = jsonschema.Draft7Validator(param.schema())
    wrong = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if wrong is None:
        return None
    if wrong.validator in ("minimum", "maximum"):
        side = "least" if wrong.validator == "minimum" else "most"
        return f"`{param.name}` is at {side} {wrong.validator_value}, not {wrong.instance}", ()
    if wrong.validator == "enum" and isinstance(wrong.instance, str):
        known = [str(choice) for choice in wrong.validator_value]
        near = did_you_mean(wrong.instance, known)
        return f"`{param.name}` cannot be `{wrong.instance}`", (near or f"it is one of: {', '.join(known)}",)
    if wrong.validator == "enum":
        known = [str(choice) for choice in wrong.validator_value]
        return f"`{param.name}` cannot be {describe(wrong.instance)}", (f"it is one of: {', '.join(known)}",)
    inside = f" in `{param.name}`" if wrong.path else f" for `{param.name}`"
    what = param.type.what if wrong.path else param.what
    return f"{what} is wanted{inside}, not {describe(wrong.instance)}", ()
