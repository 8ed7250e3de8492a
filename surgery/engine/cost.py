"""What an execution will take, from expressions alone: bytes read, bytes written, peak memory."""

from __future__ import annotations

from collections.abc import Iterable

from surgery.engine.evaluation import nodes
from surgery.engine.leaves import reach
from surgery.engine.pool import BUDGET, workers
from surgery.engine.scratch import STEP
from surgery.engine.tasks import tasks_in_memory, tasks_of
from surgery.engine.window import WINDOW
from surgery.plan import Cost
from surgery.sinks.layout import Layout
from surgery.tensors.expr import Stored, Strided, TensorExpr

__all__ = ["cost_in_memory", "cost_of_layouts"]


def cost_of_layouts(layouts: Iterable[Layout]) -> Cost:
    """The cost of writing files."""
    files = [file for layout in layouts for file in layout.files]
    read = peak = 0
    for file in files:
        exprs = [tensor.expr for tensor in file.tensors]
        copied = [expr for expr in exprs if isinstance(expr, Stored)]
        made = [expr for expr in exprs if not isinstance(expr, Stored)]
        tasks = tasks_of(made)
        read += sum(expr.spec.nbytes for expr in copied) + _read(made, [task.members for task in tasks])
        peak = max(peak, _together([task.memory for task in tasks]))
    # each thread gathers a window before it writes; scratch memory is lent in steps
    each = WINDOW + min(STEP, peak)
    return Cost(read, sum(file.size for file in files), peak + workers() * each if files else 0)


def cost_in_memory(exprs: Iterable[TensorExpr], passing: Iterable[TensorExpr] = ()) -> Cost:
    """The cost of holding the values of some expressions, each once; those that are `passing` go to another device."""
    exprs = list(exprs)
    tasks = tasks_in_memory(exprs)
    gone = {id(expr) for expr in passing}
    held = [0 if id(expr) in gone else expr.spec.nbytes for expr in exprs]
    results = sum(held)
    # what a task needs beyond its results
    beyond = [max(0, task.memory - sum(held[n] for n in task.members)) for task in tasks]
    return Cost(_read(exprs, [task.members for task in tasks]), 0, results + _together(beyond))


def _together(memory: list[int]) -> int:
    """The most memory of jobs that run at the same time: as many as there are threads, within the budget."""
    largest = sorted(memory, reverse=True)[: workers()]
    return max([*largest[:1], min(sum(largest), BUDGET)])


def _read(exprs: list[TensorExpr], tasks: Iterable[Iterable[int]]) -> int:
    """Bytes read by tasks, each of which reads a leaf once."""
    total = 0
    for members in tasks:
        for node in nodes(exprs[number] for number in members):
            if isinstance(node, Stored):
                total += node.spec.nbytes
            elif isinstance(node, Strided):
                total += min(node.storage.length, reach(node) * node.spec.dtype.size)
    return total
