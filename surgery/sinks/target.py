"""What an output means: its path, its format, whether it is a file or a directory of shards; all checked before."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import SurgeryError, escape, fail
from surgery.files.checks import check_directory, check_file, follow
from surgery.formats.additions import PREFIX
from surgery.formats.following import following
from surgery.formats.nodes import tensor_like
from surgery.planning.foreign import refuse_outside
from surgery.sinks import SINKS
from surgery.sinks.base import Output, Request, Sink
from surgery.suggest import did_you_mean
from surgery.tensors.expr import Held, Unread
from surgery.tensors.spec import parse_bytes
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.planning.context import Context
    from surgery.tensors.subject import Subject

__all__ = ["Target", "check_output", "check_outputs", "check_target", "resolve", "targets_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An output, resolved: where it goes, what writes it, and how.

    Attributes:
        path: as it will be shown; relative to the caller's directory where the recipe is.
        format: the name of the sink.
    """

    path: Path
    format: str
    sink: Sink
    request: Request
    overwrite: bool


def resolve(output: Output, base: Path, provenance: str = "", *, digest: bool = False) -> Target:
    """The target of an output.

    Args:
        output: what the recipe or the caller says.
        base: the directory that a relative path is relative to, where the output has none of its own.
        provenance: the record of what makes the result; an output may be without.
        digest: whether the contents get checksums, in a format that has none.

    Raises:
        SurgeryError: code ``output-format``: an unknown suffix, a size that is none, shards of a format without them.
    """
    if "://" in output.path:
        note = "write a file, and move it there with a program that can"
        raise fail("output", f"`{output.path}` is an address, and outputs are files", output.span, (note,))
    if output.path == "-":
        note = "a file of that name is `./-`"
        raise fail("output", "standard output is no output: outputs are files", output.span, (note,))
    path = Path(output.base or base, os.path.expanduser(output.path))
    limit = None if output.shard_size is None else _size(output.shard_size, output)
    ends = output.path.endswith(("/", os.sep))
    asked = ends or limit is not None
    name = output.format or _by_suffix(path, output, directory=asked)
    sink = SINKS[name]()
    directory = sink.form == "directory" or asked or (sink.form == "shards" and not path.suffix)
    if asked and sink.form == "file":
        note = "it is one file: leave out `shard_size`, and the `/` at the end of the path"
        raise fail("output-format", f"`{name}` is not written as a directory of shards", output.span, (note,))
    if directory and not ends and path.suffix in _suffixes():
        raise _named_as_a_file(output, name, sink)
    request = Request(
        directory=directory,
        shard_size=limit,
        metadata=_pairs(output),
        provenance=provenance if output.provenance else "",
        digest=digest and output.provenance,
        keep=output.container == "keep",
        entry=tuple(output.entry.split(".")) if output.entry else None,
        without=output.without,
        span=output.span,
    )
    return Target(path, name, sink, request, output.overwrite)


def _named_as_a_file(output: Output, name: str, sink: Sink) -> SurgeryError:
    stem = escape(str(Path(output.path).with_suffix("")))
    if sink.form == "directory":
        message = f"`{name}` is written as a directory, and the path is named as a file"
        note = f"`path: {stem}/`"
    else:
        message = "with `shard_size` the output is a directory of shards"
        note = f"`path: {stem}/` with `shard_size`, or `{escape(output.path)}` without"
    return fail("output-format", message, output.span, (note,))


def _suffixes() -> dict[str, str]:
    return {suffix: name for name in SINKS for suffix in SINKS[name].suffixes}


def _by_suffix(path: Path, output: Output, *, directory: bool) -> str:
    known = _suffixes()
    found = known.get(path.suffix.lower())
    if found is not None:
        return found
    if directory or not path.suffix:
        return "safetensors"
    near = did_you_mean(path.suffix, known)
    notes = [near] if near else []
    notes.append(f"known suffixes: {', '.join(known)}; or say it with `format`: {', '.join(SINKS)}")
    notes.append("a path that ends with `/` is a directory of safetensors shards")
    raise fail("output-format", f"no format goes by the suffix `{escape(path.suffix)}`", output.span, notes)


def _size(value: Any, output: Output) -> int:
    """The most bytes of a shard."""
    size = parse_bytes(value)
    if size is None or size <= 0:
        note = "a number of bytes, or text such as `5GB` or `500MB`, in powers of 1000"
        raise fail("output-format", f"`shard_size` is not a size: `{escape(str(value))}`", output.span, (note,))
    return size


def _pairs(output: Output) -> dict[str, str]:
    """The metadata of an output: numbers and booleans are written as text."""
    if output.metadata is None:
        return {}
    plain = isinstance(output.metadata, dict) and all(
        isinstance(value, str | int | float | bool) for value in output.metadata.values()
    )
    if not plain:
        note = "such as `metadata: {author: Ada, license: mit}`"
        raise fail("output-format", "`metadata` is a mapping of texts", output.span, (note,))
    ours = next((name for name in output.metadata if str(name).startswith(PREFIX)), None)
    if ours is not None:
        note = f"names that begin with `{PREFIX}` are for what Surgery writes"
        raise fail("output-format", f"`metadata` has `{escape(ours)}`", output.span, (note,))
    return {name: _text(value) for name, value in output.metadata.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def targets_of(
    outputs: Iterable[Output], base: Path, provenance: str = "", *, digest: bool = False
) -> tuple[Target, ...]:
    """The targets of all outputs of a plan.

    Raises:
        SurgeryError: as `resolve`.
    """
    return tuple(resolve(output, base, provenance, digest=digest) for output in outputs)


def check_output(output: Output, subject: Subject, context: Context) -> Target:
    """Whether `subject` can be written to an output; nothing is written. What is there already is a warning.

    Raises:
        SurgeryError: it cannot.
    """
    target = resolve(output, context.directory)
    if output.base is None:
        refuse_outside(target.path, context, output.span)
    check_target(target, subject, context)
    return target


def check_target(target: Target, subject: Subject, context: Context) -> None:
    """Whether `subject` can be written to a target; as `check_output`."""
    _check_bytes(subject, target)
    _check_beyond(subject, target)
    context.remarks.extend(target.sink.check(subject, target.request))
    try:
        _check_place(target)
    except SurgeryError as error:
        if any(diagnostic.code != "output-exists" for diagnostic in error.diagnostics):
            raise
        # a recipe is planned again after it was run: only writing is refused
        context.diagnostics.extend(dataclasses.replace(d, severity="warning") for d in error.diagnostics)


def _check_place(target: Target) -> None:
    if target.request.directory:
        check_directory(target.path, target.overwrite, target.sink.replaceable, target.request.span)
    else:
        check_file(target.path, target.overwrite, target.request.span)


def _check_bytes(subject: Subject, target: Target) -> None:
    """Whether every tensor has bytes to write: not those on the meta device, nor lazy, sparse and quantised ones."""
    for key, entry in subject.entries.items():
        if isinstance(entry.expr, Unread):
            if target.sink.unread:
                continue
            message = f"`{escape(key)}` ({entry.spec}) {tensor_like(entry.expr.node)}"
            notes = (
                f"leave it out: `filter: {{drop: {escape(key)}}}`",
                "a torch file takes it back as it stood: `format: torch`",
            )
            raise fail("not-in-this-format", message, target.request.span, notes)
        held = entry.expr.tensor if isinstance(entry.expr, Held) else None
        on_meta = str(getattr(held, "device", "")) == "meta"
        if on_meta or entry.spec.dtype.kind == "opaque":
            what = "is on the meta device, and has no data" if on_meta else f"is {entry.spec.dtype}"
            note = "only tensors whose elements stand one after the other are written"
            if entry.spec.dtype.name.startswith("DTensor"):
                note = "`full_tensor()` gathers it; a directory of `torch.distributed.checkpoint` can be a source"
            raise fail("not-in-this-format", f"`{escape(key)}` {what}", target.request.span, (note,))


def _check_beyond(subject: Subject, target: Target) -> None:
    """Whether the state dict of a model is its parameters and buffers, and what a file held for its modules."""
    if subject.skeleton is None or target.format == "module":
        return
    from surgery.model.beyond import beyond

    rest = following(subject)
    lost = [key for key in beyond(subject.skeleton) if rest is None or key not in rest.extra]
    if lost:
        message = f"the state dict of the model also has {listed(lost, 3)}, held by no parameter or buffer"
        notes = (
            "`format: module` writes the model as a whole",
            "a file of `torch.save(model.state_dict(), …)` can be a source: `{checkpoint: …}`",
        )
        raise fail("not-in-this-format", message, target.request.span, notes)


def check_outputs(outputs: Iterable[Output], subject: Subject, context: Context) -> None:
    """Report everything that is wrong with the outputs of a plan, two of the same path included."""
    taken: dict[Path, Path] = {}
    for output in outputs:
        try:
            target = check_output(output, subject, context)
        except SurgeryError as error:
            context.diagnostics.extend(error.diagnostics)
            continue
        real = follow(target.path)
        inside = next((p for p in (real, *real.parents) if p in taken), None)
        over = next((p for p in taken if real in p.parents), None)
        clash = inside or over
        if clash is not None:
            message = f"two outputs are written to one place: `{taken[clash]}` and `{target.path}`"
            context.report("output", message, output.span)
        taken[real] = target.path
