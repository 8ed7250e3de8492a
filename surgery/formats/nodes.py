"""The nodes of a checkpoint's tree: what stands inside each, and what kind of thing it is."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from surgery.formats.contents import Placeholder, Storage
from surgery.limits import limits
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import TensorExpr

__all__ = [
    "children",
    "is_container",
    "is_mapping",
    "is_module",
    "is_optimizer",
    "items_of",
    "module_state",
    "scalar_value",
    "tensor_like",
    "tensors_in",
]

_TENSOR_MAKERS = {
    "_rebuild_sparse_tensor": "is sparse",
    "_rebuild_sparse_csr_tensor": "is sparse",
    "_rebuild_qtensor": "is quantised",
    "_rebuild_nested_tensor": "is a nested tensor",
    "_rebuild_meta_tensor_no_storage": "was saved from the meta device, and has no data",
    "_rebuild_wrapper_subclass": "is of a tensor subclass without storage",
    "_rebuild_tensor_v2": "is conjugated or negated lazily (`resolve_conj()`, `resolve_neg()` before it is saved)",
    "_rebuild_tensor_v3": "is conjugated or negated lazily (`resolve_conj()`, `resolve_neg()` before it is saved)",
    "_rebuild_parameter": "is a parameter that is quantised, sparse or without data",
    "_rebuild_parameter_with_state": "is a parameter that is quantised, sparse or without data",
    "_rebuild_from_type_v2": "is of a tensor subclass that holds other tensors",
    "UninitializedParameter": "is a parameter of a lazy module that never saw data",
    "UninitializedBuffer": "is a buffer of a lazy module that never saw data",
}

#: numpy's type code -> that of struct
_SCALARS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "b1": "?"} | {
    f"u{size}": code for size, code in (("8", "Q"), ("4", "I"), ("2", "H"), ("1", "B"))
}


def children(node: Any) -> Iterator[tuple[str, Any]]:
    """What stands inside a node, by name: of a mapping by its keys, of a list by number, of an object by attribute."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(key, str | int):
                yield str(key), value
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield str(number), value
    elif isinstance(node, Placeholder):
        yield from items_of(node)
        if isinstance(node.state, Mapping):
            yield from children(node.state)
        elif isinstance(node.state, tuple) and len(node.state) == 2:
            # the state of a class with slots: the attributes in its __dict__, and those in slots
            for part in node.state:
                if isinstance(part, Mapping):
                    yield from children(part)


def items_of(node: Placeholder) -> Iterator[tuple[str, Any]]:
    """The items that were added to an object that is like a mapping or a list."""
    if node.mapping:
        yield from ((str(key), value) for key, value in node.items if isinstance(key, str | int))
    else:
        yield from ((str(number), value) for number, value in enumerate(node.items))


def is_container(node: Any) -> bool:
    """Whether something can stand inside the node."""
    return isinstance(node, Mapping | list | tuple | Placeholder)


def is_mapping(node: Any) -> bool:
    """Whether things stand in the node by keys: a mapping, or an object of a class that is one."""
    return isinstance(node, Mapping) or (isinstance(node, Placeholder) and node.mapping)


def module_state(node: Any) -> Mapping[str, Any] | None:
    """The attributes of a pickled ``nn.Module``, or None where the node is none."""
    if isinstance(node, Placeholder) and isinstance(node.state, Mapping):
        names = ("_parameters", "_buffers", "_modules")
        if all(isinstance(node.state.get(name), Mapping) for name in names):
            return node.state
    return None


def is_module(node: Any) -> bool:
    """Whether the node is a pickled ``nn.Module``, or an object of a TorchScript archive."""
    if module_state(node) is not None:
        return True
    script = isinstance(node, Placeholder) and node.module.split(".")[0] == "__torch__"
    return script and isinstance(node.state, Mapping)


def is_optimizer(node: Any) -> bool:
    """Whether the node is the state dict of an optimizer."""
    return isinstance(node, Mapping) and "param_groups" in node and "state" in node


def scalar_value(node: Any) -> int | float | bool | None:
    """The number that a pickled numpy scalar stands for, such as a best accuracy; None where the node is none."""
    if not isinstance(node, Placeholder) or not node.module.startswith("numpy.") or node.name != "scalar":
        return None
    if node.args is None or len(node.args) != 2 or not isinstance(node.args[1], bytes):
        return None
    dtype, raw = node.args
    code = dtype.args[0] if isinstance(dtype, Placeholder) and dtype.args else None
    order = dtype.state[1] if isinstance(dtype, Placeholder) and isinstance(dtype.state, tuple) else "<"
    form = _SCALARS.get(code) if isinstance(code, str) else None
    if form is None or struct.calcsize(form) != len(raw):
        return None
    value: int | float | bool = struct.unpack(f"{'>' if order == '>' else '<'}{form}", raw)[0]
    return value


def tensor_like(node: Any) -> str | None:
    """What keeps a tensor from being read, in words; None where the node is no such tensor."""
    if isinstance(node, Placeholder) and node.args is not None and node.module.startswith("torch."):
        dtype = node.args[6] if node.name == "_rebuild_tensor_v3" and len(node.args) > 6 else None
        if isinstance(dtype, Placeholder) and dtype.name not in DTYPES:
            return f"is of the dtype {dtype.name}, which is not read"
        if node.name == "_rebuild_tensor_v2" and isinstance(node.args[0], Storage) and node.args[0].dtype is None:
            return "is quantised"
        return _TENSOR_MAKERS.get(node.name)
    if isinstance(node, Storage):
        return "is a bare storage"
    return None


def tensors_in(tree: Any) -> Iterator[tuple[tuple[str, ...], TensorExpr]]:
    """Every tensor in the tree of a checkpoint, with its path. A container is walked once, wherever it stands."""
    seen: set[int] = set()
    deepest = limits().depth
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, TensorExpr):
            yield path, node
        elif is_container(node) and id(node) not in seen and len(path) < deepest:
            seen.add(id(node))
            waiting.extend(reversed([((*path, name), child) for name, child in children(node)]))
