"""What a sink is: a format, the suffixes that ask for it, and a function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from surgery.diagnostics import Span
from surgery.fields import anything, boolean, key, main, one_of, option, string

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["Output", "Progress", "Sink", "Written"]

#: called with the number of bytes that were written since the last call
Progress: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a recipe.

    Attributes:
        base: the directory that a relative `path` is relative to; None for the recipe's own.
        span: its place in the recipe.
    """

    path: str = main(string, help="the file, or for shards the directory")
    format: str | None = option(one_of("safetensors", "torch", "torch-legacy"), help="by the suffix if left out")
    shard_size: Any = option(anything, help="bytes, or text such as 5GB: larger results become shards")
    container: str = option(one_of("bare", "keep"), default="bare", help="keep: with the rest of the checkpoint")
    entry: str | None = option(key, help="with `container: keep`, where in the checkpoint the state dict stands")
    metadata: Any = option(anything, help="string pairs for the file")
    overwrite: bool = option(boolean, default=False, help="whether an existing file may be replaced")
    base: str | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the path, the files in it with their sizes in bytes, and how many tensors."""

    path: Path
    files: Mapping[str, int]
    tensors: int
    notes: tuple[str, ...] = ()


class Sink:
    """The base of all sinks.

    Attributes:
        suffixes: file suffixes that ask for this format where none is named.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()

    def check(self, subject: Subject, output: Output) -> None:
        """Raise a `SurgeryError` if `subject` cannot be written like this (from the plan alone)."""

    def size(self, subject: Subject, output: Output) -> int:
        """About how many bytes will be written."""
        raise NotImplementedError

    def write(self, subject: Subject, output: Output, target: Path, progress: Progress) -> Written:
        """Write `subject` to `target`, which is whole or not there at all when this returns or raises."""
        raise NotImplementedError
