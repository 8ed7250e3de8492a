"""Sources: where a subject comes from. One small file each."""

from surgery.registry import Registry
from surgery.sources.base import Source

__all__ = ["SOURCES"]

#: name in a recipe -> source
SOURCES: Registry[type[Source]] = Registry("surgery.sources")
