"""What torch's pickles call, as descriptions: storages, tensors, parameters.

After ``torch/_utils.py``, ``torch/_tensor.py`` and ``torch/serialization.py``. A tensor of a pickle is a view of a
storage: an offset, a shape and strides, counted in elements. Whatever is not understood here (sparse, quantised and
nested tensors, subclasses without storage) stays a placeholder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from surgery.formats.contents import Ordered, Placeholder, Storage, Trait
from surgery.formats.pickles.machine import Builder, Malformed, check_key
from surgery.limits import exceeded, limits
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.expr import ByteRange, Stored, Strided, TensorExpr
from surgery.tensors.spec import Spec, format_bytes

__all__ = ["DIMENSIONS", "STORAGE_TYPES", "Tensors", "is_size", "no_storage", "storage_maker", "view"]

#: class of a storage -> dtype and size of an element; torch.storage._storage_type_to_dtype_map
STORAGE_TYPES: dict[str, tuple[DType | None, int]] = {
    f"{name}Storage": (DTYPES[dtype], DTYPES[dtype].size)
    for name, dtype in {
        "Double": "float64",
        "Float": "float32",
        "Half": "float16",
        "BFloat16": "bfloat16",
        "Long": "int64",
        "Int": "int32",
        "Short": "int16",
        "Char": "int8",
        "Byte": "uint8",
        "Untyped": "uint8",
        "Bool": "bool",
        "ComplexDouble": "complex128",
        "ComplexFloat": "complex64",
    }.items()
} | {
    f"{name}Storage": (None, size)
    for name, size in {"QInt8": 1, "QUInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1}.items()
}

#: the most that a tensor may have
DIMENSIONS = 64
_LARGEST = 1 << 62


def is_size(value: Any) -> TypeGuard[int]:
    """Whether a value from a file is a number of elements or bytes that there can be, and no bool."""
    return type(value) is int and 0 <= value < _LARGEST


def view(spec: Spec, storage: ByteRange, offset: int, strides: tuple[int, ...], *, big_endian: bool) -> TensorExpr:
    """The tensor that a storage holds at an offset with these strides (counted in elements, not negative).

    It is `Stored` where its elements stand one after the other in the usual byte order, `Strided` otherwise.

    Raises:
        Malformed: it reaches beyond its storage.
        SurgeryError: it is absurdly larger than its storage.
    """
    size = spec.dtype.size
    numel, last, dense = 1, offset, True
    for length, stride in zip(reversed(spec.shape), reversed(strides), strict=True):
        if length != 1:
            dense = dense and stride == numel
            last += (length - 1) * stride
        numel *= length
    if not numel:
        return Stored(spec, ())
    if (last + 1) * size > storage.length:
        raise Malformed("a tensor reaches beyond its storage")
    if dense and not (big_endian and size > 1):
        return Stored(spec, (storage.part(offset * size, numel * size),))
    if numel * size > max(limits().expanded, storage.length):
        message = f"`{storage.path}`: a tensor of {spec} repeats the elements of {format_bytes(storage.length)}"
        raise exceeded("expanded", f"{message}: {format_bytes(numel * size)}", needed=numel * size)
    return Strided(spec, storage, offset, strides, big_endian)


class Tensors:
    """Makes the tensors of one file. Views that are the same are one expression, which is how ties are known.

    Attributes:
        traits: what else is known of them.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], TensorExpr] = {}
        self.traits: dict[TensorExpr, Trait] = {}
        #: the functions that torch's pickles call, by name
        self.builders: dict[tuple[str, str], Builder] = {
            ("collections", "OrderedDict"): _ordered,
            ("torch._utils", "_rebuild_tensor"): self._v1,
            ("torch._utils", "_rebuild_tensor_v2"): self._v2,
            ("torch._utils", "_rebuild_tensor_v3"): self._v3,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): self._parameter,
            ("torch._utils", "_rebuild_device_tensor_from_numpy"): self._of_device("_rebuild_device_tensor_from_numpy"),
            ("torch._utils", "_rebuild_xla_tensor"): self._of_device("_rebuild_xla_tensor"),
            ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): self._of_device(
                "_rebuild_device_tensor_from_cpu_tensor"
            ),
            ("torch._tensor", "_rebuild_from_type_v2"): self._from_type,
            ("torch", "Tensor"): _uninitialised,
            **{
                ("torch", f"{name}Tensor"): _uninitialised
                for name in ("Float", "Double", "Half", "Long", "Int", "Byte")
            },
        }

    def _tensor(self, storage: Storage, dtype: DType, offset: int, size: Any, stride: Any) -> TensorExpr:
        key = (storage, dtype.name, offset, size, stride)
        made = self._made.get(key)
        if made is None:
            if type(size) is not tuple or type(stride) is not tuple or len(size) != len(stride):
                raise Malformed("a tensor's shape and strides do not agree")
            if len(size) > DIMENSIONS:
                raise Malformed(f"a tensor has {len(size)} dimensions")
            if not all(map(is_size, (offset, *size, *stride))):
                raise Malformed("a tensor's shape, strides or offset are no numbers that can be")
            made = view(Spec(size, dtype), storage.range, offset, stride, big_endian=storage.big_endian)
            self._made[key] = made
        return made

    def _v1(self, storage: Any, offset: Any, size: Any, stride: Any) -> Any:
        return self._v2(storage, offset, size, stride)

    def _v2(
        self,
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> Any:
        if type(storage) is not Storage:
            raise Malformed("a tensor has no storage")
        args = (storage, offset, size, stride, requires_grad, hooks, metadata)
        return self._of(storage, storage.dtype, args, "_rebuild_tensor_v2")

    def _v3(
        self,
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any,
        hooks: Any,
        dtype: Any,
        metadata: Any = None,
    ) -> Any:
        if type(storage) is not Storage or type(dtype) is not Placeholder:
            raise Malformed("a tensor has no storage or no dtype")
        known = DTYPES.get(dtype.name) if dtype.module == "torch" else None
        args = (storage, offset, size, stride, requires_grad, hooks, dtype, metadata)
        return self._of(storage, known, args, "_rebuild_tensor_v3")

    def _of(self, storage: Storage, dtype: DType | None, args: tuple[Any, ...], function: str) -> Any:
        """A tensor; a placeholder where its dtype, or a conjugate or negative bit, keeps it from being read."""
        _, offset, size, stride, requires_grad, *_, metadata = args
        if dtype is None or metadata:
            return Placeholder("torch._utils", function, args)
        made = self._tensor(storage, dtype, offset, size, stride)
        if requires_grad is True or storage.location != "cpu":
            self.traits.setdefault(made, Trait("tensor", requires_grad is True, storage.location))
        return made

    def _parameter(self, data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None) -> Any:
        if not isinstance(data, TensorExpr):
            return Placeholder("torch._utils", "_rebuild_parameter", (data, requires_grad, hooks))
        trait = self.traits.get(data, Trait())
        self.traits[data] = dataclasses.replace(trait, form="parameter", requires_grad=requires_grad is True)
        return data

    def _of_device(self, function: str) -> Builder:
        def build(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Any:
            same = isinstance(data, TensorExpr) and type(dtype) is Placeholder and dtype.name == data.spec.dtype.name
            if not same or type(device) is not str:
                return Placeholder("torch._utils", function, (data, dtype, device, requires_grad))
            self.traits[data] = Trait("tensor", requires_grad is True, device)
            return data

        return build

    def _from_type(self, function: Any, subclass: Any, args: Any, state: Any) -> Any:
        """A tensor of a subclass, or with attributes of its own: the tensor alone."""
        if type(function) is Placeholder and function.args is None and type(args) is tuple:
            builder = self.builders.get((function.module, function.name))
            made = builder(*args) if builder and function.module.startswith("torch._") else None
            if isinstance(made, TensorExpr):
                return made
        return Placeholder("torch._tensor", "_rebuild_from_type_v2", (function, subclass, args, state))


def _ordered(*args: Any) -> Ordered:
    """``collections.OrderedDict()``, or, as Python 2 pickled it, of a list of pairs."""
    if not args:
        return Ordered()
    (pairs,) = args
    if isinstance(pairs, Mapping):
        return Ordered(pairs)
    if type(pairs) not in (list, tuple):
        raise Malformed("an OrderedDict is made of something that has no pairs")
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise Malformed("an OrderedDict is made of something that is no pair")
        check_key(pair[0])
    return Ordered([tuple(pair) for pair in pairs])


def _uninitialised(*args: Any) -> Any:
    """``torch.Tensor(4000)`` makes four thousand elements of whatever was in memory."""
    raise Malformed("the pickle asks for a tensor without data (`torch.Tensor(...)`), which would be arbitrary memory")


def no_storage(identifier: Any) -> Any:
    """What stands for a storage where there is none."""
    raise Malformed("the pickle refers to storages, and is in no torch file")


def storage_maker(place: Callable[[str, int], ByteRange], *, big_endian: bool = False) -> Callable[[Any], Storage]:
    """What resolves the persistent identifiers of a torch file to storages.

    Args:
        place: where the storage with that key lies, given how many bytes it should have.
        big_endian: the byte order of the file.
    """
    known: dict[str, Storage] = {}

    def resolve(identifier: Any) -> Storage:
        try:
            kind, storage_type, key, location, numel = identifier[:5]
        except (TypeError, ValueError) as error:
            raise Malformed("a storage is named in a way that torch does not have") from error
        if kind != "storage" or type(storage_type) is not Placeholder or not isinstance(key, str):
            raise Malformed("a storage is named in a way that torch does not have")
        found = known.get(key)
        if found is None:
            if storage_type.name not in STORAGE_TYPES:
                raise Malformed(f"there is no storage of the type `{storage_type}`")
            if not is_size(numel) or not isinstance(location, str):
                raise Malformed("a storage has a size or a place that cannot be")
            dtype, size = STORAGE_TYPES[storage_type.name]
            where = place(key, numel * size)
            found = known[key] = Storage(storage_type.name, dtype, numel, where, str(location), big_endian)
        elif found.type != storage_type.name or found.numel != numel:
            raise Malformed(f"the storage `{key}` is named with two types or sizes")
        return found

    return resolve
