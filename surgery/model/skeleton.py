"""The skeleton: a model without its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.model.building import Build, build, walk
from surgery.model.names import layer_class, model_class, type_names
from surgery.suggest import did_you_mean

__all__ = ["Skeleton", "Slot", "all_tensors", "copied"]


class Slot(NamedTuple):
    """A place for a tensor in a module tree: its key, the module that holds it, and its name there."""

    key: str
    module: nn.Module
    name: str
    kind: str
    tensor: Tensor


class Skeleton:
    """A model without its weights: parameters and persistent buffers are on the meta device, all else is real.

    A skeleton is never changed. A step that edits the model works on :meth:`edited`.

    >>> skeleton = Skeleton.build(lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    >>> [(slot.key, slot.kind, tuple(slot.tensor.shape)) for slot in skeleton.slots()]
    [('0.weight', 'parameter', (2, 3)), ('0.bias', 'parameter', (2,))]
    >>> skeleton.is_a("1", ("ReLU",)), skeleton.is_a("1", ("Linear",))
    (True, False)
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @classmethod
    def build(cls, make: Callable[[], nn.Module], current: Build | None = None) -> Skeleton:
        """The skeleton of what `make` builds; see `surgery.model.building.build`."""
        return cls(build(make, current))

    @cached_property
    def modules(self) -> Mapping[str, nn.Module]:
        """Every path with its module, the root under the empty path; a shared module under each of its paths."""
        return dict(walk(self.module))

    def module_names(self) -> tuple[str, ...]:
        """The paths of all modules but the root, in order."""
        return tuple(name for name in self.modules if name)

    def slots(self) -> Iterator[Slot]:
        """Every tensor of the state dict, in its order; a tied one under each of its keys."""
        for path, module in self.modules.items():
            prefix = f"{path}." if path else ""
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    yield Slot(prefix + name, module, name, "parameter", parameter)
            for name, buffer in module._buffers.items():
                if buffer is not None and name not in module._non_persistent_buffers_set:
                    yield Slot(prefix + name, module, name, "buffer", buffer)

    @cached_property
    def _types(self) -> Mapping[str, tuple[type, ...]]:
        """The classes that occur in the model, and their bases, by name."""
        found: dict[str, dict[type, None]] = {}
        for module in self.modules.values():
            for base in type(module).__mro__:
                if issubclass(base, nn.Module):
                    found.setdefault(base.__name__, {})[base] = None
        return {name: tuple(classes) for name, classes in found.items()}

    def classes(self, name: str) -> tuple[type, ...]:
        """The classes that a type name stands for: those in the model, and that of a layer or model of this name."""
        known = layer_class(name) or model_class(name)
        return (*self._types.get(name, ()), *((known,) if known is not None else ()))

    def unknown_type(self, name: str) -> str | None:
        """What to say of a type name that means nothing; None where it has a meaning."""
        if self.classes(name):
            return None
        near = did_you_mean(name, [*self._types, *type_names()])
        return near or f"in the model there are {', '.join(sorted({type(m).__name__ for m in self.modules.values()}))}"

    def is_a(self, path: str, names: tuple[str, ...]) -> bool:
        """Whether the module at `path` is of one of the classes `names`; subclasses count.

        Raises:
            SurgeryError: code ``unknown-layer``, for a name that means nothing.
        """
        module = self.modules.get(path)
        if module is None:
            return False
        for name in names:
            note = self.unknown_type(name)
            if note is not None:
                raise fail("unknown-layer", f"there is no class `{name}`", notes=(note,))
        return any(isinstance(module, self.classes(name)) for name in names)

    def edited(self) -> Skeleton:
        """A copy of the structure that shares all tensors, for a step to change."""
        return Skeleton(copied(self.module, {tensor: tensor for tensor in all_tensors(self.module)}))

    def at(self, path: str) -> Skeleton:
        """The module at `path` as a skeleton of its own.

        Raises:
            SurgeryError: code ``unused-rule``; there is no such module.
        """
        module = self.modules.get(path)
        if module is None:
            is_tensor = any(slot.key == path for slot in self.slots())
            note = "it is a tensor" if is_tensor else did_you_mean(path, self.module_names())
            raise fail("unused-rule", f"there is no module `{path}`", notes=(note,) if note else ())
        return Skeleton(module)


def all_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Every parameter and buffer, non-persistent ones among them."""
    for _, part in walk(module):
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                yield tensor


def copied(module: nn.Module, replacements: Mapping[Any, Any]) -> nn.Module:
    """A deep copy of a module tree in which `replacements` stand in the place of tensors, or of other objects.

    Raises:
        SurgeryError: code ``unfit-model``; an attribute of the model cannot be copied.
    """
    memo: dict[int, object] = {id(old): new for old, new in replacements.items()}
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        message = f"the model cannot be copied: {type(error).__name__}: {error}"
        raise fail(
            "unfit-model",
            message,
            notes=("surgery works on a copy: see `copy.deepcopy`", "steps on tensors take `state_dict=` instead"),
            cause=error,
        ) from error
