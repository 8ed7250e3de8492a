"""A result in memory: key -> tensor, tied keys one tensor, nothing shared with what the caller gave."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from surgery.diagnostics import escape, fail
from surgery.engine.evaluation import Failure, nodes
from surgery.engine.pool import Job, run_jobs
from surgery.engine.reading import SourceFiles
from surgery.engine.tasks import tasks_in_memory
from surgery.engine.threads import one_thread_each
from surgery.engine.values import Values, explain
from surgery.formats.nodes import tensor_like
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.expr import Held, TensorExpr, Unread
from surgery.tensors.state import FileState
from surgery.tensors.subject import Entry

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["materialise"]


def materialise(entries: Mapping[str, Entry], *, states: Mapping[str, FileState] | None = None) -> dict[str, Tensor]:
    """The tensors of a subject, in its order.

    Keys that hold the same expression get the same tensor object, unless they are placed on different devices. Every
    other two tensors have storages of their own, each as large as its tensor, contiguous except where a tensor that was
    given is not. At most the result and what `surgery.engine.pool.BUDGET` allows is in memory at a time: a tensor goes
    to its device as soon as it is there. (What is on the meta device has no values, so that nothing is read for it. The
    ``disk`` is the CPU here.)

    Args:
        entries: key -> entry.
        states: what source files were when their headers were read.

    Raises:
        SurgeryError: codes ``source-changed``, ``corrupt-checkpoint``, ``execution``, ``no-memory``;
            ``unsupported-checkpoint`` where a tensor of a file is quantised, sparse or the like.
    """
    import torch  # noqa: F401  # before values are there: see `surgery.engine.stream`

    _refuse_unread(entries)
    placed: dict[tuple[int, str | None], Tensor] = {}
    keys: dict[int, str] = {}
    for key, entry in entries.items():
        if entry.device == "meta" and entry.spec.dtype.kind != "opaque":
            placed.setdefault((id(entry.expr), "meta"), _hollow(entry))
        else:
            keys.setdefault(id(entry.expr), key)
    named = list(keys.values())
    exprs = [entries[key].expr for key in named]
    with SourceFiles(states) as files:
        collector = _Collector(named, [entries[key] for key in named], files)
        jobs = [Job(partial(collector.run, task.members), task.memory) for task in tasks_in_memory(exprs)]
        with one_thread_each():
            run_jobs(jobs)
        files.refuse_written()
    made = {id(expr): tensor for expr, tensor in zip(exprs, collector.tensors, strict=True)}
    for entry in entries.values():
        where = (id(entry.expr), entry.device)
        if where not in placed:
            placed[where] = _on(made[id(entry.expr)], entry.device)
    return {key: placed[id(entry.expr), entry.device] for key, entry in entries.items()}


def _refuse_unread(entries: Mapping[str, Entry]) -> None:
    for key, entry in entries.items():
        if isinstance(entry.expr, Unread):
            notes = (
                f"leave it out: `filter: {{drop: {escape(key)}}}`",
                "or read the file with `torch.load` and pass the state dict: `recipe.run(state_dict=…)`",
            )
            message = f"`{escape(key)}` ({entry.spec}) is not read into memory: it {tensor_like(entry.expr.node)}"
            raise fail("unsupported-checkpoint", message, notes=notes)


def _hollow(entry: Entry) -> Tensor:
    """A tensor on the meta device."""
    import torch

    return torch.empty(entry.spec.shape, dtype=torch_dtype(entry.spec.dtype.name), device="meta")


def _on(tensor: Tensor, device: str | None) -> Tensor:
    """The tensor on a device.

    Raises:
        SurgeryError: code ``device``; it is not there.
    """
    wanted = "cpu" if device is None or device == "disk" else device
    if str(tensor.device) == wanted:
        return tensor
    try:
        return tensor.to(wanted)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise fail("device", f"no tensor can be put on `{device}`: {reason}", cause=error) from error


class _Collector:
    """Evaluates tasks, and sees to it that every result has a storage of its own."""

    def __init__(self, keys: Sequence[str], entries: Sequence[Entry], files: SourceFiles) -> None:
        self.tensors: list[Tensor] = [None] * len(keys)  # type: ignore[list-item]
        self._keys = keys
        self._entries = entries
        self._files = files
        self._lock = threading.Lock()
        self._storages = _held_storages(entries)

    def run(self, members: Sequence[int]) -> None:
        """Evaluate the expressions with these numbers."""
        values = Values((self._entries[number].expr for number in members), self._files)
        for number in members:
            entry = self._entries[number]
            try:
                tensor = values.take(entry.expr)
            except Failure as failure:
                raise explain(failure, self._keys[number], entry.trail) from failure.error
            try:
                own = self._own(tensor, entry.expr)
            except (RuntimeError, MemoryError) as error:
                # an expanded tensor of a few bytes can be a copy of terabytes
                raise explain(Failure("its copy", error), self._keys[number], entry.trail) from error
            self.tensors[number] = own if entry.device is None else _on(own, entry.device)

    def _own(self, tensor: Tensor, expr: TensorExpr) -> Tensor:
        if expr.spec.dtype.kind == "opaque":
            # lazy, sparse, quantised, or of a class of its own: copied as it copies itself
            return _copied(tensor)
        assert tuple(tensor.shape) == expr.spec.shape, "results are as planned"
        if isinstance(expr, Held):
            return tensor.clone()
        if self._is_alone(tensor):
            return tensor
        own = tensor.contiguous()
        return own if self._is_alone(own) else own.clone()

    def _is_alone(self, tensor: Tensor) -> bool:
        """Whether a tensor is contiguous, fills its storage, and is the first with that storage; it is noted then."""
        storage = tensor.untyped_storage()
        whole = tensor.is_contiguous() and storage.nbytes() == tensor.nbytes and not tensor._is_view()
        with self._lock:
            if not whole or storage.data_ptr() in self._storages:
                return False
            if tensor.numel():
                self._storages.add(storage.data_ptr())
            return True


def _copied(tensor: Tensor) -> Tensor:
    try:
        return copy.deepcopy(tensor)
    except RuntimeError:
        # a class that does not say how its tensors are made anew, or a tensor with a history
        return tensor.detach().clone()


def _held_storages(entries: Sequence[Entry]) -> set[int]:
    """Where the tensors that were given lie."""
    found = [node for node in nodes(e.expr for e in entries) if isinstance(node, Held)]
    held = [node.tensor for node in found if node.spec.dtype.kind != "opaque"]
    return {t.untyped_storage().data_ptr() for t in held if hasattr(t, "untyped_storage") and t.numel()}
