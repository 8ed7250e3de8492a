"""``cast`` backwards: each tensor gets the dtype that it had, where the cast kept every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.inversion.identity import name_of
from surgery.inversion.keys import covering
from surgery.inversion.pieces import Line, Piece, rules_value
from surgery.inversion.stages import Stage
from surgery.inversion.text import plain_parameters
from surgery.steps.cast import Cast
from surgery.tensors.dtype import casts_exactly

__all__ = ["cast_pieces"]


def cast_pieces(stage: Stage, values: Mapping[str, Any]) -> Iterator[Piece | Diagnostic]:
    """The `cast` that takes a `cast` back, or why there is none."""
    assert isinstance(stage.step.step, Cast)
    spans = {rule.span: rule for rule in stage.step.step.rules}
    inexact: dict[Any, str] = {}
    groups: dict[tuple[str, str], list[str]] = {}
    for key, entry in stage.after.entries.items():
        old, new = stage.before.entries[key].spec.dtype, entry.spec.dtype
        if name_of(entry.expr) is not None:
            continue
        groups.setdefault((old.name, new.name), []).append(key)
        if not casts_exactly(old, new):
            message = f"`{new}` does not hold every value of {old}, which `{key}` is, so nothing gives them back"
            inexact.setdefault(entry.trail[-1].span, message)
    for span, message in inexact.items():
        rule = spans[span]
        yield Diagnostic("no-inverse", message, rule.span_of(rule.right.at))
    if inexact or not groups:
        return
    cast = [key for keys in groups.values() for key in keys]
    lines = []
    for (old_name, new_name), keys in groups.items():
        # what the cast would leave alone may be selected all the same
        others = [
            key for key, entry in stage.after.entries.items() if key not in keys and entry.spec.dtype.name == new_name
        ]
        if not others and len(groups) == 1 and _is_left_alone(stage, cast):
            lines.append(Line("**" if _is_float(new_name) else f"** if dtype == {new_name}", old_name))
            continue
        guard = "" if _is_float(new_name) else f" if dtype == {new_name}"
        paths = [plain_parameters(str(path)) for path in covering(keys, _all_but(stage, keys))]
        lines.append(Line(" | ".join(paths) + guard, old_name))
    yield Piece("cast", rules_value(lines))


def _all_but(stage: Stage, keys: list[str]) -> list[str]:
    chosen = set(keys)
    return [key for key in stage.after.entries if key not in chosen]


def _is_float(name: str) -> bool:
    from surgery.tensors.dtype import DTYPES

    return DTYPES[name].kind in ("float", "complex")


def _is_left_alone(stage: Stage, cast: list[str]) -> bool:
    """Whether all that was not cast is of a dtype that `cast` leaves alone."""
    chosen = set(cast)
    kinds = (entry.spec.dtype.kind for key, entry in stage.after.entries.items() if key not in chosen)
    return all(kind not in ("float", "complex") for kind in kinds)
