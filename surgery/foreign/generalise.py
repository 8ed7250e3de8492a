"""A mapping from old keys to new ones as rules: many entries of one pattern as one rule, each entry kept exactly.

Numbers that vary together become captures (``layers.{i:int}``), and what all keys below a module share is left to the
module (``a.weight``, ``a.bias`` become ``a``). The rules are then tried on every key of the mapping: one that takes a
key of another, or gives a key another name, falls back to the entries that it was made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from surgery.foreign.numbered import NUMBERS, Entry, Number, Rule, Tokens, segments_of, tokens_of
from surgery.foreign.trial import Trial

__all__ = ["generalised"]

_NAMES = "ijklmn"


def generalised(mapping: Mapping[str, str], *, subtrees: bool = True) -> list[Rule]:
    """Rules that do to every key of `mapping` what it says, in an order in which the first that selects applies.

    Keys have no empty segments. With `subtrees`, rules name modules in place of all that lies below them.

    >>> mapping = {f"layers.{i}.{name}": f"h.{i + 1}.{name}" for i in range(3) for name in ("a.w", "a.b", "c.w")}
    >>> [rule.text for rule in generalised(mapping)]
    ['layers.{i:int} -> h.{i + 1}']
    """
    entries = [Entry(old, new) for old, new in mapping.items()]
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[NUMBERS.sub("#", entry.old), NUMBERS.sub("#", entry.new)].append(entry)
    rules = [rule for group in groups.values() for rule in _of_group(group)]
    if subtrees:
        rules = _modules(rules)
    return _tried(rules, mapping)


def _of_group(entries: list[Entry]) -> Iterator[Rule]:
    """The rules for entries that differ in numbers alone: one, or one for each value of a number that decides more."""
    if len(entries) == 1:
        yield Rule.literal(entries[0])
        return
    old = [NUMBERS.findall(entry.old) for entry in entries]
    new = [NUMBERS.findall(entry.new) for entry in entries]
    columns = list(zip(*old, strict=True))
    varying = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    names = {index: _NAMES[n] if n < len(_NAMES) else f"i{n}" for n, index in enumerate(varying)}
    numbers = [_follows(column, columns, names) for column in zip(*new, strict=True)]
    if None not in numbers:
        left = [Number(names[index]) if index in names else column[0] for index, column in enumerate(columns)]
        yield Rule(tokens_of(entries[0].old, left), tokens_of(entries[0].new, numbers), tuple(entries))  # type: ignore[arg-type]
        return
    # some number decides more than itself: a rule for each of its values, the number being the one that gives fewest
    ways = [_by_value(entries, old, index) for index in varying]
    yield from min(ways, key=len) if ways else map(Rule.literal, entries)


def _by_value(entries: list[Entry], numbers: list[list[str]], index: int) -> list[Rule]:
    """The rules for entries, apart for each value of the number at `index`."""
    parts: dict[str, list[Entry]] = defaultdict(list)
    for entry, found in zip(entries, numbers, strict=True):
        parts[found[index]].append(entry)
    return [rule for part in parts.values() for rule in _of_group(part)]


def _follows(column: Sequence[str], columns: Sequence[Sequence[str]], names: Mapping[int, str]) -> str | Number | None:
    """What gives the numbers of the new keys: a fixed number, or one of the old key, shifted at most."""
    if len(set(column)) == 1:
        return column[0]
    for shifted in (False, True):
        for index, name in names.items():
            offsets = {int(n) - int(o) for n, o in zip(column, columns[index], strict=True)}
            if len(offsets) == 1 and shifted == (offsets != {0}):
                return Number(name, offsets.pop())
    return None


def _modules(rules: list[Rule]) -> list[Rule]:
    """Rules that agree on all below a module as one rule for the module, from the leaves up."""
    while True:
        targets: dict[Tokens, set[Tokens | None]] = defaultdict(set)
        below: dict[Tokens, list[int]] = defaultdict(list)
        for number, rule in enumerate(rules):
            for above, under in _ancestors(rule.old):
                targets[above].add(_without_end(rule.new, under))
                below[above].append(number)
        joined: dict[int, Rule | None] = {}
        for above in sorted(below, key=lambda tokens: -len(segments_of(tokens))):
            (target, *others), members = targets[above], below[above]
            if target is not None and not others and len(members) > 1 and not any(n in joined for n in members):
                entries = tuple(entry for number in members for entry in rules[number].entries)
                joined |= dict.fromkeys(members) | {members[0]: Rule(above, target, entries)}
        if not joined:
            return rules
        replaced = (joined.get(number, rule) for number, rule in enumerate(rules))
        rules = [rule for rule in replaced if rule is not None]


def _ancestors(tokens: Tokens) -> Iterator[tuple[Tokens, str]]:
    """The modules above, each with the literal text below it."""
    head, last = tokens[:-1], tokens[-1]
    if not isinstance(last, str):
        return
    while "." in last:
        last, _, _ = last.rpartition(".")
        above = (*head, last) if last or not head else head
        if above != ("",):
            text = tokens[-1]
            assert isinstance(text, str)
            yield above, text[len(last) :]
        if not last:
            return


def _without_end(tokens: Tokens, end: str) -> Tokens | None:
    """The tokens without the text at their end; None where it is not there, or is all there is."""
    *head, last = tokens
    if not isinstance(last, str) or not last.endswith(end):
        return None
    rest = last.removesuffix(end)
    if not rest and not head:
        return None
    return (*head, rest) if rest or not isinstance(head[-1], Number) else (*head, "")


def _tried(rules: list[Rule], mapping: Mapping[str, str]) -> list[Rule]:
    """The rules in an order, and taken apart as far as need be, so that they say what the mapping says."""
    if not Trial([rule.text for rule in rules]).wrong(mapping):
        return rules
    rules = sorted(rules, key=_special)
    while wrong := Trial([rule.text for rule in rules]).wrong(mapping):
        # both the rule that took a key and the one that should have are taken apart
        owners = {entry.old: number for number, rule in enumerate(rules) for entry in rule.entries}
        guilty = {number for key, taker in wrong.items() for number in (taker, owners[key])}
        parts = [rule.exploded() if number in guilty else [rule] for number, rule in enumerate(rules)]
        assert sum(map(len, parts)) > len(rules), "keys that each stand alone cannot be mistaken"
        rules = sorted((rule for part in parts for rule in part), key=_special)
    return rules


def _special(rule: Rule) -> tuple[int, bool]:
    """What comes first: what names more segments, since fewer take all below; then what stands for one key."""
    return -len(segments_of(rule.old)), len(rule.entries) > 1
