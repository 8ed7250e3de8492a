"""Weights that stay on the disk: written where they lie nowhere as they are, and read whenever they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from surgery.diagnostics import fail
from surgery.engine.execute import write_targets
from surgery.engine.leaves import bytes_of_tensor
from surgery.engine.pages import pages
from surgery.engine.reading import SourceFiles
from surgery.formats import read
from surgery.sinks.offload import offloading_of
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OnDisk", "offload"]

#: from this size on, pages of their own cost a tensor nothing
_LARGE = 1 << 20


class OnDisk(Mapping[str, "Tensor"]):
    """Key -> tensor, read from its file each time that it is asked for, and not kept. For the hooks of accelerate.

    (accelerate's own `OffloadedWeightsLoader` does not notice that a file has changed, and takes memory twice.)

    Attributes:
        exprs: key -> its bytes.
    """

    def __init__(self, exprs: Mapping[str, Stored]) -> None:
        self.exprs = dict(exprs)
        self._states = {piece.path: _state(piece.path) for expr in exprs.values() for piece in expr.ranges}

    def __getitem__(self, key: str) -> Tensor:
        expr = self.exprs[key]
        self.refuse_changed(key)
        tensor = _room(expr.spec)
        with SourceFiles() as files:
            files.read_all(expr.ranges, bytes_of_tensor(tensor))
        return tensor

    def refuse_changed(self, key: str) -> None:
        """Whether the file of a tensor is what it was.

        Raises:
            SurgeryError: code ``source-changed``.
        """
        for piece in self.exprs[key].ranges:
            if _state(piece.path) != self._states[piece.path]:
                message = f"`{piece.path}` is not what it was when the model was made"
                raise fail("source-changed", message, notes=("its weights are brought in from there: make it again",))

    def __iter__(self) -> Iterator[str]:
        return iter(self.exprs)

    def __len__(self) -> int:
        return len(self.exprs)


def _room(spec: Spec) -> Tensor:
    """A tensor to be filled, whose memory goes back to the system with it: layer after layer, it would add up."""
    import torch

    dtype = getattr(torch, spec.dtype.name)
    if spec.nbytes < _LARGE:
        return torch.empty(spec.shape, dtype=dtype)
    return torch.frombuffer(pages(spec.nbytes), dtype=dtype).reshape(spec.shape)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def offload(subject: Subject, *, sizes: Mapping[str, int] | None = None) -> OnDisk:
    """The tensors of a subject that stay on the disk; those that lie nowhere as they are get written, all or none.

    Args:
        subject: a model.
        sizes: how large source files were when the plan was made.

    Raises:
        SurgeryError: as `surgery.engine.execute.write_outputs`.
    """
    found = offloading_of(subject)
    exprs = dict(found.lying)
    with SourceFiles(sizes) as files:
        for path in {piece.path for expr in exprs.values() for piece in expr.ranges}:
            files.descriptor(path)
    if found.target is not None:
        (written,) = write_targets(found.written, [found.target], sizes=sizes)
        exprs |= read(written.path).tree
    return OnDisk(exprs)
