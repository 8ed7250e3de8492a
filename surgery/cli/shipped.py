"""The recipes that ship with the package, by name."""

from __future__ import annotations

from pathlib import Path

from surgery.resources import resource

__all__ = ["shipped_recipes"]


def shipped_recipes() -> dict[str, Path]:
    """Name -> file. The name is that of the file, without its suffix; families are directories."""
    found = sorted(resource("recipes").rglob("*.yaml"))
    return {path.stem: path for path in found}
