"""``...``: constructor arguments of a new layer that are taken from the old one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_overloads

from torch import nn

from surgery.model.old import is_plain

__all__ = ["SizeUnknown", "inherited", "parameters_of"]

# where the tensor is a parameter's, the rules of `replace_layer` say what becomes of dtype and device
_NEVER = ("device", "dtype")
_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class SizeUnknown(ValueError):
    """An argument cannot be taken from the old layer."""


class _Unknown:
    """Stands for a value that the old layer does not tell."""


def parameters_of(cls: type[nn.Module]) -> list[inspect.Parameter]:
    """The parameters of a constructor, `self` left out; those of its first overload, where it has any (`nn.LSTM`)."""
    function = next(iter(get_overloads(cls.__init__)), cls.__init__)
    return list(inspect.signature(function).parameters.values())[1:]


def inherited(cls: type[nn.Module], given: Mapping[str, Any], old: nn.Module) -> dict[str, Any]:
    """The arguments of `cls` that `given` leaves out, as `old` has them.

    ``bias`` and its kin mean "it had one". What the old layer has no word for keeps the default of the new class.

    Raises:
        SizeUnknown: the old layer was made with such an argument, but does not tell with which.
    """
    made_with = {p.name for p in parameters_of(type(old)) if p.kind not in _OPEN}
    found: dict[str, Any] = {}
    for parameter in parameters_of(cls):
        name = parameter.name
        if name in given or name in _NEVER or name.startswith("_") or parameter.kind in _OPEN:
            continue
        value = _known(old, name)
        if value is not _Unknown:
            found[name] = value
        elif name in made_with:
            raise SizeUnknown(f"`...`: {type(old).__name__} does not tell with which `{name}` it was made")
    return found


def _known(old: nn.Module, name: str) -> Any:
    if isinstance(old, nn.MultiheadAttention) and name in ("bias", "add_bias_kv"):
        return old._parameters.get("in_proj_bias" if name == "bias" else "bias_k") is not None
    if name in old._parameters:
        return old._parameters[name] is not None
    value = vars(old).get(name, _Unknown)
    lazy = value == 0 and any(isinstance(p, nn.UninitializedParameter) for p in old._parameters.values())
    if lazy:
        raise SizeUnknown(f"`...`: {type(old).__name__} has seen no input yet, so its `{name}` is not known")
    return value if is_plain(value) and value is not _Unknown else _Unknown
