"""Where a model that is spread over devices would compute with tensors of two of them.

Hooks move the inputs of each part to its device. What a `forward` does between parts, the sum of a shortcut or a
concatenation, is no module: nothing is moved for it, and it fails when it runs. ``torch.fx`` shows what a `forward`
does; one that it cannot follow (it loops over a tensor, say) is looked at part by part, and else nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import fx, nn

from surgery.model.parts import module_devices
from surgery.model.seeds import seeded
from surgery.model.skeleton import Skeleton, copied
from surgery.model.whole import declared_whole, is_whole

__all__ = ["Meeting", "meetings"]

#: what takes a tensor, and gives none, or one on a device that cannot be told; so do classes, such as named tuples
_APART = frozenset({"getattr", "size", "dim", "numel", "item", "tolist", "to", "cpu", "cuda", "type_as", "_assert"})


class _Place(NamedTuple):
    """The device of a value, and the module or tensor that it comes from."""

    device: str
    origin: str


class Meeting(NamedTuple):
    """A module that is split, and what it brings together from two devices; nothing where it only says that it is."""

    path: str
    module: nn.Module
    places: tuple[_Place, ...] = ()

    def __str__(self) -> str:
        name = f"`{self.path}` ({type(self.module).__name__})" if self.path else "the model"
        if not self.places:
            return f"{name} is split, and its model says that it is not to be"
        return f"{name} computes with {' and '.join(f'`{place.origin}` on {place.device}' for place in self.places)}"


def meetings(skeleton: Skeleton, devices: Mapping[str, str]) -> list[Meeting]:
    """Where values of two devices meet, at most once for each module.

    Args:
        skeleton: the model, which is left alone: a copy is followed.
        devices: key -> the device where the tensor is when it is used.
    """
    model = copied(skeleton.module, {})
    parts = module_devices(model, devices)
    found: dict[str, Meeting] = {}
    with seeded(0, ""):
        for meeting in _within("", model, parts, devices):
            found.setdefault(meeting.path, meeting)
    return list(found.values())


def _within(path: str, module: nn.Module, parts: Mapping[str, str], devices: Mapping[str, str]) -> Iterator[Meeting]:
    split = _split(module, path, parts)
    if path in parts or not split:
        return
    declared = declared_whole(module)
    for name in split:
        if is_whole(module.get_submodule(name), declared):
            yield Meeting(_joined(path, name), module.get_submodule(name))
            return
    try:
        graph = _Tracer(split).trace(module)
    except Exception:  # whatever its `forward` raises, given what stands for a tensor
        for name, child in module.named_children():
            yield from _within(_joined(path, name), child, parts, devices)
        return
    for inner, places in _met(graph, path, parts, devices):
        yield Meeting(_joined(path, inner), module.get_submodule(inner), places)


def _split(module: nn.Module, path: str, parts: Mapping[str, str]) -> set[str]:
    """The modules below (and this one, as ``""``) that have parts on several devices, by their paths from here."""
    prefix = f"{path}." if path else ""
    inside = [part.removeprefix(prefix).split(".") for part in parts if part.startswith(prefix) and part != path]
    return {".".join(segments[:depth]) for segments in inside for depth in range(len(segments))}


class _Tracer(fx.Tracer):
    """Follows the `forward` of the modules that are split; the others are parts."""

    def __init__(self, split: set[str]) -> None:
        super().__init__()
        self._split = split

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self._split


def _met(
    graph: fx.Graph, path: str, parts: Mapping[str, str], devices: Mapping[str, str]
) -> Iterator[tuple[str, tuple[_Place, ...]]]:
    """The module, by its path from `path`, of each computation with values of several devices, and these values."""
    places: dict[fx.Node, _Place | None] = {}
    for node in graph.nodes:
        key = _joined(path, str(node.target))
        name = str(getattr(node.target, "__name__", node.target))
        if node.op == "call_module" and key in parts:
            places[node] = _Place(parts[key], key)
        elif node.op == "get_attr":
            places[node] = _Place(devices[key], key) if key in devices else None
        elif node.op in ("placeholder", "output") or name in _APART or isinstance(node.target, type):
            places[node] = None
        else:
            known = {place.device: place for place in map(places.get, node.all_input_nodes) if place is not None}
            places[node] = next(iter(known.values()), None)
            if len(known) > 1:
                yield _module_of(node), tuple(known.values())


def _module_of(node: fx.Node) -> str:
    """The path of the module in whose `forward` this is done."""
    inside: Mapping[str, Any] = node.meta.get("nn_module_stack") or {}
    names = ["", *(str(name) for name, _ in inside.values())]
    return names[-2] if node.op == "call_module" else names[-1]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
