"""The inspect screens: what a checkpoint holds, as a tree or as a list of keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.formats.additions import CHECKSUMS, RECORD
from surgery.formats.contents import Checkpoint
from surgery.formats.entries import ROOT, StateDict
from surgery.formats.nodes import children
from surgery.report.contents import node_words
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table
from surgery.report.tree import tree_lines
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec, format_bytes, format_shape
from surgery.tensors.subject import tie_groups
from surgery.wording import counted

__all__ = ["Inspection", "inspect_lines"]

_MOST_TIES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """A checkpoint, under the name that the caller gave it, and the state dicts in it."""

    name: str
    checkpoint: Checkpoint
    states: tuple[StateDict, ...]

    @property
    def others(self) -> dict[str, Any]:
        """What else stands at the top of the checkpoint, by name."""
        tops = {state.entry[0] for state in self.states if state.entry}
        if any(not state.entry for state in self.states):
            return {key: value for state in self.states for key, value in state.extra.items()}
        return {name: node for name, node in children(self.checkpoint.tree) if name not in tops}


def inspect_lines(
    inspection: Inspection, *, as_list: bool = False, depth: int | None = None, columns: int | None = None
) -> list[Line]:
    """The screen; with `as_list` every key on a line, else the tree, with `depth` no deeper than that."""
    found = [_title(inspection)]
    others = inspection.others
    if others:
        rows: list[list[Cell]] = [[piece(name, "head"), node_words(node)] for name, node in others.items()]
        found += [(), *table(rows, "ll", columns=columns)]
    shown: dict[str, dict[str, Spec]] = {}
    for state in inspection.states:
        found += [(), _heading(state)]
        specs = {key: expr.spec for key, expr in state.tensors.items()}
        alike = next((name for name, earlier in shown.items() if earlier == specs), None)
        if as_list:
            found += _list(state, columns)
        elif alike is not None:
            found.append(line(piece(f"the same keys, shapes and dtypes as in `{alike}`", "quiet")))
        else:
            found += tree_lines(specs, depth=depth, columns=columns)
        shown.setdefault(".".join(state.entry), specs)
        found += _ties(state.tensors)
    metadata = inspection.checkpoint.metadata
    if metadata:
        pairs = [_pair(name, value, inspection.name) for name, value in metadata.items()]
        found += [(), line(piece("metadata of the file", "quiet")), *table(pairs, "ll", columns=columns)]
    if inspection.checkpoint.remarks:
        found += [(), *map(line, inspection.checkpoint.remarks)]
    return found


def _title(inspection: Inspection) -> Line:
    checkpoint = inspection.checkpoint
    size = format_bytes(sum(state.size for state in checkpoint.files.values()))
    files = f" in {len(checkpoint.files)} files" if len(checkpoint.files) > 1 else ""
    return line(piece(inspection.name, "title"), f"  {checkpoint.format}, {size}{files}")


def _heading(state: StateDict) -> Line:
    distinct = {id(expr): expr.spec for expr in state.tensors.values()}.values()
    sizes: Counter[str] = Counter()
    for spec in distinct:
        sizes[spec.dtype.name] += spec.nbytes
    dtypes = ", ".join(name for name, _ in sizes.most_common())
    numbers = f"{counted(len(state.tensors), 'tensor')}, {sum(spec.numel for spec in distinct):,} values, "
    numbers += f"{format_bytes(sum(spec.nbytes for spec in distinct))}, {dtypes}"
    name = ".".join(state.entry)
    return line(piece(name, "title"), "  ", numbers) if name and name != ROOT else line(numbers)


def _list(state: StateDict, columns: int | None) -> list[Line]:
    rows: list[list[Cell]] = []
    for key, expr in state.tensors.items():
        kind = piece(state.kinds.get(key, ""), "quiet")
        spec = expr.spec
        # how many bytes a quantised or sparse tensor takes is not known
        size = "" if spec.dtype.kind == "opaque" else format_bytes(spec.nbytes)
        rows.append([key, spec.dtype.name, format_shape(spec.shape), size, kind])
    return table(rows, "lllrl", columns=columns)


def _ties(entries: Mapping[str, TensorExpr]) -> list[Line]:
    groups: Sequence[tuple[str, ...]] = tie_groups(entries.items())
    shown = [line(piece("tied  ", "head"), " = ".join(group)) for group in groups[:_MOST_TIES]]
    more = len(groups) - len(shown)
    return [*shown, *([line(piece(f"… and {more} more ties", "quiet"))] if more > 0 else [])]


def _pair(name: str, value: str, file: str) -> list[Cell]:
    """A pair of the metadata; of what Surgery wrote, what it is for."""
    ours = {RECORD: f"`surgery show {file}` prints the recipe that made it", CHECKSUMS: "for `surgery verify`"}
    return [piece(name, "head"), ours.get(name) or _brief(value)]


def _brief(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"
