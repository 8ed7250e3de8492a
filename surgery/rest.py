"""What a plan says of the rest of a checkpoint: what is left behind, what stays, and what code stands in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from surgery.formats.contents import Placeholder, Rest
from surgery.formats.editing import removable, with_node, without_entries
from surgery.formats.nodes import children
from surgery.formats.survey import Survey, candidates
from surgery.planning.context import Context
from surgery.sinks.base import Output
from surgery.suggest import did_you_mean
from surgery.tensors.expr import Unread
from surgery.tensors.subject import Subject
from surgery.wording import counted, listed

__all__ = ["rest_remarks", "without_left"]

#: where what `torch.load` takes with ``weights_only=True`` is from: sizes, dtypes, what makes tensors
_PLAIN = ("torch", "torch._utils", "torch._tensor", "torch.serialization")


def rest_remarks(subject: Subject, outputs: Sequence[Output]) -> Iterator[str]:
    """The remarks on what else the checkpoint of `subject` held, for these outputs."""
    rest: Rest | None = subject.rest
    if rest is None:
        yield from _code(_unread(subject) if outputs else [])
        return
    kept = [output for output in outputs if output.container == "keep"]
    if len(kept) < len(outputs):
        yield from _left_behind(rest)
    for output in kept:
        yield from _others(rest, output)
    beside = [with_node(rest.tree, rest.entry, None) if rest.entry else rest.tree] if kept else []
    written = [*beside, *rest.extra.values()] if outputs else []
    yield from _code([*written, *(_unread(subject) if outputs else [])])


def without_left(subject: Subject, outputs: Sequence[Output], context: Context) -> Subject:
    """The subject without what no output that keeps its container takes along.

    Errors (to the context): ``entry``; there is nothing of a name that is to be left behind.
    """
    rest: Rest | None = subject.rest
    for output in outputs:
        if output.without and output.container != "keep":
            note = "`container: bare` leaves everything behind"
            context.report("entry", "`without` wants `container: keep`", output.span, notes=(note,))
        else:
            _check_left(rest, output, context)
    kept = [set(output.without) for output in outputs if output.container == "keep"]
    if rest is None or not kept:
        return subject
    tree = without_entries(rest.tree, sorted(set.intersection(*kept)))
    return subject.replace(rest=dataclasses.replace(rest, tree=tree))


def _check_left(rest: Rest | None, output: Output, context: Context) -> None:
    for name in output.without:
        path = removable(rest.tree, name) if rest is not None else None
        if rest is None or path is None:
            near = did_you_mean(name, [child for child, _ in children(rest.tree)] if rest is not None else [])
            notes = [near] if near else []
            context.report("entry", f"there is no entry `{name}` to leave behind", output.span, notes=notes)
        elif path == rest.entry[: len(path)]:
            context.report("entry", f"`{name}` is what the result goes into", output.span)


def _unread(subject: Subject) -> list[Any]:
    """What stands in a file for tensors that go back as they are; those of a class of their own name it."""
    return [entry.expr.node for entry in subject.entries.values() if isinstance(entry.expr, Unread)]


def _code(written: list[Any]) -> Iterator[str]:
    """What classes and functions are named in what is written back."""
    objects = dict.fromkeys(_objects(written))
    if objects:
        yield (
            f"written back as they stood: objects of {listed(objects, 4)}. Surgery runs none of their code; "
            "`torch.load` reads them with `weights_only=False` alone, and runs it"
        )


def _left_behind(rest: Rest) -> Iterator[str]:
    """What of a container a bare output leaves behind."""
    left = dict(_beside(rest.tree, rest.entry))
    if left:
        tensors = Survey().count(left)
        number = f" ({counted(tensors, 'tensor')})" if tensors else ""
        yield f"left behind: {listed(left, 4)} of the checkpoint{number}; `container: keep` takes them along"


def _beside(tree: Any, entry: tuple[str, ...], above: str = "") -> Iterator[tuple[str, Any]]:
    """What stands beside the containers on the way to `entry`, by dotted name, outermost first."""
    if not entry:
        return
    for name, node in children(tree):
        if name != entry[0]:
            yield f"{above}{name}", node
    for name, node in children(tree):
        if name == entry[0]:
            yield from _beside(node, entry[1:], f"{above}{name}.")


def _others(rest: Rest, output: Output) -> Iterator[str]:
    """What becomes of the other state dicts of a container that is kept, and of the place of this one."""
    if not rest.entry:
        return
    came_from = ".".join(rest.entry)
    target = output.entry or came_from
    others = [".".join(candidate.entry) for candidate in candidates(rest.tree) if candidate.entry != rest.entry]
    if target != came_from:
        gives_way = f", and takes the place of what stood at `{target}`" if target in others else ""
        yield f"the result moves from `{came_from}` to `{target}` of the checkpoint{gives_way}"
    unchanged = [name for name in others if name != target]
    if unchanged:
        yield f"kept unchanged: {listed(unchanged, 4)} of the checkpoint"


def _objects(nodes: list[Any]) -> Iterator[str]:
    """The classes and functions that a pickle of `nodes` names, torch's own plain types and tensors left out."""
    waiting, seen = list(reversed(nodes)), set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Placeholder) and node.module not in _PLAIN:
            yield str(node)
        if isinstance(node, Placeholder):
            waiting.extend(node.args or ())
        waiting.extend(child for _, child in reversed(list(children(node))))
