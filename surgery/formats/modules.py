"""The state dict of a pickled module, without the module: its parameters and persistent buffers under dotted keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from surgery.formats.contents import Placeholder
from surgery.formats.nodes import is_module, module_state
from surgery.limits import exceeded, limits
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import TensorExpr

__all__ = ["module_tensors", "unusual_names"]

_USUAL = (("collections", "OrderedDict"), ("builtins", "set"), ("__builtin__", "set"))


def module_tensors(node: Any) -> Iterator[tuple[str, Any, str | None]]:
    """Key, tensor and kind (``parameter`` or ``buffer``, None where unknown), in the order of ``state_dict()``.

    A tensor that cannot be read comes as the placeholder that stands for it.
    """
    yield from _walk(node, "", 0)


def _walk(node: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any, str | None]]:
    if depth > limits().depth:
        raise exceeded("depth", f"modules are nested more than {limits().depth} deep in this checkpoint")
    state = module_state(node)
    if state is None:
        yield from _walk_script(node, prefix, depth)
        return
    for name, value in state["_parameters"].items():
        if value is not None:
            yield f"{prefix}{name}", value, "parameter"
    hidden = _names(state.get("_non_persistent_buffers_set"))
    for name, value in state["_buffers"].items():
        if value is not None and name not in hidden:
            yield f"{prefix}{name}", value, "buffer"
    for name, child in state["_modules"].items():
        if is_module(child):
            yield from _walk(child, f"{prefix}{name}.", depth + 1)


def _walk_script(node: Placeholder, prefix: str, depth: int) -> Iterator[tuple[str, Any, str | None]]:
    """An object of a TorchScript archive: its attributes are tensors and further objects, their kinds unknown."""
    state: Mapping[str, Any] = node.state
    for name, value in state.items():
        if isinstance(value, TensorExpr):
            yield f"{prefix}{name}", value, None
    for name, child in state.items():
        if is_module(child):
            yield from _walk(child, f"{prefix}{name}.", depth + 1)


def _names(value: Any) -> frozenset[str]:
    """The strings of a set, as pickles of all protocols hold one."""
    if isinstance(value, Placeholder) and value.args and isinstance(value.args[0], list | tuple):
        value = value.args[0]
    if not isinstance(value, set | frozenset | list | tuple):
        return frozenset()
    return frozenset(name for name in value if isinstance(name, str))


def unusual_names(names: Iterable[tuple[str, str]]) -> list[str]:
    """Of the classes and functions that a pickle names, those that not every pickled module of torch names.

    >>> unusual_names([("mypkg", "Net"), ("torch.nn.modules.linear", "Linear"), ("torch", "FloatStorage")])
    ['mypkg.Net']
    """
    return sorted(f"{module}.{name}" for module, name in names if not _is_usual(module, name))


def _is_usual(module: str, name: str) -> bool:
    """Whether it is a layer of torch, or makes a tensor."""
    if module in ("torch", "torch.storage"):
        return name.endswith("Storage") or name in DTYPES
    if module == "torch._utils":
        return name.startswith("_rebuild_")
    return module.startswith("torch.nn.modules.") or (module, name) in _USUAL
