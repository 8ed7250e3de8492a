"""Paths: files and directories of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from surgery.formats.file import unreadable
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme
from surgery.planning.context import Context

__all__ = ["PathScheme"]


@SCHEMES.register("path")
class PathScheme(Scheme):
    """A path, relative to the recipe's directory; one that a parameter gives, to where the caller stands."""

    example: ClassVar[str] = "weights/model.safetensors"
    is_here: ClassVar[bool] = True

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        path = Path(os.path.expanduser(place.path))
        path = (context.directory if place.base is None else Path(place.base)) / path
        try:
            os.stat(path)
        except (OSError, ValueError) as error:
            raise unreadable(path, place.path, error) from error
        return path
