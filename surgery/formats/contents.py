"""What a checkpoint holds, as data: nested containers whose leaves are tensor expressions and plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from surgery.tensors.dtype import DType
from surgery.tensors.expr import ByteRange, TensorExpr

if TYPE_CHECKING:
    from surgery.formats.file import File
    from surgery.tensors.state import FileState

__all__ = ["Blob", "Checkpoint", "Ordered", "Placeholder", "Rest", "Storage", "Trait"]


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """An object of a class that was not imported: its name and what the pickle would have built it from.

    Inert: nothing of the class runs. A torch output writes it back as it stood.

    Attributes:
        module, name: the class or function that the pickle names.
        args: what it was called with, or None where the pickle only names it.
        state: what its ``__setstate__`` or ``__dict__`` would have received (a dict of attributes, as a rule).
        items: list items or dict pairs that were added to it: pairs where `mapping` is true.
        new: whether it was made by ``cls.__new__(cls, *args)`` (as ordinary objects are) and not by ``cls(*args)``.
        kwargs: keyword arguments of ``__new__``, which hardly any class has.
    """

    module: str
    name: str
    args: tuple[Any, ...] | None = None
    state: Any = None
    items: Sequence[Any] = ()
    mapping: bool = False
    new: bool = False
    kwargs: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Ordered(dict[Any, Any]):
    """A ``collections.OrderedDict`` of a pickle. A state dict is one, and its `_metadata` is an attribute of it.

    Attributes:
        attributes: the attributes that were set on it, by name.
    """

    # a default of the class, since a torch file makes one of these for every tensor
    attributes: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A storage of a pickle. Tensors refer to it; standing by itself it is a leaf that is no tensor.

    Attributes:
        type: the name of its class, without the module: ``FloatStorage``.
        dtype: its element type; None where that is one that cannot be read (quantised ones).
        numel: how many elements.
        range: its bytes in the file.
        location: the device it was saved from.
        big_endian: whether its bytes are in that order.
    """

    type: str
    dtype: DType | None
    numel: int
    range: ByteRange
    location: str = "cpu"
    big_endian: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """A long byte string of a pickle, left in the file."""

    range: ByteRange


@dataclass(frozen=True, slots=True)
class Trait:
    """How a file holds a tensor, where that says more than shape, dtype and bytes.

    Attributes:
        form: ``tensor``, ``parameter`` (an ``nn.Parameter``), ``array`` (a ``numpy.ndarray``); of a TorchScript module,
            also ``buffer`` and ``attribute``.
        requires_grad: as it was saved.
        location: the device it was saved from.
    """

    form: str = "tensor"
    requires_grad: bool = False
    location: str = "cpu"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """One checkpoint, its tensors not yet read.

    Attributes:
        path: the file, or the directory or index of shards.
        format: ``safetensors``, ``torch``, ``torch-legacy``, …
        tree: nested ``dict``/``list``/``tuple`` with `TensorExpr`, numbers, strings, bytes, None, `Placeholder`,
            `Storage` and `Blob` as leaves. Of safetensors, one flat dict. A tensor that stands in two places is one
            expression object. A pickle can hold a container that holds itself: whoever walks the tree keeps count.
        metadata: string pairs of the file; empty where the format has none.
        files: every file that was opened, as it was then.
        traits: what else is known of a tensor, for those that are not plain tensors on the CPU.
        shown: the path as it was given, for messages.
        names: every class and function that its pickle names, as module and name, used or not.
        remarks: what is worth telling of how it was read.
    """

    path: str
    format: str
    tree: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileState] = field(default_factory=dict)
    traits: Mapping[TensorExpr, Trait] = field(default_factory=dict)
    shown: str = ""
    names: Collection[tuple[str, str]] = ()
    remarks: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        file: File,
        format: str,
        tree: Any,
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        files: Mapping[str, FileState] | None = None,
        traits: Mapping[TensorExpr, Trait] = MappingProxyType({}),
        names: Collection[tuple[str, str]] = (),
        remarks: Sequence[str] = (),
    ) -> Checkpoint:
        """The checkpoint that a file is, or leads to; `files` where it is not the only one."""
        files = {file.path: file.state} if files is None else files
        return cls(file.path, format, tree, metadata, files, traits, file.name, names, remarks)


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What else a checkpoint held beside the state dict that was taken from it.

    Attributes:
        tree: the whole tree of the checkpoint.
        entry: the path of containers, from the root of `tree`, at which the state dict stands; empty for the root.
        extra: entries of the state dict itself that are not tensors (``_extra_state``), by key.
        state_metadata: ``_metadata`` of the state dict, where it had any.
        traits: as in `Checkpoint`.
        source: the name of the source in the origins of its tensors.
        tensors: the tensors of the state dict as they stood in the checkpoint, in order.
        kinds: key -> ``parameter`` or ``buffer``, for those of them that are known.
    """

    tree: Any
    entry: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    state_metadata: Mapping[str, Any] | None = None
    traits: Mapping[TensorExpr, Trait] = field(default_factory=dict)
    source: str = ""
    tensors: Mapping[str, TensorExpr] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
