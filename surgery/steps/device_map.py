"""``device_map``: where the tensors of the result go."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Diagnostic
from surgery.document import Node, Scalar
from surgery.fields import OPEN, Kind, Reader, anything, list_of, main, mapping_of, one_of, option, rules, string
from surgery.lang.expression import Const, Name
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Subject, Touch
from surgery.wording import listed

__all__ = ["DeviceMap"]

_POLICIES = ("auto", "balanced", "sequential")
_DEVICE = re.compile(r"(cpu|meta|disk|(cuda|mps|xpu|hpu|xla|npu|mtia)(:\d{1,4})?)")
_KINDS = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "npu", "mtia", "meta")


@dataclass(frozen=True, slots=True)
class _Map(Kind):
    """Rules, or the name of a policy."""

    takes_mapping: ClassVar[bool] = False

    def read(self, node: Node, reader: Reader) -> Any:
        if isinstance(node, Scalar):
            value = reader.scalar(node)
            if value is OPEN or value in _POLICIES:
                return value
            if isinstance(value, str) and "->" not in value and "→" not in value:
                near = did_you_mean(value, _POLICIES)
                notes = (near or "one device for all: `** -> cpu`",)
                reader.report("rule-syntax", f"rules, or one of {listed(_POLICIES)}, stand here", node.span, notes)
                return None
        return rules("device").read(node, reader)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(_POLICIES)}, rules("device").schema()]}


@STEPS.register("device_map")
@dataclass(frozen=True, slots=True)
class DeviceMap(Step):
    """Place tensors on devices; of alternatives, ``cuda:0 or cpu``, the first that is there is taken.

    The first rule that selects a key applies, and every key must be selected. Tied keys go to one device, and so do the
    tensors of one layer. In a model with several devices, hooks move the inputs of each part to its device.
    """

    example: ClassVar[str] = 'device_map: "features -> cuda:0 or cpu, ** -> cpu"'

    map: Any = main(_Map(), default=(), help="rules, or a policy: auto, balanced, sequential")
    policy: str | None = option(one_of(*_POLICIES), help="how accelerate spreads the model over the devices")
    max_memory: Any = option(mapping_of(anything), help="of a policy: device -> bytes, or text such as 10GB")
    no_split: tuple[str, ...] = option(list_of(string), default=(), help="of a policy: classes that stay whole")
    offload_dir: str | None = option(string, help="of a policy: where what fits nowhere goes")

    def check(self) -> Iterable[Diagnostic]:
        """Names that are no devices."""
        for rule in self._rules:
            for name in rule.right.names:
                word = _word(name)
                if word is not None and not _DEVICE.fullmatch(word):
                    near = None if word.startswith("gpu") else did_you_mean(word.partition(":")[0], _KINDS)
                    near = near or "such as `cpu`, `cuda:0`, `mps`"
                    yield Diagnostic("device", f"`{word}` is no device", rule.span_of(name.at), (near,))

    @property
    def _rules(self) -> tuple[Rule, ...]:
        return self.map if isinstance(self.map, tuple) else ()

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with a device for every tensor."""
        policy = self.policy or (self.map if isinstance(self.map, str) else None)
        if policy is not None:
            return self._spread(policy, subject, context)
        devices = [self._device(rule, context) for rule in self._rules]
        chosen = RuleSet.of_rules(self._rules, subject, context)
        placed: dict[str, str] = {}
        left: list[str] = []
        for key, entry in subject.entries.items():
            found = chosen.first(key, entry)
            if found is None:
                left.append(key)
            else:
                placed[key] = devices[found[0]] or "cpu"
        chosen.finish()
        _report_left(left, context)
        _report_ties(subject, placed, context)
        if subject.skeleton is not None:
            _report_layers(placed, context)
        return subject if context.failed else _placed(subject, placed, context)

    def _spread(self, policy: str, subject: Subject, context: Context) -> Subject:
        """The subject with the devices that a policy gives."""
        from surgery.model.policy import spread

        if subject.skeleton is None:
            context.report("needs-a-model", f"the policy `{policy}` needs modules, and a bare state dict has none")
            return subject
        if self.offload_dir is not None:
            context.report("not-available", "`offload_dir` is not available yet")
            return subject
        memory = {name: size for _, name, size in self.max_memory} if self.max_memory is not None else None
        there = context.devices if context.devices is not None else _devices()
        missing = [name for name in memory or () if name not in there]
        if missing:
            context.report("device", f"`max_memory`: there is no {missing[0]} here", notes=(_there(there),))
            return subject
        placed = spread(subject, policy, max_memory=memory, no_split=self.no_split)
        _report_ties(subject, placed, context)
        return subject if context.failed else _placed(subject, placed, context)

    def _device(self, rule: Rule, context: Context) -> str | None:
        """The first of a rule's devices that is there."""
        there = context.devices if context.devices is not None else _devices()
        words = [word for word in map(_word, rule.right.names) if word is not None]
        for word in words:
            if word == "disk":
                context.report("not-available", "`disk` is not available yet", rule.span)
                return None
            if word in there or f"{word}:0" in there:
                return word if word in there else f"{word}:0"
        alternative = f"`{' or '.join([*words, 'cpu'])}` takes the CPU where there is no other"
        context.report("device", f"there is no {' and no '.join(words)} here", rule.span, (_there(there), alternative))
        return None


def _there(there: tuple[str, ...]) -> str:
    return f"there {'are' if len(there) > 1 else 'is'} {', '.join(there)}"


def _word(name: Any) -> str | None:
    """The name of a device; None where it is a parameter without a value."""
    return name.name if isinstance(name, Name) else str(name.value) if isinstance(name, Const) else None


def _devices() -> tuple[str, ...]:
    """The devices of this machine, as torch sees them. `meta` is everywhere."""
    import torch

    found = ["cpu"]
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is not None:
        found += [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]
    return (*found, "meta")


def _report_left(left: list[str], context: Context) -> None:
    if left:
        note = "`** -> cpu` as the last rule places the rest"
        context.report("device", f"no rule places {listed(left, 5)}", notes=(note,))


def _report_ties(subject: Subject, placed: Mapping[str, str], context: Context) -> None:
    for group in subject.ties():
        devices = {placed[key] for key in group if key in placed}
        if len(devices) > 1:
            shown = ", ".join(f"`{key}` on {placed[key]}" for key in group if key in placed)
            context.report("device", f"tied keys are one tensor, and cannot be on several devices: {shown}")


def _report_layers(placed: Mapping[str, str], context: Context) -> None:
    """A layer computes on one device."""
    first: dict[str, tuple[str, str]] = {}
    said: set[str] = set()
    for key, device in placed.items():
        layer = key.rpartition(".")[0]
        other, there = first.setdefault(layer, (key, device))
        if there != device and layer not in said:
            said.add(layer)
            message = f"`{other}` on {there} and `{key}` on {device} are tensors of one layer"
            context.report("device", message, notes=("a layer computes on one device",))


def _placed(subject: Subject, placed: Mapping[str, str], context: Context) -> Subject:
    entries = {}
    for key, entry in subject.entries.items():
        device = None if placed[key] == "cpu" else placed[key]
        if device == entry.device:
            entries[key] = entry
        else:
            touch = Touch("device_map", f"{key}: on {placed[key]}", context.here)
            entries[key] = dataclasses.replace(entry.touched(touch), device=device)
    return subject.replace(entries=entries)
