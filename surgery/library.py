"""The recipes that ship with surgery, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from surgery.resources import resource

__all__ = ["shipped"]


@cache
def shipped() -> dict[str, Path]:
    """Every shipped recipe: its path below the library without the suffix, ``vit/timm_to_torchvision`` -> its file."""
    root = resource("recipes")
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}
