"""What may be asked of the old layer: ``old.in_features``, ``old.kernel_size[0]``, ``old.conv.out_channels``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from surgery.suggest import did_you_mean
from surgery.wording import listed

__all__ = ["is_plain", "old_value", "plain_attributes"]


def is_plain(value: Any) -> bool:
    """Whether this is a number, a text, None, a dtype, or a list of such."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | torch.dtype)


def plain_attributes(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are plain values, those of torch's own machinery left out."""
    own = {name: value for name, value in vars(module).items() if not name.startswith("_") and is_plain(value)}
    return {name: value for name, value in own.items() if name != "training"}


def old_value(old: nn.Module, words: Sequence[str]) -> Any:
    """The value of ``old.<words>``: submodules may be named on the way, and ``shape`` of a tensor at the end.

    No code runs: properties and methods are no attributes here.

    Raises:
        LookupError: with a message, and perhaps a note, as its arguments.
    """
    module, path = old, "old"
    for index, word in enumerate(words):
        last = index == len(words) - 1
        tensor = module._parameters.get(word, module._buffers.get(word))
        if isinstance(tensor, Tensor) and list(words[index + 1 :]) == ["shape"]:
            return tuple(tensor.shape)
        if not last and isinstance(module._modules.get(word), nn.Module):
            module, path = module._modules[word], f"{path}.{word}"  # type: ignore[assignment]
            continue
        if last and word not in module._parameters and word not in module._buffers and word not in module._modules:
            value = vars(module).get(word, inspect.getattr_static(type(module), word, _Missing))
            if value is not _Missing and is_plain(value):
                return _known(module, path, word, value)
        raise _no_such(module, path, word)
    raise LookupError("`old` is a layer")


class _Missing:
    """Stands for an attribute that is not there."""


def _known(module: nn.Module, path: str, word: str, value: Any) -> Any:
    """The value, unless it is the 0 that a lazy layer has for a size until it sees an input."""
    lazy = any(isinstance(p, nn.UninitializedParameter) for p in module._parameters.values())
    if lazy and value == 0:
        raise LookupError(
            f"`{path}.{word}` is not known: {type(module).__name__} has seen no input yet", "give the size"
        )
    return value


def _no_such(module: nn.Module, path: str, word: str) -> LookupError:
    name = type(module).__name__
    if word in module._parameters or word in module._buffers:
        return LookupError(f"`{path}.{word}` is a tensor, or would be one", f"`{path}.{word}.shape` is its shape")
    if word in module._modules:
        return LookupError(
            f"`{path}.{word}` is a module", "`old` may be wrapped; its parts may only be asked for numbers"
        )
    known = plain_attributes(module)
    near = did_you_mean(word, known)
    has = f"it has {listed(known)}" if known else "it has no plain attributes"
    return LookupError(f"`{path}`, a {name}, has no plain attribute `{word}`", near or has)
