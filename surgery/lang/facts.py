"""What a guard may ask of a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec

__all__ = ["FACTS", "Facts", "constants"]

#: the names of the facts, as guards spell them
FACTS = ("ndim", "shape", "dtype", "floating", "numel", "kind", "key")


def constants() -> dict[str, str]:
    """Names that stand for themselves in a condition: dtypes and kinds."""
    return {name: name for name in (*DTYPES, "parameter", "buffer")}


_CONSTANTS = constants()


class Facts(Mapping[str, Any]):
    """The names of a condition: captures first, then the tensor's facts, then dtypes and kinds.

    >>> from surgery.tensors.dtype import DTYPES
    >>> facts = Facts("fc.weight", Spec((10, 512), DTYPES["float32"]), "parameter")
    >>> facts["ndim"], facts["dtype"] == facts["float32"]
    (2, True)
    """

    __slots__ = ("_captures", "_key", "_kind", "_spec")

    def __init__(
        self, key: str, spec: Spec | None, kind: str | None, captures: Mapping[str, Any] | None = None
    ) -> None:
        self._key, self._spec, self._kind = key, spec, kind
        self._captures = captures or {}

    def under(self, captures: Mapping[str, Any]) -> Facts:
        """The same facts with other captures."""
        return Facts(self._key, self._spec, self._kind, captures)

    def __getitem__(self, name: str) -> Any:
        if name in self._captures:
            return self._captures[name]
        if name == "key":
            return self._key
        if name == "kind":
            return self._kind
        if name in FACTS:
            return self._of_tensor(name)
        return _CONSTANTS[name]

    def _of_tensor(self, name: str) -> Any:
        if self._spec is None:
            return None
        match name:
            case "shape":
                return self._spec.shape
            case "ndim":
                return len(self._spec.shape)
            case "dtype":
                return self._spec.dtype.name
            case "floating":
                return self._spec.dtype.floating
        return self._spec.numel

    def __iter__(self) -> Iterator[str]:
        return iter([*self._captures, *FACTS, *_CONSTANTS])

    def __len__(self) -> int:
        return len(list(iter(self)))
