"""The screens of a record, and of an output that was checked against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from surgery.provenance.record import FileRecord, Record, SourceRecord
from surgery.provenance.verifying import Check, Verification
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table
from surgery.tensors.spec import format_bytes
from surgery.wording import counted

__all__ = ["record_document", "record_lines", "verification_document", "verification_lines", "versions_words"]

_STYLES = {"ok": "good", "changed": "error", "missing": "error", "unchecked": "quiet"}
_WORDS = {"unchecked": "not checked", "missing": "not here"}


def versions_words(versions: Mapping[str, str]) -> str:
    """Programs and their versions.

    >>> versions_words({"torch": "2.14.0", "surgery": "0.1.0"})
    'surgery 0.1.0, torch 2.14.0'
    """
    ordered = sorted(versions.items(), key=lambda item: (item[0] != "surgery", item[0]))
    return ", ".join(f"{name} {version}" for name, version in ordered)


def record_lines(record: Record, name: str, *, columns: int | None = None) -> list[Line]:
    """What an output says of itself, the text of the recipe left out."""
    rows: list[list[Cell]] = [[piece("made by", "head"), versions_words(record.versions)]]
    rows.append([piece("recipe", "head"), f"sha256 {record.sha256}"])
    rows += [[piece("parameter", "head"), f"{key}={json.dumps(value)}"] for key, value in record.params.items()]
    rows += [
        [piece("uses", "head"), f"{one.reference}  {one.commit or f'sha256 {one.sha256}'}"] for one in record.included
    ]
    rows.append([piece("result", "head"), counted(record.result.tensors, "tensor")])
    found = [line(piece(name, "title")), *table(rows, "ll", columns=columns)]
    for source in record.sources:
        found += [(), *_source_lines(source, columns)]
    return found


def _source_lines(source: SourceRecord, columns: int | None) -> list[Line]:
    kind = f"{source.format}, " if source.format else ""
    title = line(piece("source ", "head"), source.place, f"  {kind}{counted(source.listing.tensors, 'tensor')}")
    rows: list[list[Cell]] = [[file.name, format_bytes(file.size), _digest(file)] for file in source.files]
    made = source.record or {}
    earlier = made["recipe"] if isinstance(made.get("recipe"), dict) else made
    chain = [line(piece("  made by Surgery, from a recipe of its own: ", "quiet"), str(earlier.get("sha256", "")))]
    return [title, *table(rows, "lrl", indent=2, columns=columns), *(chain if made else [])]


def _digest(file: FileRecord) -> Cell:
    if file.sha256 is None:
        return piece("contents not digested", "quiet")
    return f"sha256 {file.sha256}{' (says the hub)' if file.claimed else ''}"


def verification_lines(found: Verification, name: str, *, columns: int | None = None) -> list[Line]:
    """A line for each check."""
    rows: list[list[Cell]] = [
        [piece(_WORDS.get(check.outcome, check.outcome), _STYLES[check.outcome]), _subject(check), check.detail]
        for check in found.checks
    ]
    title = line(piece(name, "title"), piece(f"  made by {versions_words(found.record.versions)}", "quiet"))
    return [title, *table(rows, "lll", columns=columns)]


def _subject(check: Check) -> str:
    return f"source {check.name}" if check.name else check.what


def record_document(record: Record, name: str) -> dict[str, Any]:
    """``path``, and ``record``: the recipe's text and digest, parameters, versions, sources, the result's structure."""
    return {"path": name, "record": record.to_json()}


def verification_document(found: Verification, name: str) -> dict[str, Any]:
    """``path``; ``ok``; ``checks``: for each ``what``, the ``source`` (or null), the ``outcome``, and a ``detail``."""
    checks = [
        {"what": check.what, "source": check.name or None, "outcome": check.outcome, "detail": check.detail}
        for check in found.checks
    ]
    return {"path": name, "ok": found.ok, "checks": checks}
