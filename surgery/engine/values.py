"""Expressions evaluated: each operation once, each value freed when its last user is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from surgery.diagnostics import SurgeryError, fail
from surgery.engine.leaves import leaf_tensor
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch
from surgery.engine.threads import use_one_thread
from surgery.ops.base import OpError
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.subject import Touch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Failure", "Values", "explain", "group_of", "nodes"]

Slot: TypeAlias = Hashable


def group_of(expr: Computed) -> Hashable:
    """What the results of one operation on the same inputs share: they are computed together."""
    return (id(expr.operation), tuple(map(id, expr.inputs)), expr.outputs)


def _slot(expr: TensorExpr) -> Slot:
    return (group_of(expr), expr.output) if isinstance(expr, Computed) else id(expr)


def nodes(roots: Iterable[TensorExpr]) -> Iterator[TensorExpr]:
    """Every leaf, and one expression of every operation, below `roots`, each once."""
    seen: set[Hashable] = set()
    waiting = list(roots)
    while waiting:
        expr = waiting.pop()
        identity = group_of(expr) if isinstance(expr, Computed) else id(expr)
        if identity in seen:
            continue
        seen.add(identity)
        yield expr
        if isinstance(expr, Computed):
            waiting.extend(expr.inputs)


class Failure(Exception):
    """An operation failed on the values that it got."""

    def __init__(self, operation: object, error: Exception) -> None:
        super().__init__(str(error))
        self.operation = operation
        self.error = error


class Values:
    """The values of some expressions, which are taken in order, each once.

    Args:
        roots: what will be taken, in that order.
        files: where stored bytes are read from.
        scratch: memory for what is read; values are then valid until it is reset.
    """

    def __init__(self, roots: Iterable[TensorExpr], files: SourceFiles, scratch: Scratch | None = None) -> None:
        roots = list(roots)
        self._files = files
        self._scratch = scratch
        self._values: dict[Slot, Tensor] = {}
        self._uses: Counter[Slot] = Counter(map(_slot, roots))
        for node in nodes(roots):
            if isinstance(node, Computed):
                self._uses.update(map(_slot, node.inputs))

    def take(self, expr: TensorExpr) -> Tensor:
        """The value of an expression. It may be a view, and share storage with other values.

        Raises:
            Failure: an operation failed.
            SurgeryError: a source changed or is damaged.
        """
        waiting = [expr]
        while waiting:
            node = waiting[-1]
            absent = [i for i in _inputs(node) if _slot(i) not in self._values] if self._lacks(node) else []
            if absent:
                waiting.extend(reversed(absent))
                continue
            waiting.pop()
            if self._lacks(node):
                self._make(node)
        return self._used(expr)

    def _lacks(self, node: TensorExpr) -> bool:
        return _slot(node) not in self._values

    def _make(self, node: TensorExpr) -> None:
        if not isinstance(node, Computed):
            self._values[_slot(node)] = leaf_tensor(node, self._files, self._scratch)
            return
        results = _apply(node, [self._used(i) for i in node.inputs])
        assert len(results) == node.outputs, f"{node.operation} gives what it says"
        for number, result in enumerate(results):
            slot = (group_of(node), number)
            if self._uses[slot]:
                self._values[slot] = result

    def _used(self, expr: TensorExpr) -> Tensor:
        """The value, which is forgotten if nobody else needs it."""
        slot = _slot(expr)
        self._uses[slot] -= 1
        return self._values[slot] if self._uses[slot] else self._values.pop(slot)


def _inputs(node: TensorExpr) -> tuple[TensorExpr, ...]:
    return node.inputs if isinstance(node, Computed) else ()


def _apply(node: Computed, inputs: list[Tensor]) -> list[Tensor]:
    import torch

    use_one_thread()
    try:
        with torch.no_grad():
            return node.operation.apply(inputs, node.outputs)
    except (OpError, RuntimeError, TypeError, MemoryError) as error:
        raise Failure(node.operation, error) from error


def explain(failure: Failure, key: str, trail: tuple[Touch, ...]) -> SurgeryError:
    """The failure of an operation as an error about the tensor `key`, at the rule that asked for the operation."""
    error = failure.error
    name = str(failure.operation)
    touches = [touch for touch in trail if touch.span is not None]
    asked = [touch for touch in touches if name in touch.action] or touches
    span = asked[-1].span if asked else None
    if isinstance(error, OpError):
        notes = (error.suggestion,) if error.suggestion else ()
        return fail("execution", f"`{key}`: {error.message}", span, notes, error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return fail("no-memory", f"`{key}`: {name} needs more memory than there is", span, (), error)
    return fail("execution", f"`{key}`: {name} failed: {str(error).splitlines()[0]}", span, (), error)
