"""``torchvision``: any model of ``torchvision.models``, with weights or without."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.document import Node, Scalar
from surgery.fields import OPEN, Kind, Reader, main, option
from surgery.fields.words import Word, arguments, word
from surgery.places import Place, place
from surgery.planning.context import Context
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.tensors.subject import Subject

__all__ = ["Torchvision"]

#: what people write where the name is in capitals, or null
_MEANT = {"none": "null", "false": "null", "true": "DEFAULT", "default": "DEFAULT"}
_AS_A_STEP = (
    "here weights must fit as they are; `weights: null` and a step `load: {from: …, steps: […]}` mend them first"
)
_NAME = re.compile(r"(\w+_Weights\.)?[A-Z][A-Z0-9_]*")


def _meant(value: Any) -> str | None:
    """What people mean who write None, a bool, or a name of weights in small letters."""
    word = str(value)
    name = _MEANT.get(word.lower()) or (word.upper() if word.startswith("imagenet1k") else None)
    if name is None:
        return None
    return f"`weights: {name}`" + (f"; a file of that name is `./{word}`" if isinstance(value, str) else "")


@dataclass(frozen=True, slots=True)
class _Weights(Kind):
    """Nothing, the name of published weights (capitals), or a place."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        if isinstance(node, Scalar):
            before = len(reader.diagnostics)
            value = reader.scalar(node)
            if value is None or value is OPEN:
                return value
            if value == "null":
                # the value of a parameter, which is text
                return None
            if isinstance(value, str) and _NAME.fullmatch(value):
                return Word(value, node.text.span(0, len(node.text.value)))
            del reader.diagnostics[before:]
            note = _meant(value)
            if note:
                reader.report("wrong-type", f"no weights are called `{node.text.value}`", node.span, (note,))
                return None
        return place.read(node, reader)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "null"}, *place.schema()["anyOf"]]}


@SOURCES.register("torchvision")
@dataclass(frozen=True, slots=True)
class Torchvision(Source):
    """A model of torchvision, by the name of its builder: classification, detection, segmentation, video, flow.

    `weights` are published ones by name (``IMAGENET1K_V2``, ``DEFAULT``), a place of a checkpoint that fits exactly, or
    null: initial values, drawn from the recipe's seed. Published weights come from torch.hub's cache, and are
    downloaded to it where the network is allowed. ``kwargs`` go to the builder.
    """

    example: ClassVar[str] = "{torchvision: resnet50, weights: IMAGENET1K_V2}"

    habits: ClassVar[Mapping[str, str]] = {
        "pretrained": "`weights: DEFAULT` are the published ones, `weights: null` none",
        "num_classes": "`kwargs: {num_classes: …}`",
    }

    torchvision: str = main(word, help="the name of a builder: `resnet50`")
    weights: Any = option(_Weights(), help="published weights by name, `DEFAULT`, a place, or null")
    kwargs: Any = option(arguments, help="arguments of the builder: `{num_classes: 10}`")

    def open(self, context: Context) -> Subject:
        """The subject of the model, no tensor data read."""
        from surgery.model.vision import vision_subject

        if OPEN in (self.torchvision, self.weights):
            raise fail("parameter", "the model or its weights are a parameter without a value", context.here)
        kwargs = self.kwargs or {}
        if not isinstance(self.weights, Place):
            return vision_subject(self.torchvision, self.weights, kwargs, context)
        subject = vision_subject(self.torchvision, None, kwargs, context)
        return self._loaded(subject, self.weights, context)

    def _loaded(self, subject: Subject, where: Place, context: Context) -> Subject:
        """The model with the tensors of a checkpoint, which must be its own exactly."""
        from surgery.planning.loading import load_into
        from surgery.sources.checkpoint import CheckpointSource

        loaded = CheckpointSource(where).open(context)
        outer, context.here = context.here, where.span or context.here
        before = len(context.diagnostics)
        try:
            return load_into(subject, loaded.entries, context, rest=loaded.rest, name=str(where))
        finally:
            context.here = outer
            # a source has no steps; the hints of a mismatch are for a step that has
            context.diagnostics[before:] = [
                dataclasses.replace(d, notes=(*d.notes, _AS_A_STEP)) if d.code == "load-mismatch" else d
                for d in context.diagnostics[before:]
            ]

    def describe(self) -> str:
        """``torchvision resnet50, IMAGENET1K_V2``."""
        return f"torchvision {self.torchvision}" + (f", {self.weights}" if self.weights else "")
