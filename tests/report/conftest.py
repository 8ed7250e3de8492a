from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from surgery.content import Content
from surgery.diagnostics import SurgeryError
from surgery.lang import parse_rules
from surgery.plan import Cost, Plan
from surgery.planning.context import Context
from surgery.sinks.base import Output
from surgery.steps import STEPS
from surgery.steps.sequence import PlacedStep, apply_steps
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject
from surgery.text import SourceFileText, Text

PLAIN = {"rename": "key", "convert": "key", "copy": "key", "cast": "cast", "tie": "tie"}


def spec(*shape: int, dtype: str = "float32") -> Spec:
    return Spec(shape, DTYPES[dtype])


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    """A plan from shapes by key and steps as lines ``name: rules``, without files and without the YAML reader."""

    def make(shapes: Mapping[str, Spec], steps: str, **options: object) -> Plan:
        context = Context()
        entries = {}
        for number, (key, one) in enumerate(shapes.items()):
            origin = Origin("checkpoint.safetensors", key)
            context.inventory[origin] = one
            entries[key] = Entry(Stored(one, (ByteRange("checkpoint.safetensors", number, one.nbytes),)), (origin,))
        placed = tuple(_placed(steps))
        try:
            subject = apply_steps(placed, Subject(entries), context)
        except SurgeryError as error:
            raise AssertionError(str(error)) from error
        recipe = SimpleNamespace(
            name="example",
            description="An example.",
            steps=placed,
            document=None,
            display="recipe.yaml",
            content=Content(),
        )
        plan = Plan(
            recipe,  # type: ignore[arg-type]
            {},
            context.inventory,
            subject,
            tuple(context.drops),
            outputs=(Output("out.safetensors", "safetensors"),),
            remarks=tuple(context.remarks),
            warnings=tuple(context.diagnostics),
            **options,  # type: ignore[arg-type]
        )
        # of files that are not there
        plan.__dict__["cost"] = Cost(1000, 2000, 3000)
        return plan

    return make


def _placed(steps: str):  # type: ignore[no-untyped-def]
    file = SourceFileText.of("recipe.yaml", steps)
    for row, written in enumerate(steps.split("\n")):
        name, rest = written.split(": ", 1)
        start = len(name) + 2
        text = Text(rest, file, lambda index, row=row, start=start: (row, start + index))
        cls = STEPS[name]
        yield PlacedStep(name, cls(parse_rules(text, PLAIN[name])), file.span(row, 0, len(name)))


@pytest.fixture
def vit() -> dict[str, Spec]:
    """The tensors of a small transformer with fused projections."""
    found = {"module.embed.weight": spec(1000, 64)}
    for i in range(12):
        base = f"module.blocks.{i}"
        found[f"{base}.attn.qkv.weight"] = spec(192, 64)
        found[f"{base}.attn.qkv.bias"] = spec(192)
        found[f"{base}.norm.weight"] = spec(64)
        found[f"{base}.mlp.weight"] = spec(256 if i < 11 else 128, 64)
    found["module.head.weight"] = spec(10, 64)
    return found
