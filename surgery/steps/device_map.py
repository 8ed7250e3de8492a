"""``device_map``: where the tensors of the result go."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from surgery.diagnostics import Diagnostic, Span
from surgery.document import Node, Scalar
from surgery.fields import (
    OPEN,
    Kind,
    Reader,
    anything,
    boolean,
    list_of,
    main,
    mapping_of,
    one_of,
    option,
    rules,
    string,
)
from surgery.lang.expression import Const, Name
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.foreign import refuse_outside
from surgery.planning.placement import check_placement
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.suggest import did_you_mean
from surgery.tensors.device import DEVICE_KINDS, is_device, numbered
from surgery.tensors.subject import Entry, Offload, Subject, Touch
from surgery.wording import listed

__all__ = ["DeviceMap"]

_POLICIES = ("auto", "balanced", "sequential")


@dataclass(frozen=True, slots=True)
class _Map(Kind):
    """Rules, or the name of a policy."""

    takes_mapping: ClassVar[bool] = False

    def meant(self, word: str, value: Node) -> str | None:
        """A rule, where a mapping from modules to devices was written, as accelerate has it."""
        if not isinstance(value, Scalar) or value.value is None or "->" in str(value.value):
            return None
        device = f"cuda:{value.value}" if type(value.value) is int else value.value
        return f'a rule is one text, with an arrow: "{word or "**"} -> {device}"'

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


@dataclass(frozen=True, slots=True)
class _Directory(Kind):
    """The path of a directory; where a parameter gives it, it is relative to the caller."""

    def read(self, node: Node, reader: Reader) -> Any:
        value = string.read(node, reader)
        if not isinstance(value, str):
            return value
        return os.path.join(reader.directory_of(node) or "", os.path.expanduser(value))

    def schema(self) -> dict[str, Any]:
        return string.schema()


@STEPS.register("device_map")
@dataclass(frozen=True, slots=True)
class DeviceMap(Step):
    """Place tensors on devices; of alternatives, ``cuda:0 or cpu``, the first that is there is taken.

    The first rule that selects a key applies, and every key must be selected. Tied keys go to one device, and so do the
    tensors of one layer, and of a module of a `no_split` class. In a model with several devices, hooks move the inputs
    of each part to its device. What is on the ``disk`` is brought in layer by layer when it is used: weights that lie
    in a safetensors file as they are stay there, others are written to `offload_dir`. A plan, and a run that only
    writes files, do not need the devices to be there.
    """

    example: ClassVar[str] = 'device_map: "features -> cuda:0 or cpu, ** -> cpu"'
    keeps_tensors: ClassVar[bool] = True
    habits: ClassVar[Mapping[str, str]] = {"rules": "rules are the `map`: `{map: …, offload_dir: …}`"}

    map: Any = main(_Map(), default=(), help="rules, or a policy: auto, balanced, sequential")
    policy: str | None = option(one_of(*_POLICIES), help="how accelerate spreads the model over the devices")
    max_memory: Any = option(mapping_of(anything), help="of a policy: device -> bytes, or text such as 10GB")
    no_split: tuple[str, ...] = option(list_of(string), default=(), help="classes whose modules stay whole")
    offload_dir: str | None = option(_Directory(), help="a directory for what has to be written to the disk")
    overwrite: bool = option(boolean, default=False, help="whether an earlier `offload_dir` may be replaced")

    def check(self) -> Iterable[Diagnostic]:
        """Names that are no devices, and what does not go together."""
        if self._rules and (self.policy is not None or self.max_memory is not None):
            other = "policy" if self.policy is not None else "max_memory"
            note = "rules say where everything goes; a policy decides it"
            yield Diagnostic("device", f"rules and `{other}` do not go together", self._rules[0].span, (note,))
        for rule in self._rules:
            for name in rule.right.names:
                word = _word(name)
                if word is not None and word != "disk" and not is_device(word):
                    near = None if word.startswith("gpu") else did_you_mean(word.partition(":")[0], DEVICE_KINDS)
                    near = near or "such as `cpu`, `cuda:0`, `mps`, `disk`"
                    yield Diagnostic("device", f"`{word}` is no device", rule.span_of(name.at), (near,))

    @property
    def _rules(self) -> tuple[Rule, ...]:
        return self.map if isinstance(self.map, tuple) else ()

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with a device for every tensor."""
        policy = self.policy or (self.map if isinstance(self.map, str) else None)
        placed = self._spread(policy, subject, context) if policy is not None else self._ruled(subject, context)
        check_placement({key: device for key, (device, _) in placed.items()}, subject, context)
        if context.failed:
            return subject
        whole = self._whole(placed, subject)
        self._warn_of_meetings(placed, subject, context)
        entries = {key: _placed(key, entry, *placed[key]) for key, entry in subject.entries.items()}
        overwrite = context.overwrite or (self.overwrite and not context.is_foreign)
        return subject.replace(entries=entries, offload=Offload(self._folder(context), overwrite, whole, context.here))

    def _folder(self, context: Context) -> str | None:
        if self.offload_dir is None:
            return None
        folder = context.directory / self.offload_dir
        refuse_outside(folder, context, context.here)
        return str(folder)

    def _ruled(self, subject: Subject, context: Context) -> dict[str, _Place]:
        """The place of each key by the rules."""
        devices = [self._device(rule, context) for rule in self._rules]
        chosen = RuleSet.of_rules(self._rules, subject, context)
        placed: dict[str, _Place] = {}
        left: list[str] = []
        for key, entry in subject.entries.items():
            found = chosen.first(key, entry)
            if found is None:
                left.append(key)
            else:
                placed[key] = (devices[found[0]], self._rules[found[0]].span)
        chosen.finish()
        if left:
            note = "`** -> cpu` as the last rule places the rest"
            context.report("device", f"no rule places {listed(left, 5)}", notes=(note,))
        return placed

    def _spread(self, policy: str, subject: Subject, context: Context) -> dict[str, _Place]:
        """The place of each key by a policy."""
        from surgery.model.policy import spread

        if subject.skeleton is None:
            context.report("needs-a-model", f"the policy `{policy}` needs modules, and a bare state dict has none")
            return {}
        memory = {name: size for _, name, size in self.max_memory} if self.max_memory is not None else None
        disk = self.offload_dir is not None
        devices = spread(subject, policy, max_memory=memory, no_split=self.no_split, disk=disk)
        self._remark_absent(sorted(set(devices.values())), context)
        return {key: (device, context.here) for key, device in devices.items()}

    def _whole(self, placed: Mapping[str, _Place], subject: Subject) -> tuple[str, ...]:
        """The classes whose modules stay whole."""
        if subject.skeleton is None:
            return ()
        from surgery.model.whole import check_whole

        return check_whole(subject.skeleton, {key: device for key, (device, _) in placed.items()}, self.no_split)

    def _warn_of_meetings(self, placed: Mapping[str, _Place], subject: Subject, context: Context) -> None:
        """Warn where tensors of two devices would meet, for which no hook is called."""
        if subject.skeleton is None or len({device for device, _ in placed.values()}) < 2:
            return
        from surgery.model.meeting import meetings
        from surgery.model.placement import computing

        for meeting in meetings(subject.skeleton, computing({key: device for key, (device, _) in placed.items()})):
            name = type(meeting.module).__name__
            note = f"`no_split: [{name}]` keeps it on one device" if meeting.path else "one rule for both"
            context.report("device", str(meeting), notes=("this fails when it runs", note), warning=True)

    def _device(self, rule: Rule, context: Context) -> str:
        """The first of a rule's devices that is there; else the first."""
        devices = [numbered(word) for word in map(_word, rule.right.names) if word is not None] or ["cpu"]
        if devices[0] in ("cpu", "meta", "disk"):
            return devices[0]
        found = next((device for device in devices if not self._absent(device, context)), None)
        if found is None:
            self._remark_absent(devices, context)
        return found or devices[0]

    def _absent(self, device: str, context: Context) -> bool:
        from surgery.model.devices import absent, devices_here

        return absent(device, context.devices if context.devices is not None else devices_here())

    def _remark_absent(self, devices: Iterable[str], context: Context) -> None:
        lacking = [device for device in devices if self._absent(device, context)]
        if lacking:
            context.remarks.append(f"there is no {' and no '.join(lacking)} here: this can be planned, not loaded")


#: a device, and the place of the rule that says so
_Place: TypeAlias = tuple[str, Span | None]


def _word(name: Any) -> str | None:
    """The name of a device; None where it is a parameter without a value."""
    return name.name if isinstance(name, Name) else str(name.value) if isinstance(name, Const) else None


def _placed(key: str, entry: Entry, device: str, span: Span | None) -> Entry:
    wanted = None if device == "cpu" else device
    if wanted == entry.device:
        return entry
    return dataclasses.replace(entry.touched(Touch("device_map", f"{key}: on {device}", span)), device=wanted)
