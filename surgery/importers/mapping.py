"""``dict``: a plain mapping from old keys to new ones, as scripts and `rename_keys` lists have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.foreign.data import read_data
from surgery.foreign.generalise import generalised
from surgery.foreign.numbered import Rule
from surgery.foreign.trial import Trial
from surgery.importers.base import IMPORTERS, Imported, ImportedStep, Importer, Line, lines_of

__all__ = ["Mapped", "key_mapping", "turned"]


@IMPORTERS.register("dict")
class Mapped(Importer):
    """A mapping from old keys to new ones, or a list of pairs.

    Entries that differ in the number of a layer become one rule, as do those of one module that agree; the rules are
    tried on every key of the mapping, and say of each what it says. ``null`` in place of a new key drops a tensor. A
    key that the mapping has not is an error. With ``--reverse`` the new keys are the old ones.
    """

    example: ClassVar[str] = "dict:keys.json"

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        mapping = key_mapping(read_data(words))
        if reverse:
            mapping = dict(turned(mapping))
        steps, notes = [], []
        wrong = {old: new for old, new in mapping.items() if not _is_key(old) or not (new is None or _is_key(new))}
        if wrong:
            why = "a key with an empty segment"
            steps.append(ImportedStep("rename", tuple(Line(f"{old} -> {new}", why) for old, new in wrong.items())))
        kept = {old: new for old, new in mapping.items() if new is not None and old not in wrong}
        dropped = [old for old, new in mapping.items() if new is None and old not in wrong]
        if dropped:
            steps.append(ImportedStep("filter", lines_of(_dropping(dropped, kept))))
        if kept:
            rules = [rule.text for rule in generalised(kept)]
            steps.append(ImportedStep("rename", lines_of(rules), rest="error"))
            few = f"{len(kept)} keys in {len(rules)} rules, tried on each of them." if len(kept) > len(rules) else None
            notes += [few, "A key of the same pattern that the mapping has not is renamed too."] if few else []
        notes.append("A key that no rule selects is an error, as it is where a mapping is looked up in.")
        return Imported("mapped-keys", "Keys looked up in a mapping.", tuple(steps), tuple(filter(None, notes)))


def key_mapping(data: Any) -> dict[str, str | None]:
    """The mapping from old keys to new ones in a mapping, or in a list of pairs.

    Raises:
        SurgeryError: ``import-rule``: it is something else, or has a key twice.
    """
    wanted = "a mapping from old keys to new ones, or a list of pairs"
    pairs = list(data.items()) if isinstance(data, Mapping) else data
    if not isinstance(pairs, list | tuple) or not pairs:
        raise fail("import-rule", f"this is not {wanted}")
    found: dict[str, str | None] = {}
    for number, pair in enumerate(pairs, 1):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise fail("import-rule", f"entry {number} is no pair of keys", notes=(f"wanted: {wanted}",))
        if not isinstance(pair[1], str | None):
            message = f"the key `{pair[0]}` is mapped to no key, but {type(pair[1]).__name__}"
            raise fail("import-rule", message, notes=(f"wanted: {wanted}",))
        if found.get(pair[0], pair[1]) != pair[1]:
            raise fail("import-rule", f"the key `{pair[0]}` is mapped twice, to two keys")
        found[pair[0]] = pair[1]
    return found


def turned(mapping: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """The entries of a mapping the other way round; what is dropped is nothing to come back from.

    Raises:
        SurgeryError: ``import-rule``: two keys have one new key.
    """
    counts = Counter(mapping.values())
    for old, new in mapping.items():
        if new is not None:
            if counts[new] > 1:
                raise fail("import-rule", f"several keys become `{new}`: there is no way back")
            yield new, old


def _is_key(text: str) -> bool:
    return all(text.split("."))


def _dropping(dropped: list[str], kept: Mapping[str, str]) -> list[str]:
    """Selectors for keys that are dropped, and for no others of the mapping."""
    found = []
    for rule in generalised({key: key for key in dropped}, subtrees=False):
        parts = rule.exploded() if _takes(rule, kept) else [rule]
        # a selector takes what lies below, too
        found += [f"optional {p.left} except {p.left}.*" if _takes(p, kept) else f"optional {p.left}" for p in parts]
    return found


def _takes(rule: Rule, keys: Iterable[str]) -> bool:
    trial = Trial([rule.text])
    return any(trial.new_key(key)[0] is not None for key in keys)
