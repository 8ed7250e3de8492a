"""Whether a result is like a reference: the same keys, shapes and dtypes, told from headers."""

from __future__ import annotations

from surgery.planning.candidates import candidates
from surgery.planning.differences import Differences, Words
from surgery.tensors.dtype import DType
from surgery.tensors.subject import Subject

__all__ = ["differences_from", "likeness_notes"]


def differences_from(reference: Subject, result: Subject) -> Differences:
    """What `result` lacks of `reference`, what it has beyond it, and what has another shape or dtype.

    Of the names of one tied tensor of the reference, one is enough.
    """
    wanted = {key: entry.spec for key, entry in reference.entries.items()}
    found = {key: entry.spec for key, entry in result.entries.items()}
    complete = {key for names in reference.ties() if any(name in found for name in names) for key in names}
    return Differences(
        wanted,
        found,
        missing=[key for key in wanted if key not in found and key not in complete],
        unexpected=[key for key in found if key not in wanted],
        mismatched=[key for key in wanted if key in found and wanted[key] != found[key]],
    )


def likeness_notes(differences: Differences, reference: str, result: str = "the result") -> list[str]:
    """The differences as a short table, and what was probably meant."""
    words = Words(reference, result)
    return [*differences.sections(words), *candidates(differences, words), *_casts(differences, reference, result)]


def _casts(differences: Differences, reference: str, result: str) -> list[str]:
    """The casts that would mend what differs in nothing but the dtype, where all tensors of a dtype differ alike."""
    both = [(spec, differences.wanted.get(key)) for key, spec in differences.found.items()]
    wanted: dict[DType, set[DType]] = {}
    for found, other in both:
        if found is not None and other is not None and found.shape == other.shape:
            wanted.setdefault(found.dtype, set()).add(other.dtype)
    changes = [(found, *others) for found, others in wanted.items() if len(others) == 1 and found not in others]
    return [
        f'what is {found} in {result} is {other} in {reference}: `cast: "** if dtype == {found} -> {other}"`'
        for found, other in changes
    ]
