"""What a sink is: a format, the suffixes that ask for it, and a function that lays a result out as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from surgery.diagnostics import Span
from surgery.fields import anything, boolean, key, list_of, main, name_in, one_of, option, string
from surgery.registry import Registry
from surgery.sinks.layout import Layout
from surgery.tensors.expr import TensorExpr

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["SINKS", "Embed", "Output", "Progress", "Request", "Sink", "Written", "blank"]

#: called with the number of bytes that were written since the last call
Progress: TypeAlias = Callable[[int], None]
#: reads a tensor whose bytes have to stand in the middle of other data; in a plan, `blank`
Embed: TypeAlias = Callable[[TensorExpr], bytes]
#: format in a recipe -> sink
SINKS: Registry[type[Sink]] = Registry("surgery.sinks")


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a recipe.

    Attributes:
        base: the directory that a relative `path` is relative to; None for the recipe's own.
        span: its place in the recipe.
    """

    path: str = main(string, help="the file, or for shards the directory")
    format: str | None = option(name_in(SINKS), help="by the suffix if left out")
    shard_size: Any = option(anything, help="bytes, or text such as 5GB: larger results become shards")
    container: str = option(one_of("bare", "keep"), default="bare", help="keep: with the rest of the checkpoint")
    entry: str | None = option(key, help="with `container: keep`, where in the checkpoint the state dict stands")
    without: tuple[str, ...] = option(
        list_of(key), default=(), help="with `container: keep`, entries of the checkpoint that are left behind"
    )
    metadata: Any = option(anything, help="string pairs for the file")
    provenance: bool = option(boolean, default=True, help="whether the file says what made it")
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


@dataclass(frozen=True, slots=True)
class Request:
    """What a sink is asked for, beside the tensors.

    Attributes:
        directory: whether the result goes to a directory.
        shard_size: the most bytes of tensors in one file; None for no limit.
        metadata: string pairs for the file.
        provenance: the record of what made it, as JSON; empty where there is none.
        digest: whether the contents get checksums, in a format that has none.
        keep: whether the rest of the checkpoint is written too.
        entry: where in the rest the state dict stands; None for where it stood.
        without: entries of the rest that are left behind, by dotted name.
        span: the output's place in the recipe.
    """

    directory: bool = False
    shard_size: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    provenance: str = ""
    digest: bool = False
    keep: bool = False
    entry: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    span: Span | None = None


def blank(expr: TensorExpr) -> bytes:
    """What stands in a plan for bytes that are not read: noughts, as many."""
    return bytes(expr.spec.nbytes)


class Sink:
    """The base of all sinks. Adding one is adding one file.

    Attributes:
        suffixes: file suffixes that ask for this format where none is named.
        form: what it writes; ``shards`` stands for a file, or a directory of shards where that is asked for.
        unread: whether it takes back, as they stood, tensors that were not read: `surgery.tensors.expr.Unread`.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    form: ClassVar[Literal["file", "shards", "directory"]] = "file"
    unread: ClassVar[bool] = False

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        """What a plan should say of `subject` written like this, from the plan alone.

        Raises:
            SurgeryError: it cannot be.
        """
        return ()

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        """The files, byte by byte, for what `check` accepts. The same for the same arguments, always."""
        raise NotImplementedError

    def replaceable(self, name: str) -> bool:
        """Whether a file of this name, in a directory that is replaced, is one that this sink writes."""
        return False
