"""Where the choice among several ways to match mattered.

Of several ways to match a key the topmost counts, with every ``**`` as short as it can be. As a rule any other way
would give the same; where it would not, a plan says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import islice

from surgery.lang.expression import EvaluationError, Name
from surgery.lang.match import Match
from surgery.lang.path import Deep, Group, Path, Star
from surgery.lang.pattern import TypeTest
from surgery.lang.renaming import renamer
from surgery.lang.render import Filling, render
from surgery.lang.rule import KeyTarget, Rule
from surgery.lang.selector import Except, Guarded, Union
from surgery.lang.template import Hole, Template

__all__ = ["Outcome", "another_way", "outcome"]

#: the ways that are compared for one key
_MOST = 200

#: what a rule makes of a match, its new key first; matches with the same outcome need not be told apart
Outcome = Callable[[Match], tuple[Hashable, ...]]


def another_way(
    match: Match, of: Callable[[Match], Hashable], types: TypeTest | None = None, *, exact: bool = False
) -> Match | None:
    """Another way to match the same key, with another outcome; None where there is none (among the first few hundred).

    >>> from surgery.lang import parse_rules
    >>> from surgery.lang.pattern import Pattern
    >>> from surgery.text import Text
    >>> rule = parse_rules(Text.plain("**.norm -> **.ln"), "key")[0]
    >>> match = Pattern(rule.left).match(["norm", "norm", "weight"])
    >>> outcome(rule)(match), outcome(rule)(another_way(match, outcome(rule)))
    (('ln.norm.weight',), ('norm.ln.weight',))
    """
    if not match.pattern.open:
        return None
    chosen = of(match)
    others = islice(match.pattern.matches(match.key, types, exact=exact), 1, _MOST)
    return next((other for other in others if of(other) != chosen), None)


def outcome(rule: Rule) -> Outcome | None:
    """What a rule makes of a match: the keys of its templates, and with operations what is gathered over as well.

    None where the choice cannot matter: no keys stand on the right, or each wildcard has a fixed place in the key.
    """
    if not isinstance(rule.right, KeyTarget | Template) or not isinstance(rule.left, Path | Union | Except | Guarded):
        return None
    templates = rule.right.templates if isinstance(rule.right, KeyTarget) else (rule.right,)
    gathers = isinstance(rule.right, KeyTarget) and bool(rule.right.operations)
    if isinstance(rule.left, Path) and not gathers and all(renamer(rule.left, template) for template in templates):
        return None
    # what the right side puts back whole is in its keys already
    kept = {
        part.expression.name
        for template in templates
        for part in template.parts()
        if isinstance(part, Hole) and isinstance(part.expression, Name)
    }
    stars = max(sum(isinstance(part, Star | Deep) for part in template.parts()) for template in templates)

    def of(match: Match) -> tuple[Hashable, ...]:
        found: tuple[Hashable, ...] = tuple(_key(template, match) for template in templates)
        if not gathers:
            return found
        gathered = tuple(sorted(item for item in match.captures.items() if item[0] not in kept))
        return (*found, gathered, match.stars[stars:], match.groups)

    return of


def _key(template: Template, match: Match) -> str:
    """The key that a template gives; what it takes from elsewhere (a partner of a join, a new index) stands as 0."""
    filling = Filling.of(match, match.pattern.path)
    parts = list(template.parts())
    stars = (*filling.stars, *("0" for part in parts if isinstance(part, Star | Deep)))
    groups = filling.groups or (0,) * sum(isinstance(part, Group) for part in parts)
    text, numbers = defaultdict(lambda: "0", filling.text), defaultdict(int, filling.numbers)
    try:
        return render(template, Filling(text, numbers, defaultdict(int, filling.choices), stars, groups), match.rest)
    except EvaluationError as error:
        return str(error)
