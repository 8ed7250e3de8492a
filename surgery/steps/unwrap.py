"""``unwrap``: the prefixes of wrappers come off: of DataParallel, torch.compile, AveragedModel, FSDP and their like."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from surgery.fields import boolean, either, main, one_of
from surgery.planning.context import Context
from surgery.planning.keys import KeyWriter
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Entry, Subject, Touch
from surgery.wording import counted, listed
from surgery.wrappers import COUNTER, WRAPPERS

__all__ = ["Unwrap"]


@STEPS.register("unwrap")
@dataclass(frozen=True, slots=True)
class Unwrap(Step):
    """Strip ``module.``, ``_orig_mod.`` and their like, at any depth and in any order, where all siblings agree.

    The others are those of FSDP (``_fsdp_wrapped_module.``), activation checkpointing (``_checkpoint_wrapped_module.``)
    and Lightning's strategies (``_forward_module.``). A model wrapped twice, or with a compiled submodule, comes out
    plain. The counter ``n_averaged`` of an ``AveragedModel`` goes with its wrapper. ``unwrap: optional`` accepts keys
    without a wrapper, ``true`` does not. A model becomes a bare state dict.
    """

    example: ClassVar[str] = "unwrap: true"

    mode: bool | Literal["optional"] = main(
        either(boolean, one_of("optional")), default=True, help="true, or `optional`"
    )

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject under its plain keys."""
        if self.mode is False:
            return subject
        root = _tree(subject)
        stripped: Counter[str] = Counter()
        writer = KeyWriter(context, "unwrap")
        for key, entry in subject.entries.items():
            new = _plain(root, key.split("."), stripped)
            if new is None:
                context.drop(entry, Touch("unwrap", f"{key}: the counter of a wrapper", context.here))
            else:
                writer.put(new, _renamed(key, new, entry, context), key)
        writer.finish()
        if not stripped and self.mode is True:
            notes = (*_mixed(root), "`unwrap: optional` accepts keys without one")
            context.report("unused-rule", "no wrapper is there to strip", notes=notes)
        for prefix, count in stripped.items():
            context.remarks.append(f"unwrap: `{prefix}` came off {counted(count, 'key')}")
        return subject.bare(writer.entries)


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def wrapper(self) -> str | None:
        """The only child, if it is what a wrapper calls its module; its counter may stand beside it."""
        names = [n for n, child in self.children.items() if n != COUNTER or child.children]
        if len(names) == 1 and names[0] in WRAPPERS and self.children[names[0]].children:
            return names[0]
        return None


def _tree(subject: Subject) -> _Node:
    root = _Node()
    for key in subject.entries:
        node = root
        for segment in key.split("."):
            node = node.children.setdefault(segment, _Node())
    return root


def _mixed(root: _Node) -> list[str]:
    """What to say of a wrapper's name that not all siblings have; of the outermost one, or nothing."""
    waiting = deque([("", root)])
    while waiting:
        above, node = waiting.popleft()
        for name, child in node.children.items():
            if name in WRAPPERS and child.children:
                beside = listed([f"{above}{other}" for other in node.children if other != name], 3)
                strip = f'`rename: "{above}{name}.** -> {above}**"`'
                return [f"`{above}{name}.` stands beside {beside}, so it is no wrapper of them all; {strip} strips it"]
            waiting.append((f"{above}{name}.", child))
    return []


def _plain(root: _Node, segments: list[str], stripped: Counter[str]) -> str | None:
    """The key without wrappers; None for the counter of one."""
    node, kept = root, []
    for depth, segment in enumerate(segments):
        wrapper = node.wrapper
        if wrapper is None:
            kept.append(segment)
        elif segment == wrapper:
            stripped[".".join(segments[: depth + 1]) + "."] += 1
        else:
            return None
        node = node.children[segment]
    return ".".join(kept)


def _renamed(key: str, new: str, entry: Entry, context: Context) -> Entry:
    return entry if new == key else entry.touched(Touch("unwrap", f"{key} -> {new}", context.here))
