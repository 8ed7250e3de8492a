"""``keys``: tensors of given names and shapes, their values drawn from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.diagnostics import fail
from surgery.fields import main
from surgery.fields.specs import specs
from surgery.limits import exceeded, limits
from surgery.planning.context import Context, Opened
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.tensors.expr import Initial
from surgery.tensors.spec import Spec, format_bytes
from surgery.tensors.subject import Entry, Origin, Subject

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Keys"]


@dataclass(slots=True, eq=False)
class _Drawn:
    """Makes values that are none of a fresh layer: neither zeros nor ones, and different under each key."""

    seed: int
    specs: Mapping[str, Spec] = field(repr=False)

    def describe(self, name: str) -> str:
        """``drawn from the seed``."""
        return "drawn from the seed"

    def produce(self, name: str) -> Tensor:
        from surgery.model.drawn import drawn

        return drawn(name, self.specs[name], self.seed)


@SOURCES.register("keys")
@dataclass(frozen=True, slots=True)
class Keys(Source):
    """A state dict of the keys that are listed, each with its shape: for tests, and to try a recipe without weights.

    ``(q|k|v)`` in a key stands for each of its alternatives, ``(0..3)`` for each number; ``{shape: [2], dtype: int64}``
    is a shape with a dtype other than float32. Values are drawn from the recipe's seed and the key.
    """

    example: ClassVar[str] = "{keys: {'layers.(0..1).fc.weight': [8, 8]}}"

    keys: Any = main(specs)

    def open(self, context: Context) -> Subject:
        """The subject of the keys; nothing is drawn yet."""
        if self.keys is None:
            raise fail("wrong-type", "keys with shapes stand here", context.here)
        size = sum(spec.nbytes for spec in self.keys.values())
        if size > limits().model:
            raise exceeded("model", f"these tensors take {format_bytes(size)}", context.here, needed=size)
        producer = _Drawn(context.seed, self.keys)
        entries = {}
        for key, spec in self.keys.items():
            origin = Origin("keys", key)
            context.inventory[origin] = spec
            entries[key] = Entry(Initial(spec, producer, key), (origin,))
        context.opened.append(Opened(self.describe(), specs=dict(self.keys)))
        return Subject(entries)

    def describe(self) -> str:
        """``the listed keys``."""
        return "the listed keys"
