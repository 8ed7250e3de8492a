"""Checkpoint formats, read without torch and without running anything that they hold."""

from surgery.formats.contents import Blob, Checkpoint, Ordered, Placeholder, Rest, Storage, Trait
from surgery.formats.detect import FORMATS, Format, is_checkpoint, read

__all__ = [
    "FORMATS",
    "Blob",
    "Checkpoint",
    "Format",
    "Ordered",
    "Placeholder",
    "Rest",
    "Storage",
    "Trait",
    "is_checkpoint",
    "read",
]
