"""What the right side of a rule keeps of the left side, what it gathers over, and what it scatters over."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import prod

from surgery.lang.expression import names
from surgery.lang.match import Match
from surgery.lang.path import Deep, Group, Path, Star
from surgery.lang.template import Hole, Mapped, Template

__all__ = ["Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a rule does with its indices.

    Attributes:
        kept: the captures that stand on both sides, and those on which selectors are joined.
        stars: how many stars are kept, from the left.
        groups: whether groups stand on both sides.
        scattered: the captures that stand on the right only.
        group_sizes: the sizes of the groups that stand on the right only.
    """

    kept: frozenset[str]
    stars: int
    groups: bool
    scattered: tuple[str, ...] = ()
    group_sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, left: Sequence[Sequence[Path]], templates: Sequence[Template]) -> Shape:
        """The shape of a rule: the paths of each of its selectors, and its templates."""
        captured = [{c.name for path in paths for c in path.captures()} for paths in left]
        everything = set().union(*captured)
        shared = {name for name in everything if sum(name in names_ for names_ in captured) > 1}
        has_groups = any(isinstance(part, Group) for path in left[0] for part in path.parts())
        used: dict[str, None] = {}
        stars = 0
        sizes: tuple[int, ...] = ()
        kept_groups = False
        for template in templates:
            parts = list(template.parts())
            stars = max(stars, sum(isinstance(p, Star | Deep) for p in parts))
            for part in parts:
                if isinstance(part, Mapped):
                    used[part.name] = None
                elif isinstance(part, Hole):
                    used.update((name.name, None) for name in names(part.expression))
            groups = [p for p in parts if isinstance(p, Group)]
            kept_groups = kept_groups or (has_groups and bool(groups))
            if groups and not has_groups:
                sizes = tuple(len(g.alternatives) for g in groups)
        scattered = tuple(name for name in used if name not in everything)
        return cls(frozenset(used) & everything | shared, stars, kept_groups, scattered, sizes)

    def of_partner(self) -> Shape:
        """The shape for the later selectors of a join: stars and groups on the right are those of the first."""
        return dataclasses.replace(self, stars=0, groups=False)

    def identity(self, match: Match) -> Hashable:
        """What a key shares with the keys it is gathered with."""
        kept = tuple(sorted((name, match.captures[name]) for name in self.kept if name in match.captures))
        return kept, match.stars[: self.stars], match.groups if self.groups else (), match.rest

    @property
    def per_index(self) -> int:
        """How many results there are for each value of what is scattered over."""
        return prod(self.group_sizes)
