"""What was probably meant, where the keys of two state dicts do not meet: a prefix, or a module under another name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from surgery.collapse import collapse
from surgery.lang.path import print_literal
from surgery.planning.differences import Differences, Words
from surgery.subtrees import topmost
from surgery.wording import counted
from surgery.wrappers import WRAPPERS

__all__ = ["candidates", "exceptions"]

_NAMES = "ijkl"
_INDEX_SET = re.compile(r"\{[0-9,-]+\}")
_CAPTURE = re.compile(rf"\{{[{_NAMES}]\}}")
#: a key that could be paired with more keys than this says nothing
_AMBIGUOUS = 3
#: so many selectors are proposed for one exception; more are no slip that a reader would check
_EXCEPTED = 4


def candidates(differences: Differences, words: Words) -> list[str]:
    """The likely reasons of the differences, each with the step that would mend it; the best first, at most three."""
    missing, unexpected = differences.missing, differences.unexpected
    if not missing or not unexpected:
        return []
    return (
        _separators(missing, unexpected)
        or _prefix_there(differences, words)
        or _prefix_here(differences, words)
        or _modules(differences, words)
    )


def _separators(missing: Sequence[str], unexpected: Sequence[str]) -> list[str]:
    wanted = set(missing)
    met = sum(key.replace("/", ".") in wanted for key in unexpected if "/" in key)
    if 2 * met <= len(wanted):
        return []
    return [f'{counted(met, "key")} would meet with `separator: "/"` in the source']


def _prefix_there(differences: Differences, words: Words) -> list[str]:
    """The keys that are missing stand below one prefix on the other side."""
    prefix, count = _best_prefix(differences.unexpected, differences.missing)
    everything = bool(prefix) and all(key.startswith(f"{prefix}.") for key in differences.found)
    if not prefix or not ((everything and 2 * count > len(differences.missing)) or _broad(count, differences.missing)):
        return []
    rename = _rename(f"{prefix}.**", "**")
    if everything:
        unwrap = " or `unwrap: true`" if set(prefix.split(".")) <= set(WRAPPERS) else ""
        found = counted(len(differences.found), "key")
        return [f"all {found} of {words.found} begin with `{prefix}.`: {rename}{unwrap}"]
    return [f"{count} of the missing keys stand below `{prefix}` in {words.found}: {rename}"]


def _prefix_here(differences: Differences, words: Words) -> list[str]:
    """The keys that are left over stand below one prefix on this side."""
    prefix, count = _best_prefix(differences.missing, differences.unexpected)
    if not prefix or not _broad(count, differences.unexpected):
        return []
    mend = f"`into: {prefix}` or {_rename('**', f'{prefix}.**')}"
    return [f"{count} of the keys that are left over stand below `{prefix}` in {words.wanted}: {mend}"]


def _broad(count: int, of: Sequence[str]) -> bool:
    """Whether a prefix explains most keys, and they are not all of one module, which is named more simply."""
    return 2 * count > len(of) and len({key.split(".")[0] for key in of}) > 1


def _best_prefix(longer: Iterable[str], shorter: Iterable[str]) -> tuple[str, int]:
    """The prefix that most keys of `shorter` have in `longer`, and how many of them."""
    known = set(shorter)
    counts: Counter[str] = Counter()
    for key in longer:
        segments = key.split(".")
        for length in range(1, len(segments)):
            if ".".join(segments[length:]) in known:
                counts[".".join(segments[:length])] += 1
    return counts.most_common(1)[0] if counts else ("", 0)


def _modules(differences: Differences, words: Words) -> list[str]:
    """Modules with another name on the other side, and tensors of the same names and shapes below it."""
    votes: Counter[tuple[str, str]] = Counter()
    index = _suffixes(differences)
    for pattern in collapse(differences.missing, by=differences.wanted.__getitem__):
        segments = str(pattern).split(".")
        spec = differences.wanted[pattern.keys[0]]
        for length in range(len(segments), 0, -1):
            found = index.get((tuple(segments[-length:]), spec, len(pattern)), [])
            if found:
                if len(found) <= _AMBIGUOUS:
                    for other in found:
                        votes[_pair(segments, other, length)] += len(pattern)
                break
    found_pairs = ((_with_captures(here, there), count) for (here, there), count in votes.most_common(8))
    notes = []
    for (here, there), count in [(pair, count) for pair, count in found_pairs if pair is not None][:2]:
        shown = f"{words.wanted} has `{here}` where {words.found} has `{there}`"
        notes.append(f"{shown} ({counted(count, 'key')} of equal shape): {_rename(there, here)}")
    return notes


def _suffixes(differences: Differences) -> dict[object, list[list[str]]]:
    """The keys that are left over, equal layers together, by suffix, specification and number."""
    index: dict[object, list[list[str]]] = {}
    for pattern in collapse(differences.unexpected, by=differences.found.__getitem__):
        segments = str(pattern).split(".")
        spec = differences.found[pattern.keys[0]]
        for length in range(1, len(segments) + 1):
            index.setdefault((tuple(segments[-length:]), spec, len(pattern)), []).append(segments)
    return index


def _pair(here: list[str], there: list[str], shared: int) -> tuple[str, str]:
    """The modules above the shared suffix; where one side would be empty, both take a segment more."""
    shared = min(shared, len(here) - 1, len(there) - 1) if len(here) > 1 and len(there) > 1 else 0
    return ".".join(here[: len(here) - shared]), ".".join(there[: len(there) - shared])


def _with_captures(here: str, there: str) -> tuple[str, str] | None:
    """Index sets as captures, where they are the same on both sides: ``blocks.{0-11}`` becomes ``blocks.{i}``."""
    sets = _INDEX_SET.findall(here)
    if sets != _INDEX_SET.findall(there) or len(sets) > len(_NAMES):
        return None
    names = [iter(_NAMES), iter(_NAMES)]
    return (
        _INDEX_SET.sub(lambda _: f"{{{next(names[0])}}}", here),
        _INDEX_SET.sub(lambda _: f"{{{next(names[1])}}}", there),
    )


def _rename(source: str, target: str) -> str:
    """A ``rename`` step as it would be written."""
    rule = f"{_printed(source)} -> {_printed(target)}"
    return f"`rename: '{rule}'`" if '"' in rule else f'`rename: "{rule}"`'


def _printed(path: str) -> str:
    """A path as the language has it: what looks like a star or a capture is one."""
    return ".".join(s if s == "**" or _CAPTURE.search(s) else print_literal(s) for s in path.split("."))


def exceptions(differences: Differences) -> str | None:
    """The words that would allow the differences by name; None where that would take too many, or leave nothing."""
    if len(differences.missing) == len(differences.wanted):
        return None
    named = []
    for word in ("missing", "unexpected", "mismatched"):
        found = getattr(differences, word)
        if not found:
            continue
        universe = differences.found if word == "unexpected" else differences.wanted
        tops, alone = topmost(found, universe)
        selectors = [*map(_printed, tops), *map(_printed, alone)]
        if len(selectors) > _EXCEPTED:
            return None
        text = " | ".join(selectors)
        named.append(f"`{word}: {text}`" if text[0] not in "\"'*" else f"`{word}: '{text}'`")
    return f"if that is meant: {', '.join(named)}"
