"""Checkpoint formats, read without torch and without running anything that they hold."""

from surgery.formats.contents import Blob, Checkpoint, Ordered, Placeholder, Rest, Storage, Trait
from surgery.formats.detect import FORMATS, Format, read
from surgery.formats.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "DEFAULT_LIMITS",
    "FORMATS",
    "Blob",
    "Checkpoint",
    "Format",
    "Limits",
    "Ordered",
    "Placeholder",
    "Rest",
    "Storage",
    "Trait",
    "read",
]
