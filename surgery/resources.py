"""Files that ship with the package: grammars and recipes, in a wheel and in a checkout alike."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resource"]


def resource(kind: str) -> Path:
    """The directory of the shipped `kind` (``grammars`` or ``recipes``).

    In a wheel it lies inside the package; in an editable install, beside it.
    """
    package = Path(__file__).parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind
