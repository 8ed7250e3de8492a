"""Steps in order: read from a list, and applied one after the other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.diagnostics import Span, SurgeryError
from surgery.document import MapNode, Node, Scalar
from surgery.fields import OPEN, Kind, Reader, boolean, string
from surgery.fields.schema import described, fields_schema, first_sentence
from surgery.planning.context import Context
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Subject
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.model.skeleton import Skeleton

__all__ = ["PlacedStep", "apply_steps", "step_schema", "steps"]

_BESIDE = ("when", "note")


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """A step of a recipe: where it stands, whether it is to be done, and what its author says of it."""

    name: str
    step: Step
    span: Span
    when: bool = True
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Steps(Kind):
    """A list of steps, each a mapping with one name of a step, and perhaps ``when`` and ``note``."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> tuple[PlacedStep, ...]:
        if isinstance(node, MapNode) or (isinstance(node, Scalar) and node.value is not None):
            reader.report("wrong-type", "a list of steps stands here", node.span, ("each begins with a hyphen",))
            return ()
        items = () if isinstance(node, Scalar) else reader.items(node)
        found = [self._step(item, reader) for item in items]
        return tuple(step for step in found if step is not None)

    def _step(self, node: Node, reader: Reader) -> PlacedStep | None:
        if not isinstance(node, MapNode):
            self._no_mapping(node, reader)
            return None
        named = [key for key, _ in node.pairs if key.value not in _BESIDE]
        if len(named) != 1:
            names = listed(key.value for key in named)
            what = f"this step has {len(named)} names, {names}" if named else "this step has no name"
            note = "each step is an item of the list by itself" if named else "a step is a mapping: `rename: …`"
            reader.report("step-name", what, (named[1] if named else node).span, (note,))
            return None
        name, cls = str(named[0].value), STEPS.get(str(named[0].value))
        if cls is None:
            near = did_you_mean(name, STEPS)
            reader.report("unknown-step", f"there is no step `{name}`", named[0].span, (near or _list(),))
            return None
        when = self._beside(node, "when", boolean, reader)
        note_text = self._beside(node, "note", string, reader)
        before = len(reader.diagnostics)
        step = reader.fields(cls, node.get(name))  # type: ignore[arg-type]
        if step is None:
            return None
        if len(reader.diagnostics) == before:
            reader.diagnostics.extend(step.check())
        return PlacedStep(name, step, named[0].span, when is not False, note_text)

    def _beside(self, node: MapNode, name: str, kind: Kind, reader: Reader) -> Any:
        value = node.get(name)
        read = kind.read(value, reader) if value is not None else None
        return None if read is OPEN else read

    def _no_mapping(self, node: Node, reader: Reader) -> None:
        text = node.value if isinstance(node, Scalar) else None
        if isinstance(text, str) and text in STEPS:
            reader.report("wrong-type", f"nothing is said of what `{text}` is to do", node.span, (f"`{text}: …`",))
        else:
            reader.report("wrong-type", "a step stands here: a mapping such as `rename: …`", node.span)

    def schema(self) -> dict[str, Any]:
        return {"type": ["array", "null"], "items": {"$ref": "#/definitions/step"}}


steps = _Steps()


def _list() -> str:
    return f"steps: {', '.join(STEPS)}"


def step_schema() -> dict[str, Any]:
    """One step as JSON Schema: an object with the names of all steps, exactly one of which is there."""
    properties: dict[str, Any] = {}
    for name in STEPS:
        properties[name] = described(fields_schema(STEPS[name]), first_sentence(STEPS[name]))
    properties |= {
        "when": {"description": "whether the step is done at all", **boolean.schema()},
        "note": {"description": "what the author says of the step", "type": "string"},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def apply_steps(placed: tuple[PlacedStep, ...], subject: Subject, context: Context) -> Subject:
    """The subject after the steps, in order.

    All errors of one step are found together; the steps behind it are not examined, since what they would see is not
    known.

    Raises:
        SurgeryError: what the first failing step reported, and all warnings so far.
    """
    outer = context.here
    for one in placed:
        if not one.when:
            continue
        context.here = one.span
        if one.step.needs_model and subject.skeleton is None:
            _needs_model(one, context)
        try:
            before, subject = subject, one.step.apply(subject, context)
            if before.skeleton is not None and subject.skeleton is None:
                _remark_beyond(before.skeleton, context)
        except SurgeryError as error:
            # steps inside a step have reported to the same context already; what has no place of its own is the step's
            new = [d for d in error.diagnostics if d not in context.diagnostics]
            context.diagnostics.extend(d if d.span else dataclasses.replace(d, span=one.span) for d in new)
        context.raise_errors()
    context.here = outer
    return subject


def _remark_beyond(skeleton: Skeleton, context: Context) -> None:
    """Say what a state dict of a model leaves behind, where it is made of its parameters and buffers alone."""
    from surgery.model.beyond import beyond

    lost = beyond(skeleton)
    if lost:
        context.remarks.append(f"held by no parameter or buffer, and left behind with the model: {listed(lost, 3)}")


def _needs_model(one: PlacedStep, context: Context) -> None:
    note = "the subject is a bare state dict: it has tensors and no modules"
    context.report("needs-a-model", f"`{one.name}` works on a model", one.span, (note,))
    context.raise_errors()
