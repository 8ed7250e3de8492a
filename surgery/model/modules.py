"""Which modules the rules of a step select."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from surgery.lang.facts import Facts
from surgery.lang.render import split_key
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.selecting import Choice, RuleSet, type_test
from surgery.subtrees import prefixes
from surgery.tensors.subject import Subject

__all__ = ["Chosen", "select_modules"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A module that a rule selects: the number of the rule, and every path of the module, the first in order first.

    `through` is the path by which it was selected.
    """

    rule: int
    paths: tuple[str, ...]
    through: str

    @property
    def path(self) -> str:
        """The first of its paths, by which it is known."""
        return self.paths[0]


def select_modules(rules: Sequence[Rule], subject: Subject, context: Context, *, nested: bool) -> list[Chosen]:
    """The modules that the rules select, each once, in the order of the model.

    Without `nested`, modules below one that is selected are left out, and the root is not selected. Of a bare state
    dict, whatever keys stand below counts as a module. What a guard asks of a module is of its ``weight``. Rules that
    select nothing, and counts that are off, are reported.
    """
    groups = _paths_by_module(subject, root=nested)
    names = [path for paths in groups for path in paths if path]
    choices = [Choice(rule, rule.left) for rule in rules]
    chosen = RuleSet(choices, names, context, types=type_test(subject), exact=True)
    found: list[Chosen] = []
    taken: set[tuple[str, ...]] = set()
    for paths in groups:
        for path in paths:
            segments = split_key(path)
            if not nested and any(segments[:depth] in taken for depth in range(1, len(segments))):
                continue
            weight = subject.entries.get(f"{path}.weight")
            first = chosen.first(path, Facts(path, weight.spec if weight else None, None))
            if first is not None:
                found.append(Chosen(first[0], paths, path))
                taken.update(map(split_key, paths))
                break
    chosen.finish()
    return found


def _paths_by_module(subject: Subject, *, root: bool) -> list[tuple[str, ...]]:
    """The paths of each module, in the order of their first ones; that of the root, where it is wanted, is empty."""
    if subject.skeleton is None:
        return [(path,) for path in dict.fromkeys(path for key in subject.entries for path in prefixes(key))]
    modules = subject.skeleton.modules
    groups: dict[int, list[str]] = {}
    for path, module in modules.items():
        groups.setdefault(id(module), []).append(path)
    return [tuple(paths) for paths in groups.values() if root or "" not in paths]
