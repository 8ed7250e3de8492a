"""What a checkpoint holds, as data: nested containers whose leaves are tensor expressions and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Checkpoint", "Placeholder", "Rest"]


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """An object of a class that was not imported: its name and what the pickle would have built it from.

    Inert: nothing of the class runs. A torch output writes it back as it stood.

    Attributes:
        module, name: the class or function that the pickle names.
        args: what it was called with, or None where the pickle only names it.
        state: what its ``__setstate__`` or ``__dict__`` would have received (a dict of attributes, as a rule).
        items: list items or dict pairs that were added to it.
    """

    module: str
    name: str
    args: tuple[Any, ...] | None = None
    state: Any = None
    items: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """One checkpoint, its tensors not yet read.

    Attributes:
        path: the file, or the directory or index of shards.
        format: ``safetensors``, ``torch``, ``torch-legacy``, …
        tree: nested ``dict``/``list``/``tuple`` with `TensorExpr`, numbers, strings, None and `Placeholder` as leaves.
            Of safetensors, one flat dict. A tensor that stands in two places is one expression object.
        metadata: string pairs of the file; empty where the format has none.
        files: every file that was opened, with its size in bytes.
    """

    path: str
    format: str
    tree: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What else a checkpoint held beside the state dict that was taken from it.

    Attributes:
        tree: the whole tree of the checkpoint.
        entry: the path of containers, from the root of `tree`, at which the state dict stands; empty for the root.
        extra: entries of the state dict itself that are not tensors (``_extra_state``), by key.
        state_metadata: ``_metadata`` of the state dict, where it had any.
    """

    tree: Any
    entry: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    state_metadata: Mapping[str, Any] | None = None
