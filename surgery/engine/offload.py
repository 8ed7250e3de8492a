"""Weights that stay on the disk: written where they lie nowhere as they are, and read whenever they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from surgery.engine.execute import write_targets
from surgery.engine.leaves import bytes_of_tensor
from surgery.engine.pages import pages
from surgery.engine.reading import SourceFiles
from surgery.formats import read
from surgery.ops.arithmetic import torch_dtype
from surgery.sinks.offload import offloading_of
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState, check_state
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
        states: what the files of all of them were when their headers were read. Of one that changed nothing is read.
    """

    def __init__(self, exprs: Mapping[str, Stored], states: Mapping[str, FileState]) -> None:
        self.exprs = dict(exprs)
        self.states = {piece.path: states[piece.path] for expr in exprs.values() for piece in expr.ranges}

    def __getitem__(self, key: str) -> Tensor:
        expr = self.exprs[key]
        tensor = _room(expr.spec)
        with SourceFiles(self.states) as files:
            files.read_all(expr.ranges, bytes_of_tensor(tensor))
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.exprs)

    def __len__(self) -> int:
        return len(self.exprs)


def _room(spec: Spec) -> Tensor:
    """A tensor to be filled, whose memory goes back to the system with it: layer after layer, it would add up."""
    import torch

    dtype = torch_dtype(spec.dtype.name)
    if spec.nbytes < _LARGE:
        return torch.empty(spec.shape, dtype=dtype)
    return torch.frombuffer(pages(spec.nbytes), dtype=dtype).reshape(spec.shape)


def offload(subject: Subject, states: Mapping[str, FileState]) -> OnDisk:
    """The tensors of a subject that stay on the disk; those that lie nowhere as they are get written, all or none.

    Args:
        subject: a model.
        states: what source files were when their headers were read.

    Raises:
        SurgeryError: as `surgery.engine.execute.write_outputs`.
    """
    found = offloading_of(subject)
    exprs = dict(found.lying)
    for path in {piece.path for expr in exprs.values() for piece in expr.ranges}:
        check_state(path, states[path])
    if found.target is not None:
        (written,) = write_targets(found.written, [found.target], states=states)
        checkpoint = read(written.path)
        exprs |= checkpoint.tree
        states = {**states, **checkpoint.files}
    return OnDisk(exprs, states)
