"""What a source is: fields, an example, and a function that opens it without reading tensor data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from surgery.planning.context import Context
from surgery.tensors.subject import Subject

__all__ = ["Source"]


class Source:
    """The base of all sources.

    A source is a frozen dataclass; its main field bears the source's name, so that ``{torchvision: resnet50, weights:
    null}`` is read field by field.

    Attributes:
        example: the source as YAML, on one line.
        habits: words of other tools that are no fields here -> what says it instead.
    """

    __slots__ = ()

    example: ClassVar[str] = ""
    habits: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def open(self, context: Context) -> Subject:
        """The subject, its tensors not yet read. Every tensor of the source goes to ``context.inventory``.

        Raises:
            SurgeryError: the source is not there, cannot be read, or is not what was asked for.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """The source in a few words, for people: ``torchvision resnet50``."""
        raise NotImplementedError
