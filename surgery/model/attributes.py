"""Setting plain attributes of modules."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from surgery.model.building import build
from surgery.model.inherit import inherited, parameters_of
from surgery.model.names import layer_class
from surgery.model.old import is_plain, plain_attributes
from surgery.model.skeleton import Skeleton
from surgery.suggest import did_you_mean
from surgery.wording import listed

__all__ = ["AttributeProblem", "set_attribute"]

_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_WORDS = {int: "an integer", float: "a number", bool: "True or False", str: "a text", tuple: "a list"}


class AttributeProblem(ValueError):
    """An attribute cannot be set so; `note` says what would do, and `of_value` that it is the value that is wrong."""

    def __init__(self, message: str, note: str | None = None, *, of_value: bool = False) -> None:
        super().__init__(message)
        self.note = note
        self.of_value = of_value


def set_attribute(module: nn.Module, name: str, value: Any) -> None:
    """Set an attribute that is there, and is a plain value, to a value of its type; what a layer makes of it follows.

    Raises:
        AttributeProblem: there is none, it is no plain value, the types do not agree, or the layer takes no such value.
    """
    known = plain_attributes(module)
    if name not in known:
        raise _no_such(module, name, known)
    old = known[name]
    wanted = _wanted(module, name, old)
    if value is not None and wanted is not None and not _fits(value, wanted):
        message = f"`{name}` is {_WORDS[wanted]} ({old!r}), and cannot become {value!r}"
        raise AttributeProblem(message, of_value=True)
    value = tuple(value) if isinstance(old, tuple) and isinstance(value, list) else value
    derived = _derived(module, name, value)
    setattr(module, name, value)
    for key, other in derived.items():
        setattr(module, key, other)


def _derived(module: nn.Module, name: str, value: Any) -> dict[str, Any]:
    """The other attributes of a layer of torch or torchvision that would differ, made with this value of an argument.

    Raises:
        AttributeProblem: it takes no such value; or a tensor of it would have another shape.
    """
    cls = type(module)
    try:
        arguments = inherited(cls, {}, module) if layer_class(cls.__name__) is cls else {}
        before = build(lambda: cls(**arguments)) if name in arguments else None
    except (TypeError, ValueError):
        return {}
    if before is None:
        return {}
    try:
        after = build(lambda: cls(**{**arguments, name: value}))
    except (TypeError, ValueError) as error:
        raise AttributeProblem(f"a {cls.__name__} takes no such `{name}`: {error}", of_value=True) from error
    if _shapes(before) != _shapes(after):
        note = f"`replace_layer` makes another layer: `… -> {cls.__name__}({name}=…, ...)`"
        raise AttributeProblem(f"`{name}` of a {cls.__name__} decides the shapes of its tensors", note)
    was, now = vars(before), vars(after)
    return {key: new for key, new in now.items() if key != name and is_plain(new) and was.get(key) != new}


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {slot.key: tuple(slot.tensor.shape) for slot in Skeleton(module).slots()}


def _no_such(module: nn.Module, name: str, known: dict[str, Any]) -> AttributeProblem:
    cls = type(module).__name__
    if name == "training":
        return AttributeProblem("`training` is not set by itself", "`mode: eval` is for the whole model")
    if name in module._parameters or name in module._buffers:
        return AttributeProblem(f"`{name}` of a {cls} is a tensor", "`init` and `load` give tensors values")
    if name in module._modules:
        return AttributeProblem(f"`{name}` of a {cls} is a module", "`replace_layer` puts another in its place")
    if inspect.getattr_static(module, name, None) is not None:
        return AttributeProblem(f"`{name}` of a {cls} is no number, text or list that could be set")
    near = did_you_mean(name, known)
    has = f"it has {listed(known)}" if known else "it has none that could be set"
    return AttributeProblem(f"a {cls} has no attribute `{name}`", near or has)


def _wanted(module: nn.Module, name: str, old: Any) -> type | None:
    """The type of an attribute: that of the constructor's parameter of its name, else that of its value.

    The former matters for ``Dropout(p=0)``, whose value is an integer by chance.
    """
    for parameter in parameters_of(type(module)):
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        if parameter.name == name and text in _TYPES:
            return _TYPES[text]
    if isinstance(old, list | tuple):
        return tuple
    return type(old) if type(old) in _WORDS else None


def _fits(value: Any, wanted: type) -> bool:
    if wanted is tuple:
        return isinstance(value, list | tuple) and is_plain(value)
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)
