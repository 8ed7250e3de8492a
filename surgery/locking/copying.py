"""Copies of what a recipe brings in, beside its lock, for machines without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.document.characters import decode
from surgery.files.atomic import FileDraft
from surgery.files.failures import output_errors
from surgery.files.text import write_text
from surgery.files.writer import write_all
from surgery.formats.file import open_file
from surgery.locking.lock import Lock
from surgery.locking.pins import files_of
from surgery.locking.vendored import Vendored

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["copy_all"]

_PIECE = 1 << 23


def copy_all(plan: Plan, lock: Lock, vendored: Vendored) -> Iterator[Path]:
    """Copy the recipes of repositories, and the weights that are no files of this machine; each new copy.

    Args:
        plan: of the recipe, made strictly by its lock.
        lock: the lock.
        vendored: where copies lie.

    Raises:
        SurgeryError: something cannot be read or written.
    """
    for name, found in plan.included.items():
        locked = lock.recipes.get(name)
        if locked is None or locked.commit is None or vendored.recipe_file(locked).exists():
            continue
        write_text(vendored.recipe_file(locked), decode(found.content, name), overwrite=False)
        yield vendored.recipe_file(locked)
    for opened in plan.opened:
        if opened.checkpoint is None or opened.pinned_as is None or Path(opened.pinned_as).is_absolute():
            continue
        # what is no file of this machine is in the lock by the same name
        place = opened.pinned_as
        if vendored.source(place, lock.sources[place]) is not None:
            continue
        for name, path in files_of(opened.checkpoint).items():
            yield _copied(Path(path), vendored.source_directory(place) / name)


def _copied(source: Path, target: Path) -> Path:
    with open_file(source) as file, FileDraft(target, overwrite=True) as draft:
        for offset in range(0, file.size, _PIECE):
            piece = file.read(offset, _PIECE)
            with output_errors(target):
                write_all(draft.descriptor, memoryview(piece), offset)
        draft.publish()
    return target
