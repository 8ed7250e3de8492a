"""The items of a distributed checkpoint: each is what ``torch.save`` wrote, in the middle of a larger file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgery.diagnostics import fail
from surgery.formats.contents import Trait
from surgery.formats.distributed.metadata import Item
from surgery.formats.distributed.section import Section
from surgery.formats.file import File, corrupt, open_file
from surgery.formats.torch_zip import TorchZip
from surgery.tensors.expr import TensorExpr
from surgery.tensors.state import FileState

__all__ = ["Contents", "read_items"]


@dataclass(slots=True)
class Contents:
    """What stands in the files of a directory.

    Attributes:
        values: item -> what it holds: a tensor, or any object.
        files: every file that was opened, as it was then.
        traits: as in `Checkpoint`.
    """

    values: dict[Item, Any] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    traits: dict[TensorExpr, Trait] = field(default_factory=dict)


def read_items(metadata: File, names: Mapping[Item, str]) -> Contents:
    """What some items hold, no tensor data read. One file after the other is open, since there may be thousands.

    Args:
        metadata: the file that the items' files stand beside.
        names: item -> what messages call it.

    Raises:
        SurgeryError: a file is absent, is cut off, or holds something else.
    """
    contents = Contents()
    in_file: dict[str, list[Item]] = defaultdict(list)
    for item in names:
        in_file[item.file].append(item)
    for name, items in in_file.items():
        path = Path(os.path.dirname(metadata.path)) / name
        with open_file(path, os.path.join(os.path.dirname(metadata.name), name)) as file:
            contents.files[file.path] = file.state
            _read_file(file, sorted(items, key=lambda item: (item.offset, item.length)), names, contents)
    return contents


def _read_file(file: File, items: list[Item], names: Mapping[Item, str], contents: Contents) -> None:
    end = 0
    # content of an item -> the number or text in it: each parameter has its learning rate, and so on, many times over
    known: dict[bytes | None, Any] = {}
    for item in items:
        if item.offset < end:
            raise corrupt(file, f"the bytes of `{names[item]}` overlap with those of something else")
        end = item.offset + item.length
        if end > file.size:
            note = f"it has {file.size} bytes, and `{names[item]}` ends at byte {end}"
            raise corrupt(file, "it is shorter than its metadata says", note)
        section = Section(file, f"{file.name}[{names[item]}]", item.offset, item.length)
        if section.content in known:
            contents.values[item] = known[section.content]
            continue
        if not TorchZip.matches(section):
            message = f"`{file.name}`: `{names[item]}` is not as `torch.save` writes it"
            raise fail("unsupported-checkpoint", message)
        found = TorchZip.read(section)
        contents.values[item] = found.tree
        contents.traits.update(found.traits)
        if section.content is not None and isinstance(found.tree, int | float | str | None):
            known[section.content] = found.tree
