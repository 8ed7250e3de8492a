"""Paths: files and directories of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.formats.file import unreadable
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme
from surgery.planning.context import Context

__all__ = ["PathScheme"]


@SCHEMES.register("path")
class PathScheme(Scheme):
    """A path, relative to the recipe's directory; one that a parameter gives, to where the caller stands."""

    example: ClassVar[str] = "weights/model.safetensors"

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        if context.is_foreign and place.base is None:
            note = "a recipe from elsewhere reads no file but those that its caller names, for its parameters"
            raise fail("not-allowed", f"`{place}` is a file of this machine", place.span, (note,))
        path = Path(os.path.expanduser(place.path))
        path = (context.directory if place.base is None else Path(place.base)) / path
        try:
            os.stat(path)
        except (OSError, ValueError) as error:
            raise unreadable(path, place.path, error) from error
        return path
