"""``revise_keys``: the pairs of regular expressions that mmengine's loader takes, each a `re.sub` over every key."""

from __future__ import annotations

from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.foreign.data import read_data
from surgery.foreign.remarks import Inexpressible
from surgery.foreign.substitution import selection, substitution
from surgery.importers.base import IMPORTERS, Imported, ImportedStep, Importer, Line, one_way

__all__ = ["ReviseKeys", "substitution_step", "text_pairs"]


@IMPORTERS.register("revise_keys")
class ReviseKeys(Importer):
    """Pairs of a regular expression and its replacement, as the `revise_keys` of mmengine's loader.

    Each pair is a `re.sub` over every key, one after the other, and becomes a step of its own. Anchors, groups and
    references to them, `\\d+`, `.*`, `[^.]+`, `(a|b)`, `x?`, small classes, and lookarounds at the edges of a pattern
    have a form in recipes; what has none is left out by name. ``null`` in place of a replacement drops the tensors in
    whose keys the pattern is found, as scripts of transformers have it.
    """

    example: ClassVar[str] = "revise_keys:pairs.json"

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        one_way(reverse, "revise_keys")
        pairs = text_pairs(read_data(words), "a list of pairs: a regular expression and its replacement")
        steps = tuple(substitution_step(pattern, replacement) for pattern, replacement in pairs)
        return Imported("revised-keys", "Keys revised by regular expressions, one after the other.", steps)


def text_pairs(data: Any, wanted: str) -> list[tuple[str, str | None]]:
    """The pairs of texts in a list of pairs, or a mapping; the second of a pair may be nothing.

    Raises:
        SurgeryError: ``import-rule``: it is something else.
    """
    items = list(data.items()) if isinstance(data, dict) else data
    # one pair that stands alone, as some write it
    if _is_pair(items):
        items = [items]
    if not isinstance(items, list | tuple) or not items:
        raise fail("import-rule", f"this is not {wanted}")
    for number, item in enumerate(items, 1):
        if not _is_pair(item):
            raise fail(
                "import-rule", f"entry {number} is no pair of texts, but {_short(item)}", notes=(f"wanted: {wanted}",)
            )
    return [(item[0], item[1]) for item in items]


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, list | tuple)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], str | None)
    )


def substitution_step(pattern: str, replacement: str | None) -> ImportedStep:
    """One `re.sub` as a step; without a replacement, one that drops what the pattern is found in."""
    try:
        if replacement is None:
            return ImportedStep("filter", tuple(Line(r.left, readings=r.readings) for r in selection(pattern)))
        rules = substitution(pattern, replacement)
    except Inexpressible as error:
        return ImportedStep(
            "rename", (Line(f"{pattern} -> {'null' if replacement is None else replacement}", str(error)),)
        )
    return ImportedStep("rename", tuple(Line(rule.text, readings=rule.readings) for rule in rules))


def _short(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 60 else f"{text[:57]}..."
