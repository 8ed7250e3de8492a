"""Tensors of a pickle that are no elements one after the other: quantised, sparse, without data, of other classes.

Nobody computes with them here, but they have a name, a kind and mostly a shape, and a torch file takes them back as
they stood. The arguments are those of the functions in ``torch/_utils.py``.
"""

from __future__ import annotations

from typing import Any

from surgery.formats.contents import Placeholder, Storage
from surgery.formats.nodes import tensor_like
from surgery.tensors.dtype import DType
from surgery.tensors.expr import TensorExpr, Unread
from surgery.tensors.spec import Spec

__all__ = ["is_unread", "unread"]

_DIMENSIONS = 64
_LARGEST = 1 << 62
#: function -> the number of the argument that is the shape
_SHAPES = {
    "_rebuild_tensor_v2": 2,
    "_rebuild_tensor_v3": 2,
    "_rebuild_qtensor": 2,
    "_rebuild_meta_tensor_no_storage": 1,
    "_rebuild_wrapper_subclass": 2,
}
#: function -> what it makes, and the number of the argument that says the dtype
_KINDS = {
    "_rebuild_qtensor": ("", 0),
    "_rebuild_meta_tensor_no_storage": ("meta ", 0),
    "_rebuild_wrapper_subclass": ("subclass ", 1),
    "_rebuild_nested_tensor": ("nested ", 0),
    "UninitializedParameter": ("lazy parameter", None),
    "UninitializedBuffer": ("lazy buffer", None),
    "_rebuild_from_type_v2": ("subclass", None),
}


def is_unread(node: Any) -> bool:
    """Whether a node is a tensor that stays as it stands in the file."""
    return isinstance(node, Placeholder) and tensor_like(node) is not None


def unread(key: str, node: Placeholder | Storage) -> Unread:
    """The tensor that a node stands for: its kind in words, its shape, ``[]`` where that is not told.

    >>> meta = ("torch._utils", "_rebuild_meta_tensor_no_storage")
    >>> str(unread("w", Placeholder(*meta, (Placeholder("torch", "float16"), (2, 3), (3, 1), False))).spec)
    'meta float16 [2, 3]'
    """
    kind, shape = _described(node)
    # its bytes are not counted: what the file says of them is not checked
    return Unread(Spec(_shape(shape), DType(kind, 0, "opaque", 0)), key, node)


def _described(node: Placeholder | Storage) -> tuple[str, Any]:
    """The kind in words, and the shape as the file has it."""
    if isinstance(node, Storage):
        return f"storage {_dtype(node)}", (node.numel,)
    args = node.args or ()
    if node.name.startswith("_rebuild_parameter") and args and isinstance(args[0], Placeholder):
        return _described(args[0])
    if node.name.startswith("_rebuild_sparse"):
        return _sparse(args)
    shape = _argument(args, _SHAPES.get(node.name))
    if node.name in ("_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        return _lazy(node.name, args), shape
    words, position = _KINDS.get(node.name, (node.name, None))
    return f"{words}{_dtype(_argument(args, position))}", shape


def _lazy(function: str, args: tuple[Any, ...]) -> str:
    """``conjugated complex64``, or the dtype alone where that is what keeps the tensor from being read."""
    dtype = _argument(args, 6) if function == "_rebuild_tensor_v3" else args[0]
    bits = args[-1] if isinstance(args[-1], dict) else {}
    words = [word for bit, word in (("conj", "conjugated"), ("neg", "negated")) if bits.get(bit)]
    return " ".join([*words, _dtype(dtype)])


def _sparse(args: tuple[Any, ...]) -> tuple[str, Any]:
    """Of ``(layout, (indices…, values, size, …))``; a coordinate tensor may end in whether it is coalesced."""
    layout, data = _argument(args, 0), _argument(args, 1)
    named = _argument(layout.args, 0) if isinstance(layout, Placeholder) and layout.args else None
    kind = named.removeprefix("torch.") if isinstance(named, str) else "sparse"
    parts = data if isinstance(data, tuple) else ()
    at = 1 if kind == "sparse_coo" else 2
    size = _argument(parts, at + 1)
    return f"{kind} {_dtype(_argument(parts, at))}".rstrip(), size.args[0] if _is_size(size) else size


def _is_size(node: Any) -> bool:
    return isinstance(node, Placeholder) and node.name == "Size" and bool(node.args)


def _argument(args: tuple[Any, ...], position: int | None) -> Any:
    return args[position] if position is not None and position < len(args) else None


def _dtype(value: Any) -> str:
    """The name of a dtype, of that of a tensor, or of that of a storage."""
    if isinstance(value, TensorExpr):
        return value.spec.dtype.name
    if isinstance(value, Storage):
        return value.dtype.name if value.dtype else value.type.removesuffix("Storage").lower()
    return value.name if isinstance(value, Placeholder) and value.module == "torch" else ""


def _shape(value: Any) -> tuple[int, ...]:
    usual = isinstance(value, tuple) and len(value) <= _DIMENSIONS
    return value if usual and all(type(size) is int and 0 <= size < _LARGEST for size in value) else ()
