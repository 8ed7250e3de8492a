"""Initial values: what makes the tensors of new layers and of models without weights, when a plan is executed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from surgery.model.seeds import seeded
from surgery.model.skeleton import Skeleton
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.dtype import DType

__all__ = ["ModuleProducer"]


@dataclass(slots=True, eq=False)
class ModuleProducer:
    """Makes tensors by building a module for real, on the CPU, with torch's own initialisation.

    It is built once, from the generator's state that the seed and the key give; torch's global generator is left as it
    was. Each tensor is handed over without a copy, and forgotten, as is what nobody will ask for; asked for again, it
    is made again.

    Attributes:
        make: builds the module. It may hold parts on the meta device, which are not asked for.
        text: what is built, for people.
        seed, key: what the generator's state follows from.
        dtypes: the dtype of each tensor; values are drawn in torch's default dtype and then cast.
    """

    make: Callable[[], nn.Module]
    text: str
    seed: int
    key: str
    dtypes: Mapping[str, DType] = field(default_factory=dict)
    _wanted: frozenset[str] | None = None
    _made: dict[str, Tensor] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, name: str) -> str:
        """``Linear(512, 10)``."""
        return self.text

    def expect(self, names: frozenset[str]) -> None:
        """Be told which tensors will be asked for: of a whole model without weights often just the head."""
        self._wanted = names

    def produce(self, name: str) -> Tensor:
        """The tensor `name` of the module, as a new tensor on the CPU."""
        with self._lock:
            if name not in self._made:
                self._made = self._build(name)
            tensor = self._made.pop(name)
        dtype = self.dtypes.get(name)
        return tensor if dtype is None else tensor.to(torch_dtype(dtype.name))

    def _build(self, name: str) -> dict[str, Tensor]:
        with seeded(self.seed, self.key), torch.no_grad():
            module = self.make()
        real = {slot.key: slot.tensor.detach() for slot in Skeleton(module).slots() if not slot.tensor.is_meta}
        return {
            key: tensor for key, tensor in real.items() if self._wanted is None or key in self._wanted or key == name
        }
