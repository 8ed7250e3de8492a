"""Whether a checkpoint's pickled module is wanted itself, and whether its caller lets it be loaded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from surgery.diagnostics import fail
from surgery.formats import Checkpoint
from surgery.formats.entries import StateDict
from surgery.formats.modules import unusual_names
from surgery.permissions import may_unpickle, pickle_permission, refused
from surgery.places import Place
from surgery.planning.context import Context
from surgery.wording import listed

__all__ = ["is_wanted_alive"]

#: formats whose module `torch.load` can bring back
_LOADED = ("torch", "torch-legacy")


def is_wanted_alive(path: Path, found: Checkpoint, state: StateDict, where: Place, context: Context) -> bool:
    """Whether the module itself is loaded, and not just its tensors.

    That is so where the caller allowed it for this file, unless the recipe says ``trust: data``. With
    ``trust: pickle`` the recipe asks for it, and then it is an error if it cannot be had.

    Raises:
        SurgeryError: ``not-allowed``, with the exact permission; ``needs-a-model``, the file has no such module.
    """
    possible = state.of_module and found.format in _LOADED and where.separator is None
    permission = pickle_permission(where.path, path)
    allowed = may_unpickle(context.allow, where.path, path)
    if where.trust == "pickle":
        if not possible:
            message = f"`{where}` has no module that could be loaded"
            raise fail("needs-a-model", message, where.span, (_why(found, state),))
        if not allowed:
            message = f"`{where}` holds a pickled module, and nobody allowed its code to run"
            raise refused(permission, message, where.span, *_told(found.names))
    if possible and not allowed and where.trust is None:
        context.hints.append(f"`{where}` holds a pickled module: `--allow {permission}` loads it")
    return possible and allowed and where.trust != "data"


def _why(found: Checkpoint, state: StateDict) -> str:
    if found.format == "torchscript":
        return "it is TorchScript, which cannot be edited: only its tensors are read"
    if not state.of_module:
        return "it holds a state dict, and no module: without `trust` its tensors are read"
    if found.format in _LOADED:
        return "`separator` is for keys of other frameworks, and a module has none"
    return "it was written with `pickle`, and only what `torch.save` wrote is loaded"


def _told(names: Collection[tuple[str, str]]) -> list[str]:
    """What loading would import, the unusual first."""
    unusual = unusual_names(names)
    return [f"it would import {listed(unusual, 8)}" if unusual else "it would import layers of torch, and nothing else"]
