"""The names of layers: which class a name in a recipe stands for.

Names are those of ``torch.nn``, then ``torchvision.ops``, then ``torchvision.ops.misc``, then what was registered.
Only exact names of module classes count; there is no walk from attribute to attribute, so that a recipe cannot reach
anything else. A dotted name outside these is imported, if the caller gave permission for its package.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from torch import nn

from surgery.diagnostics import Span, fail
from surgery.suggest import did_you_mean

__all__ = ["imported", "layer_class", "model_class", "named_class", "register_layer", "type_names"]

SomeModule = TypeVar("SomeModule", bound=type[nn.Module])

_PREFIXES = ("torch.nn.", "torchvision.ops.misc.", "torchvision.ops.", "nn.")
_registered: dict[str, type[nn.Module]] = {}


def register_layer(cls: SomeModule) -> SomeModule:
    """Make a module class known to recipes by its name; a decorator. Names of torch and torchvision come first.

    Raises:
        ValueError: another class is registered under that name.
    """
    if _registered.get(cls.__name__, cls) is not cls:
        raise ValueError(f"a layer `{cls.__name__}` is registered already")
    _registered[cls.__name__] = cls
    return cls


def _classes_of(module: Any) -> dict[str, type[nn.Module]]:
    """The module classes of a Python module by their exact names; `Module` itself is no layer."""
    classes = {name: thing for name, thing in vars(module).items() if inspect.isclass(thing)}
    return {
        name: thing
        for name, thing in classes.items()
        if issubclass(thing, nn.Module) and not name.startswith("_") and thing not in (nn.Module, nn.Container)
    }


@cache
def _torch_layers() -> dict[str, type[nn.Module]]:
    return _classes_of(nn)


@cache
def _vision_layers() -> dict[str, type[nn.Module]]:
    ops = importlib.import_module("torchvision.ops")
    misc = importlib.import_module("torchvision.ops.misc")
    return {**_classes_of(misc), **_classes_of(ops)}


def layer_class(name: str) -> type[nn.Module] | None:
    """The class of a layer, or None.

    >>> layer_class("Conv2d"), layer_class("functional")
    (<class 'torch.nn.modules.conv.Conv2d'>, None)
    """
    prefix = next((p for p in _PREFIXES if name.startswith(p)), "")
    bare = name.removeprefix(prefix)
    tables: list[Callable[[], dict[str, type[nn.Module]]]] = [_torch_layers, _vision_layers, lambda: _registered]
    if prefix:
        tables = [_torch_layers] if "nn." in prefix else [_vision_layers]
    return next((found for table in tables if (found := table().get(bare)) is not None), None)


@cache
def model_class(name: str) -> type[nn.Module] | None:
    """The class of whole models of torchvision, as ``[Type]`` may ask for them: ``GoogLeNet``; or None."""
    return _classes_of(importlib.import_module("torchvision.models")).get(name)


def type_names() -> list[str]:
    """Every name that `layer_class` knows."""
    return sorted({**_registered, **_vision_layers(), **_torch_layers()})


def named_class(name: str, allow: Iterable[str], span: Span | None) -> type[nn.Module]:
    """The class that a layer expression names.

    Raises:
        SurgeryError: ``unknown-layer``; ``not-allowed``, where a package would have to be imported.
    """
    found = layer_class(name)
    if found is not None:
        return found
    if "." not in name:
        near = did_you_mean(name, type_names())
        where = "layers are the module classes of `torch.nn` and `torchvision.ops`; others by their dotted name"
        raise fail("unknown-layer", f"there is no layer `{name}`", span, (near or where,))
    thing = imported(name, allow, span)
    if not (inspect.isclass(thing) and issubclass(thing, nn.Module)):
        raise fail("unknown-layer", f"`{name}` is no module class", span)
    return thing


def imported(name: str, allow: Iterable[str], span: Span | None) -> Any:
    """What the dotted `name` stands for: ``package.module.thing``, the last word an attribute of the module.

    Raises:
        SurgeryError: ``not-allowed`` without the permission ``import:package``; ``import-failed``.
    """
    module_name, _, attribute = name.rpartition(".")
    package = name.partition(".")[0]
    if f"import:{package}" not in set(allow):
        note = f"`--allow import:{package}`, or `allow=['import:{package}']` in Python, lets a recipe import it"
        raise fail("not-allowed", f"`{name}` needs code to be imported, and nobody allowed that", span, (note,))
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # of a script that runs as it is imported
        message = f"`{module_name}` cannot be imported: {type(error).__name__}: {error}"
        raise fail("import-failed", message, span, _to_find(error), cause=error) from error
    if not hasattr(module, attribute):
        near = did_you_mean(attribute, vars(module))
        raise fail("import-failed", f"`{module_name}` has no `{attribute}`", span, (near,) if near else ())
    return getattr(module, attribute)


def _to_find(error: BaseException) -> tuple[str, ...]:
    """How a module is found that is not: the command does not look into the directory in which it is called."""
    if not isinstance(error, ModuleNotFoundError):
        return ()
    return ("it is not installed; a file of your own is found with `PYTHONPATH=DIRECTORY surgery …`",)
