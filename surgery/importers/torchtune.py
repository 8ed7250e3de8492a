"""``torchtune``: the maps of its `convert_weights`, with ``{}`` where a key has the number of a layer."""

from __future__ import annotations

from typing import ClassVar

from surgery.foreign.data import read_data
from surgery.foreign.letters import Cell, Dot, Letters, as_path, as_template, segments, text_letters
from surgery.importers.base import IMPORTERS, Imported, ImportedStep, Importer, Line
from surgery.importers.mapping import key_mapping, turned

__all__ = ["Torchtune"]


@IMPORTERS.register("torchtune")
class Torchtune(Importer):
    """A map of torchtune, such as `_FROM_HF`, in which `{}` stands for the number of a layer.

    A rule for each entry, ``null`` for a tensor that is dropped. With ``--reverse`` the map is turned round, as
    `tune_to_hf` does. What torchtune does besides in code, such as permuting projections, is not in the map.
    """

    example: ClassVar[str] = "torchtune:weights.py#_FROM_HF"

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        mapping = key_mapping(read_data(words))
        if reverse:
            mapping = dict(turned(mapping))
        dropped = [_line(old, None) for old, new in mapping.items() if new is None]
        renamed = [_line(old, new) for old, new in mapping.items() if new is not None]
        steps = [ImportedStep("filter", tuple(dropped))] if dropped else []
        if renamed:
            steps.append(ImportedStep("rename", tuple(renamed), rest="error"))
        notes = (
            "The map gives names alone: torchtune also permutes the query and key projections of some models, in code.",
            "A key that no rule selects is an error, as it is there; a rule may find nothing.",
        )
        return Imported("torchtune-keys", "Keys looked up in a map of torchtune.", tuple(steps), notes)


def _line(old: str, new: str | None) -> Line:
    words = f"{old} -> {new}" if new is not None else old
    left = _letters(old)
    if not all(segments(left)) or (new is not None and not all(segments(_letters(new)))):
        return Line(words, "a key with an empty segment")
    if "{}" in "".join(part for part in old.split(".") if part != "{}"):
        return Line(words, "a `{}` that is a part of a segment, which torchtune never finds")
    if new is None:
        return Line(f"optional {as_path(left)}")
    if new.count("{}") > 1 or (new.count("{}") and "{}" not in old):
        return Line(words, "more `{}` in the new key than torchtune fills, which is one")
    return Line(f"optional {as_path(left)} -> {as_template(_letters(new), left)}")


def _letters(key: str) -> Letters:
    """A key, its numbers open: the n-th ``{}`` is the n-th number, and torchtune fills in the first."""
    found: list[Cell | Dot] = []
    for number, text in enumerate(key.split("{}")):
        if number:
            found.append(Cell("int", f"number{number}"))
        found += text_letters(text)
    return tuple(found)
