"""The subject: what the steps of a recipe work on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from surgery.diagnostics import Span
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from surgery.model.skeleton import Skeleton

__all__ = ["Entry", "Offload", "Origin", "Subject", "Touch", "in_memory", "tie_groups"]


class Origin(NamedTuple):
    """A tensor of a source: the source's name (a file, a model) and the key there."""

    source: str
    key: str


@dataclass(frozen=True, slots=True)
class Touch:
    """One thing that a rule did to a tensor: the step, what happened in words, and the rule's place.

    `computes` says that the values may have changed; a rename and a load leave them as they are. Where it made
    another tensor, `inputs` and `spec` are the specifications of what went into it and of what came out.
    """

    step: str
    action: str
    span: Span | None = None
    computes: bool = False
    inputs: tuple[Spec, ...] = ()
    spec: Spec | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key of the subject stands for.

    Attributes:
        expr: how the tensor is made. The same object under two keys means that they are tied.
        origins: the source tensors that went into it.
        trail: what the rules did to it, in order.
        kind: ``parameter`` or ``buffer``, where known.
        requires_grad: whether a parameter is trained; None where that is unknown.
        device: where a ``device_map`` puts it; None means the CPU, and ``disk`` that it is brought in when it is used.
        replaces: of a new tensor, the source tensors in whose place it stands; those of its own name first.
    """

    expr: TensorExpr
    origins: tuple[Origin, ...] = ()
    trail: tuple[Touch, ...] = ()
    kind: str | None = None
    requires_grad: bool | None = None
    device: str | None = None
    replaces: tuple[Origin, ...] = ()

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        return self.expr.spec

    def touched(self, touch: Touch, **changes: Any) -> Entry:
        """This entry with `changes`, and `touch` at the end of its trail."""
        if "expr" in changes:
            touch = dataclasses.replace(touch, inputs=(self.spec,), spec=changes["expr"].spec)
        # a rename touches every tensor that there is, and `dataclasses.replace` alone would take most of its time
        trail = (*self.trail, touch)
        entry = Entry(self.expr, self.origins, trail, self.kind, self.requires_grad, self.device, self.replaces)
        return dataclasses.replace(entry, **changes) if changes else entry


@dataclass(frozen=True, slots=True)
class Offload:
    """How tensors stay on the disk.

    Attributes:
        folder: the directory for those that lie in no safetensors file as they are; None where the recipe names none.
        overwrite: whether what an earlier run left there may be replaced.
        whole: the names of classes whose modules are brought in whole.
        span: the step's place in the recipe.
    """

    folder: str | None = None
    overwrite: bool = False
    whole: tuple[str, ...] = ()
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """An ordered mapping from keys to entries, with the model and the rest of the checkpoint, if there are any.

    Attributes:
        entries: key -> entry, in the order of the source.
        skeleton: the model without its weights; None for a bare state dict.
        rest: what else the checkpoint held (`surgery.formats.contents.Rest`); None if nothing.
        metadata: string pairs of the file (safetensors ``__metadata__``).
        offload: how the tensors whose device is ``disk`` stay there.
    """

    entries: Mapping[str, Entry]
    skeleton: Skeleton | None = None
    rest: Any = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    offload: Offload = Offload()

    def replace(self, **changes: Any) -> Subject:
        """This subject with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def bare(self, entries: Mapping[str, Entry]) -> Subject:
        """A bare state dict of `entries`, whatever this subject was."""
        return dataclasses.replace(self, entries=entries, skeleton=None)

    def ties(self) -> list[tuple[str, ...]]:
        """The groups of keys that are one tensor, each with two keys or more."""
        return tie_groups((key, entry.expr) for key, entry in self.entries.items())


def in_memory(subject: Subject) -> Subject:
    """The subject with nothing on the disk: that is on the CPU."""
    entries = {k: dataclasses.replace(e, device=None) if e.device == "disk" else e for k, e in subject.entries.items()}
    return subject.replace(entries=entries)


def tie_groups(items: Iterable[tuple[str, TensorExpr]]) -> list[tuple[str, ...]]:
    """The groups of keys whose expressions are one object, each with two keys or more, in order."""
    groups: dict[int, list[str]] = {}
    for key, expr in items:
        groups.setdefault(id(expr), []).append(key)
    return [tuple(keys) for keys in groups.values() if len(keys) > 1]
