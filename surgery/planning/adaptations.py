"""Tensors that are loaded although their dtype or shape is not quite that of their place; and those that cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field

from surgery.collapse import collapse
from surgery.planning.context import Context
from surgery.planning.differences import Words
from surgery.tensors.spec import Spec, format_shape

__all__ = ["Adaptations"]


@dataclass(slots=True)
class Adaptations:
    """What was adapted in a load, by kind: a remark for what changes no value, an error for what would."""

    words: Words
    _cast: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _reshaped: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = field(default_factory=dict)
    _lossy: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, key: str, wanted: Spec, found: Spec, *, lossy: bool) -> None:
        """Note how the tensor `key` differs from its place, if it does."""
        if found.dtype != wanted.dtype:
            (self._lossy if lossy else self._cast).setdefault((found.dtype.name, wanted.dtype.name), []).append(key)
        if found.shape != wanted.shape:
            self._reshaped.setdefault((found.shape, wanted.shape), []).append(key)

    def report(self, context: Context) -> None:
        """Tell the context: remarks, and an error for each pair of dtypes that would lose values."""
        for (found, wanted), keys in self._cast.items():
            what = f"{found} in {self.words.found}, and {wanted} in {self.words.wanted}"
            context.remarks.append(f"{_listed(keys)} {_are(keys)} {what}: every value is kept")
        for (before, after), keys in self._reshaped.items():
            what = f"{format_shape(before)} in {self.words.found}, and {format_shape(after)} in {self.words.wanted}"
            context.remarks.append(f"{_listed(keys)} {_are(keys)} {what}: the one value is kept")
        for (found, wanted), keys in self._lossy.items():
            what = f"{found} in {self.words.found}, and {wanted} in {self.words.wanted}"
            message = f"{_counted(keys)} {what}: {wanted} does not hold every {found} value"
            step = f'`cast: "** if dtype == {found} -> {wanted}"`'
            note = f"to round them all the same, among the `steps` of the load: {step}"
            context.report("lossy-cast", message, notes=(_listed(keys), note))


def _counted(keys: list[str]) -> str:
    return "one tensor is" if len(keys) == 1 else f"{len(keys)} tensors are"


def _are(keys: list[str]) -> str:
    return "are" if len(keys) != 1 else "is"


def _listed(keys: list[str]) -> str:
    patterns = collapse(keys)
    shown = ", ".join(f"`{pattern}`" for pattern in patterns[:3])
    left = sum(map(len, patterns[3:]))
    return f"{shown} and {left} more" if left else shown
