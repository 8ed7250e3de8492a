"""Ties on their way through a step: what is said where one name of a tensor goes another way than the others."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.planning.context import Context
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["remark_broken_ties", "remark_parted_names"]


def remark_broken_ties(subject: Subject, outcome: Mapping[str, frozenset[int]], context: Context, step: str) -> None:
    """Remark ties that a step breaks; `outcome` says of each key that goes on in which tensors (by identity) it is."""
    for names in subject.ties():
        staying = [name for name in names if name in outcome]
        if len({outcome[name] for name in staying}) > 1:
            context.remarks.append(f"{listed(staying)} are one tensor before `{step}`, and are no longer tied after it")


def remark_parted_names(subject: Subject, renamed: Mapping[str, str], context: Context) -> None:
    """Remark where some names of a tied tensor are renamed and others are not: they stay tied."""
    for names in subject.ties():
        moved = [name for name in names if name in renamed]
        stayed = [name for name in names if name not in renamed]
        if moved and stayed:
            new = listed(renamed[name] for name in moved)
            context.remarks.append(f"{new} stays tied to {listed(stayed)}")
