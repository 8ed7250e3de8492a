"""``replace_layer``: other layers in the place of some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.fields import main, rules
from surgery.lang.expression import Name, Parameter, walk
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.pipeline import bind_operation
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Entry, Subject, Touch
from surgery.wording import listed

if TYPE_CHECKING:
    from torch import nn

    from surgery.model.modules import Chosen
    from surgery.model.replacing import NewLayer, OldLayer
    from surgery.model.skeleton import Skeleton

__all__ = ["ReplaceLayer"]


@STEPS.register("replace_layer")
@dataclass(frozen=True, slots=True)
class ReplaceLayer(Step):
    """Put new layers in the place of the selected modules.

    The right side builds a layer: a class of ``torch.nn`` or ``torchvision.ops`` with its arguments. ``old`` is the
    layer that is replaced, ``old.attr`` an attribute of it, and ``...`` in last place takes what is not given from it.
    Initial values are drawn from the recipe's seed and the layer's path; ``with old``, ``with overlap`` and ``with
    <operation>`` take them from the old layer's tensors of the same name. The new layer has the old one's dtype,
    device, training mode and ``requires_grad``. On a bare state dict the tensors below the selector are replaced.
    """

    example: ClassVar[str] = 'replace_layer: "fc -> Linear(old.in_features, 10), conv1 -> Conv2d(4, 64, ...)"'

    rules: tuple[Rule, ...] = main(rules("layer"))

    def check(self) -> Iterable[Diagnostic]:
        """Operations behind ``with`` that do not exist; one that waits for a parameter is left open."""
        for rule in self.rules:
            carry = rule.right.carry
            waits = carry is not None and any(isinstance(node, Parameter) for node in walk(carry))
            if carry is not None and carry.name not in ("old", "overlap") and not waits:
                try:
                    bind_operation(carry, rule)
                except SurgeryError as error:
                    yield from error.diagnostics

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the new layers."""
        from surgery.model.modules import select_modules

        chosen = select_modules(self.rules, subject, context, nested=False)
        replacing = _Replacing(self.rules, subject, context)
        for one in chosen:
            try:
                replacing.replace(one)
            except SurgeryError as error:
                context.diagnostics.extend(error.diagnostics)
        return subject if context.failed else replacing.finish(chosen)


class _Replacing:
    """The replacements of one step, on a copy of the skeleton."""

    def __init__(self, rules: tuple[Rule, ...], subject: Subject, context: Context) -> None:
        self._rules, self._subject, self._context = rules, subject, context
        self._skeleton: Skeleton | None = subject.skeleton.edited() if subject.skeleton else None
        self._new: dict[str, NewLayer] = {}
        self._places: dict[tuple[str, int], Entry] = {}
        self._said: set[tuple[int, str]] = set()
        self._more: dict[tuple[str, str], list[str]] = {}

    def replace(self, one: Chosen) -> None:
        """Make the new layer."""
        from surgery.model.replacing import new_layer
        from surgery.model.skeleton import Skeleton

        old = self._old(one)
        try:
            new = new_layer(self._rules[one.rule], old, self._context)
        except SurgeryError as error:
            self._raise_once(one, error)
            return
        self._new[one.path] = new
        if old.module is not None:
            for slot in Skeleton(new.module).slots():
                self._places |= {(f"{path}.{slot.key}", id(slot.tensor)): new.entries[slot.key] for path in one.paths}
            action = f"{one.path}: {_words(old.module)} -> {_words(new.module)}"
            self._context.modules.append(Touch("replace_layer", action, self._rules[one.rule].span))
            self._remark(one, old, new)

    def _raise_once(self, one: Chosen, error: SurgeryError) -> None:
        """One rule makes the same mistake at each of its modules: it is reported for the first."""
        said = {(one.rule, d.code) for d in error.diagnostics}
        if not said <= self._said:
            self._said |= said
            raise error

    def _old(self, one: Chosen) -> OldLayer:
        from surgery.model.replacing import OldLayer

        above = one.path.split(".")[:-1]
        around: Mapping[str, Entry] = {}
        while not around and above:
            around = _below(self._subject, ".".join(above))
            above.pop()
        module = self._skeleton.modules[one.path] if self._skeleton is not None else None
        return OldLayer(one.path, module, _below(self._subject, one.path), around or self._subject.entries)

    def _remark(self, one: Chosen, old: OldLayer, new: NewLayer) -> None:
        from torch.nn.utils import parametrize

        from surgery.model.replacing import extended

        assert old.module is not None
        others = [path for path in one.paths if path != one.path]
        if others:
            self._context.remarks.append(
                f"`{one.path}` is also {listed(others)}: one shared module, replaced everywhere"
            )
        if _wrapped(self._rules[one.rule]):
            return
        if parametrize.is_parametrized(old.module):
            names = listed(old.module.parametrizations)  # type: ignore[arg-type]
            self._context.remarks.append(f"the parametrization of {names} in `{one.path}` goes with the old layer")
        if old.module._forward_hooks or old.module._forward_pre_hooks:
            self._context.remarks.append(f"the hooks of `{one.path}` go with the old layer")
        base = extended(old.module)
        if base is not None and not isinstance(new.module, type(old.module)):
            self._more.setdefault((type(old.module).__name__, base.__name__), []).append(one.path)

    def finish(self, chosen: list[Chosen]) -> Subject:
        """The subject with the new entries in their places; what went is accounted for."""
        self._put(chosen)
        for (name, base), paths in self._more.items():
            more = f"a {name} does more in its `forward` than a {base}, and that goes with it"
            self._context.remarks.append(f"{listed(paths, 3)}: {more}")
        entries = self._in_order(chosen)
        for one in chosen:
            kept, span = self._new[one.path].kept, self._rules[one.rule].span
            for path in one.paths:
                for name, entry in _below(self._subject, path).items():
                    if name not in kept:
                        touch = Touch("replace_layer", f"{path}.{name} goes with the old layer", span)
                        self._context.drop(entry, touch)
        self._remark_ties(entries)
        return self._subject.replace(entries=entries, skeleton=self._edited())

    def _put(self, chosen: list[Chosen]) -> None:
        """Put the new layers wherever the old ones are held."""
        if self._skeleton is None:
            return
        from surgery.model.references import redirect

        modules = self._skeleton.modules
        new = {modules[one.path]: self._new[one.path].module for one in chosen}
        inside: dict[nn.Module, set[nn.Module]] = {}
        for old in new:
            for part in old.modules():
                inside.setdefault(part, set()).add(old)
        for module, path in {module: path for path, module in reversed(list(modules.items()))}.items():
            # what holds itself, by a plain attribute, still does where a new layer wraps it
            around = {id(old): layer for old, layer in new.items() if old not in inside.get(module, ())}
            for name in redirect(module, around):
                attribute = f"{path}.{name}" if path else name
                self._context.remarks.append(f"`{attribute}` holds a layer that is replaced, and holds the new one now")

    def _remark_ties(self, entries: Mapping[str, Entry]) -> None:
        """Say which ties a new layer broke; a tie that went with all its keys, or moved as a whole, is no loss."""
        held = {id(entry.expr) for entry in entries.values()}
        for group in self._subject.ties():
            expr = self._subject.entries[group[0]].expr
            stays = [key for key in group if key in entries and entries[key].expr is expr]
            lost = [key for key in group if key in entries and key not in stays]
            if id(expr) in held and lost and stays:
                verb = "was" if len(lost) == 1 else "were"
                self._context.remarks.append(f"{listed(lost)} {verb} tied to {listed(stays)}: the tie is broken")

    def _edited(self) -> Skeleton | None:
        from surgery.model.skeleton import Skeleton

        return Skeleton(self._skeleton.module) if self._skeleton is not None else None

    def _in_order(self, chosen: list[Chosen]) -> dict[str, Entry]:
        """The entries of the result, in the order of its state dict."""
        edited, before = self._edited(), self._subject.skeleton
        if edited is not None and before is not None:
            # a key that is there before and after may be another layer's by now, where layers are shared
            places = {(slot.key, id(slot.tensor)): self._subject.entries[slot.key] for slot in before.slots()}
            places |= self._places
            tensors = {tensor: entry for (_, tensor), entry in self._places.items()}
            return {s.key: places.get((s.key, id(s.tensor))) or tensors[id(s.tensor)] for s in edited.slots()}
        entries: dict[str, Entry] = {}
        for key, entry in self._subject.entries.items():
            one = next((one for one in chosen if key.startswith(f"{one.path}.")), None)
            if one is None:
                entries[key] = entry
            else:
                entries |= {f"{one.path}.{n}": e for n, e in self._new[one.path].entries.items()}
        return entries


def _below(subject: Subject, path: str) -> dict[str, Entry]:
    """The entries below a path, by their names there."""
    prefix = f"{path}."
    return {key[len(prefix) :]: entry for key, entry in subject.entries.items() if key.startswith(prefix)}


def _words(module: nn.Module) -> str:
    """A layer with its arguments; of one that holds others, the class."""
    text = repr(module)
    return text if "\n" not in text else type(module).__name__


def _wrapped(rule: Rule) -> bool:
    """Whether the new layer holds the old one."""
    waiting = [rule.right.expression]
    while waiting:
        expression = waiting.pop()
        if expression == Name("old"):
            return True
        waiting.extend(() if type(expression).__name__ == "Attribute" else expression.children())
    return False
