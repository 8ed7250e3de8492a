"""References to recipes: ``clean.yaml``, ``builtin:soup``, ``github:org/repo//clean.yaml@v1``. One file a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surgery.registry import Registry

if TYPE_CHECKING:
    from surgery.references.base import Reference

__all__ = ["REFERENCES"]

#: what stands before the colon, or ``path`` -> the class of such references
REFERENCES: Registry[type[Reference]] = Registry("surgery.references")
