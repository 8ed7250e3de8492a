"""Memory that is used again and again: fresh pages cost more time than the copy that fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.tensors.spec import Spec

__all__ = ["LIMIT", "Scratch", "empty"]

#: the most bytes that a thread keeps for later
LIMIT = 128 << 20
_ALIGNMENT = 64


class Scratch:
    """Room for the tensors of one task at a time. What was taken is valid until `reset`."""

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._used = 0

    def reset(self) -> None:
        """Begin the next task: room for what the last one asked for is kept, up to the limit."""
        if self._used > (self._memory.nbytes if self._memory is not None else 0):
            import torch

            self._memory = None
            self._memory = torch.empty(min(self._used, LIMIT), dtype=torch.uint8)
        self._used = 0

    def take(self, spec: Spec) -> Tensor:
        """An uninitialised contiguous tensor: in the memory that is kept if there is room, else a fresh one."""
        from surgery.ops.arithmetic import torch_dtype

        begin = self._used
        self._used += -(-spec.nbytes // _ALIGNMENT) * _ALIGNMENT
        if self._memory is None or self._used > self._memory.nbytes:
            return empty(spec)
        return self._memory[begin : begin + spec.nbytes].view(torch_dtype(spec.dtype.name)).view(spec.shape)


def empty(spec: Spec) -> Tensor:
    """An uninitialised contiguous tensor, in memory of its own."""
    import torch

    from surgery.ops.arithmetic import torch_dtype

    return torch.empty(spec.shape, dtype=torch_dtype(spec.dtype.name))
