"""The record of what made an output, and its form as JSON, which is what a file holds.

A record names no time, no machine and no directory of it, so that the same recipe, inputs and versions make the same
bytes. What stands in a file is a claim of whoever wrote it: `parse_record` takes nothing that is not of this form.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.diagnostics import SurgeryError
from surgery.document.characters import check_characters
from surgery.formats.strict_json import NotStrict, parse
from surgery.limits import limits
from surgery.text import SourceFileText

__all__ = [
    "DEEPEST",
    "BadRecord",
    "FileRecord",
    "Listing",
    "RecipeRecord",
    "Record",
    "SourceRecord",
    "depth",
    "parse_record",
    "text_digest",
]

#: lists and mappings of a record inside each other
DEEPEST = 200

_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadRecord(Exception):
    """A text is no record; says why, in words that may go into an error."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Tensors, counted, and the SHA-256 digest of the list of them; see `surgery.provenance.structure`."""

    tensors: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a source.

    Attributes:
        name: below the directory of the source.
        size: in bytes.
        sha256: of its content; None where nobody took it.
        claimed: whether the digest is what the hub's cache calls the file, its bytes not read.
    """

    name: str
    size: int
    sha256: str | None = None
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A source.

    Attributes:
        place: as the recipe names it; of an absolute path the last part, of an address neither user nor query.
        listing: its tensors: names, dtypes, shapes, offsets, and checksums where its format has them.
        files: what it consists of; none of what the caller gave.
        record: the record that it had itself, as JSON; `{"sha256": …}` where that is long.
    """

    place: str
    listing: Listing
    format: str = ""
    files: tuple[FileRecord, ...] = ()
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RecipeRecord:
    """A recipe that the recipe brought in.

    Attributes:
        reference: as the recipe names it; of an absolute path the last part.
        sha256: of its text.
        commit: that it is of, where it came from a repository.
    """

    reference: str
    sha256: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What made an output.

    Attributes:
        recipe: its text. Directories of absolute paths, and users and queries of addresses, are taken out of it.
        sha256: of that text, in UTF-8.
        params: the values of its parameters.
        versions: of Surgery, and of torch where it took part.
        sources: what was read.
        result: the tensors of the output: names, dtypes, shapes.
        included: the recipes that it brought in.
    """

    recipe: str
    sha256: str
    result: Listing
    params: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceRecord, ...] = ()
    included: tuple[RecipeRecord, ...] = ()

    @property
    def undigested(self) -> int:
        """How many bytes of the sources have no digest."""
        return sum(file.size for source in self.sources for file in source.files if file.sha256 is None)

    def to_json(self) -> dict[str, Any]:
        """The record as plain data."""
        return {
            "version": _VERSION,
            "recipe": {"text": self.recipe, "sha256": self.sha256},
            "params": dict(self.params),
            "versions": dict(self.versions),
            "sources": [_source_json(source) for source in self.sources],
            "result": _listing_json(self.result),
            **({"included": [_recipe_json(one) for one in self.included]} if self.included else {}),
        }

    def to_text(self) -> str:
        """The record as a file holds it: JSON in ASCII, always the same for the same record."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))


def text_digest(text: str) -> str:
    """The SHA-256 digest of a text in UTF-8."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _listing_json(listing: Listing) -> dict[str, Any]:
    return {"tensors": listing.tensors, "sha256": listing.sha256}


def _recipe_json(recipe: RecipeRecord) -> dict[str, Any]:
    found = {"reference": recipe.reference, "sha256": recipe.sha256}
    return {**found, "commit": recipe.commit} if recipe.commit else found


def _source_json(source: SourceRecord) -> dict[str, Any]:
    found: dict[str, Any] = {"place": source.place, "structure": _listing_json(source.listing)}
    if source.files:
        found |= {"format": source.format, "files": [_file_json(file) for file in source.files]}
    return found if source.record is None else {**found, "made_by": source.record}


def _file_json(file: FileRecord) -> dict[str, Any]:
    found: dict[str, Any] = {"name": file.name, "size": file.size}
    if file.sha256 is not None:
        found["sha256"] = file.sha256
    return {**found, "claimed": True} if file.claimed else found


def parse_record(text: str) -> Record:
    """The record in a text.

    Raises:
        BadRecord: it is none, or one of a later version.
    """
    try:
        data = parse(text.encode())
    except (NotStrict, UnicodeEncodeError) as error:
        raise BadRecord(f"it is no JSON ({error})") from error
    if depth(data) > DEEPEST:
        raise BadRecord("it is nested too deeply")
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        raise BadRecord("it is of a form that this version of Surgery does not know")
    recipe = _field(data, "recipe", dict)
    return Record(
        recipe=_recipe(_field(recipe, "text", str)),
        sha256=_digest(recipe),
        params=_field(data, "params", dict),
        versions=_texts(_field(data, "versions", dict)),
        sources=tuple(_source(item) for item in _field(data, "sources", list)),
        result=_listing(_field(data, "result", dict)),
        included=tuple(_included(item) for item in _field(data, "included", list, [])),
    )


def depth(data: Any) -> int:
    """How many lists and mappings of plain data lie inside each other.

    >>> depth({"a": [1, {}]}), depth(3)
    (3, 0)
    """
    found, level = 0, [data]
    while level := [item for item in level if isinstance(item, dict | list)]:
        found += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return found


def _field(data: Any, name: str, kind: type, default: Any = None) -> Any:
    value = data.get(name, default) if isinstance(data, dict) else None
    if type(value) is not kind:
        raise BadRecord(f"its `{name}` is not what stands there")
    return value


def _recipe(text: str) -> str:
    """The text of a recipe: as short, and as printable, as one has to be."""
    if len(text) > limits().recipe:
        raise BadRecord("its recipe is longer than any recipe")
    try:
        check_characters(text.replace("\r\n", "\n").replace("\r", "\n"), SourceFileText.of("", text))
    except SurgeryError as error:
        raise BadRecord("its recipe has characters that no recipe has") from error
    return text


def _digest(data: dict[str, Any]) -> str:
    found: str = _field(data, "sha256", str)
    if not _SHA256.fullmatch(found):
        raise BadRecord("a digest in it is none")
    return found


def _texts(data: dict[str, Any]) -> dict[str, str]:
    return {name: _field(data, name, str) for name in data}


def _size(data: dict[str, Any], name: str) -> int:
    found: int = _field(data, name, int)
    if found < 0:
        raise BadRecord(f"its `{name}` is not what stands there")
    return found


def _listing(data: dict[str, Any]) -> Listing:
    return Listing(_size(data, "tensors"), _digest(data))


def _source(data: Any) -> SourceRecord:
    return SourceRecord(
        place=_field(data, "place", str),
        listing=_listing(_field(data, "structure", dict)),
        format=_field(data, "format", str, ""),
        files=tuple(_file(item) for item in _field(data, "files", list, [])),
        record=_field(data, "made_by", dict) if "made_by" in data else None,
    )


def _included(data: Any) -> RecipeRecord:
    reference = _field(data, "reference", str)
    return RecipeRecord(reference, _digest(data), _field(data, "commit", str) if "commit" in data else None)


def _file(data: Any) -> FileRecord:
    sha256 = _digest(data) if isinstance(data, dict) and "sha256" in data else None
    return FileRecord(_field(data, "name", str), _size(data, "size"), sha256, _field(data, "claimed", bool, False))
