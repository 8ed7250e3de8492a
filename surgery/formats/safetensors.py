"""Safetensors: eight bytes with the length of a JSON header, the header, and the tensors' bytes.

After the format's description in its reference implementation, https://github.com/huggingface/safetensors. What is
stricter here: a name may stand in the header once only. (The byte ranges must cover the data without overlap or hole,
so no bytes can be under two names.) Tied tensors, which the format does not have, are written by this project once,
with the other names in the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.formats.additions import ALIASES, CHECKSUMS
from surgery.formats.checksums import Summed
from surgery.formats.contents import Checkpoint
from surgery.formats.detect import FORMATS, Format
from surgery.formats.distributed.parts import is_part
from surgery.formats.file import File, corrupt
from surgery.formats.strict_json import NotStrict, parse
from surgery.limits import exceeded, limits
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Stored, TensorExpr
from surgery.tensors.spec import Spec
from surgery.wording import listed

__all__ = ["DTYPE_NAMES", "Safetensors", "restore_aliases"]

#: how the format calls dtypes
DTYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_DTYPES = {short: DTYPES[name] for short, name in DTYPE_NAMES.items()}
_WORDS = {"dtype", "shape", "data_offsets"}


@FORMATS.register("safetensors")
class Safetensors(Format):
    """One safetensors file."""

    title: ClassVar[str] = "safetensors"

    @classmethod
    def matches(cls, file: File) -> bool:
        return file.head[8:9] == b"{" and int.from_bytes(file.head[:8], "little") < 1 << 40 and not is_part(file)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        header, start = _header(file)
        metadata = _metadata(file, header.pop("__metadata__", {}))
        tree: dict[str, TensorExpr] = {}
        ends: list[tuple[int, int, str]] = []
        for key, description in header.items():
            tree[key], begin, end = _tensor(file, key, description, start)
            ends.append((begin, end, key))
        _check_cover(file, sorted(ends), file.size - start)
        remarks = restore_aliases(file, tree, metadata.pop(ALIASES, None))
        return Checkpoint.of(file, "safetensors", tree, metadata=metadata, remarks=remarks)

    @classmethod
    def checksums(cls, file: File, checkpoint: Checkpoint) -> Iterator[Summed]:
        digits = checkpoint.metadata.get(CHECKSUMS)
        if digits is None:
            return
        first: dict[TensorExpr, str] = {}
        for key, expr in checkpoint.tree.items():
            first.setdefault(expr, key)
        # where another program wrote other tensors, and took the metadata along, they are those of none of these
        sound = re.fullmatch(r"([0-9a-f]{8})*", digits) and len(digits) == 8 * len(first)
        for number, (expr, key) in enumerate(first.items()):
            crc = int(digits[8 * number : 8 * number + 8], 16) if sound else None
            yield Summed(key, expr.spec.nbytes, crc, expr.ranges if isinstance(expr, Stored) else ())


def _header(file: File) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.head[:8], "little")
    if length > limits().header:
        message = f"`{file.name}` says that its header has {length} bytes"
        raise exceeded("header", message, needed=length)
    raw = file.read(8, length)
    if len(raw) < length:
        raise corrupt(file, "its header is cut off", f"{length} bytes are announced, and {len(raw)} are there")
    try:
        header = parse(raw)
    except NotStrict as error:
        raise corrupt(file, f"its header is damaged: {error}", cause=error) from error
    if not isinstance(header, dict):
        raise corrupt(file, "its header is no JSON object")
    return header, 8 + length


def _metadata(file: File, metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise corrupt(file, "its `__metadata__` holds something else than texts")
    return metadata


def _tensor(file: File, key: str, description: Any, start: int) -> tuple[Stored, int, int]:
    if not isinstance(description, dict) or description.keys() != _WORDS:
        raise corrupt(file, f"the tensor `{key}` is not described by dtype, shape and data_offsets")
    dtype = _DTYPES.get(description["dtype"]) if isinstance(description["dtype"], str) else None
    if dtype is None:
        message = f"`{file.name}`: the tensor `{key}` is of the dtype {description['dtype']!r}, which is not read"
        raise fail("unsupported-checkpoint", message, notes=[f"known: {', '.join(DTYPE_NAMES)}"])
    shape, offsets = description["shape"], description["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise corrupt(file, f"the shape or the offsets of the tensor `{key}` are no sizes")
    begin, end = offsets
    spec = Spec(tuple(shape), dtype)
    if end - begin != spec.nbytes:
        detail = f"{spec} takes {spec.nbytes} bytes, and its range has {end - begin}"
        raise corrupt(file, f"the tensor `{key}` and its bytes do not agree", detail)
    return Stored(spec, (file.locate(start + begin, end - begin),) if end > begin else ()), begin, end


def _are_sizes(values: Any) -> bool:
    if not isinstance(values, list):
        return False
    # a loop, since a generator costs more than all else that is done for a tensor
    for value in values:  # noqa: SIM110
        if type(value) is not int or not 0 <= value < 1 << 63:
            return False
    return True


def _check_cover(file: File, ranges: list[tuple[int, int, str]], available: int) -> None:
    """The ranges must follow one another without overlap or hole, and reach to the end of the file."""
    at = 0
    for begin, end, key in ranges:
        if begin != at:
            what = "overlap with those of another tensor" if begin < at else "leave a hole before them"
            raise corrupt(file, f"the bytes of the tensor `{key}` {what}")
        at = end
    if at > available:
        raise corrupt(file, "it is cut off", f"its tensors take {at} bytes, and {available} are there")
    if at < available:
        raise corrupt(file, f"{available - at} bytes follow its tensors")


def restore_aliases(file: File, tree: dict[str, TensorExpr], text: str | None) -> tuple[str, ...]:
    """Put the tied names back into `tree`: the same expression under each.

    Who changes tensors and saves them with the metadata of before leaves aliases behind that are no longer true.

    Returns:
        A remark on those that were passed over: a name that is a tensor of its own, or stands for one that is absent.

    Raises:
        SurgeryError: what stands there are no pairs of names.
    """
    if text is None:
        return ()
    try:
        aliases = parse(text.encode())
    except (NotStrict, UnicodeEncodeError) as error:
        raise corrupt(file, f"its metadata `{ALIASES}` is damaged", cause=error) from error
    if not isinstance(aliases, Mapping):
        raise corrupt(file, f"its metadata `{ALIASES}` is no JSON object")
    if not all(isinstance(name, str) for name in aliases.values()):
        raise corrupt(file, f"its metadata `{ALIASES}` holds something else than names")
    held = {alias: tree[name] for alias, name in aliases.items() if alias not in tree and name in tree}
    stale = [f"{alias} = {name}" for alias, name in aliases.items() if alias not in held]
    tree.update(held)
    if not stale:
        return ()
    what = f"{listed(stale, 3)} in its metadata `{ALIASES}` {'are' if len(stale) > 1 else 'is'} passed over"
    return (f"`{file.name}`: {what}, as the names of its tensors have changed since that was written",)
