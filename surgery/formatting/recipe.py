"""The form of a recipe file.

The line for editors comes first; the words of the top level stand in the order of the reference; the arrows of
neighbouring rules in a block stand below each other; blanks at line ends, and all but one of several empty lines, go.
Lines are never joined or broken, and what the file means stays the same: only blanks beside arrows, and the order of
words in a mapping, whose order means nothing, are touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from surgery.content import Content
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.document.parse import LOADER, parse_document
from surgery.fields import fields_of, main_field, rules
from surgery.formatting.arrows import aligned
from surgery.schema import SCHEMA_FILE
from surgery.steps import STEPS

__all__ = ["SCHEMA_LINE", "format_recipe"]

#: what an editor with a YAML language server looks for
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
_IS_SCHEMA_LINE = re.compile(r"#\s*yaml-language-server:\s*\$schema=")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file; the ends of a `fixed` one are part of a value."""

    text: str
    fixed: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.fixed and not self.text.strip()


def format_recipe(text: str, name: str = "<recipe>") -> str:
    """The recipe in its one form. Formatting what is formatted changes nothing.

    Raises:
        SurgeryError: the text is not YAML.

    >>> print(format_recipe("steps:\\n- rename: |\\n    a -> b\\n    longer   -> c\\n\\n\\nname: x"), end="")
    # yaml-language-server: $schema=recipe.schema.json
    name: x
    steps:
    - rename: |
        a      -> b
        longer -> c
    """
    document = parse_document(text, name)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    written = _Written.of("\n".join(lines))
    for scalar in _rule_blocks(document):
        block = written.block_of(scalar)
        if block is not None:
            lines[block.start : block.stop] = aligned(lines[block.start : block.stop])
    marked = [
        _Line(line if number in written.fixed else line.rstrip(), number in written.fixed)
        for number, line in enumerate(lines)
    ]
    if not written.in_order and isinstance(document, MapNode):
        marked = _ordered(marked, document)
    if not any(_IS_SCHEMA_LINE.match(line.text) for line in marked):
        marked.insert(0, _Line(SCHEMA_LINE))
    return _joined(marked)


@dataclass(frozen=True, slots=True)
class _Written:
    """How the scalars of several lines are written.

    Attributes:
        blocks: the lines of the content of each literal block.
        fixed: the lines whose ends may be part of a value.
        in_order: whether the order of the lines means something: there are aliases, or empty lines that count.
    """

    blocks: tuple[range, ...]
    fixed: frozenset[int]
    in_order: bool

    @classmethod
    def of(cls, text: str) -> _Written:
        blocks: list[range] = []
        fixed: set[int] = set()
        lines = text.split("\n")
        in_order = any(line.startswith(("---", "...", "%")) for line in lines)
        for event in yaml.parse(text, Loader=LOADER):
            in_order = in_order or getattr(event, "anchor", None) is not None
            if not isinstance(event, yaml.ScalarEvent) or event.start_mark is None or event.end_mark is None:
                continue
            if event.start_mark.line == event.end_mark.line:
                continue
            first, end = event.start_mark.line, event.end_mark.line + (1 if event.end_mark.column else 0)
            if event.style not in ("|", ">"):
                fixed.update(range(first, end - 1))
                continue
            if "+" in lines[first].rpartition(event.style)[2]:
                in_order = True
            else:
                while end > first + 1 and (end > len(lines) or not lines[end - 1].strip()):
                    end -= 1
            in_order = in_order or end >= len(lines)
            fixed.update(range(first + 1, end))
            if event.style == "|":
                blocks.append(range(first + 1, end))
        return cls(tuple(blocks), frozenset(fixed), in_order)

    def block_of(self, scalar: Scalar) -> range | None:
        """The lines of a scalar that is a literal block."""
        line = scalar.text.locate(0)[0]
        return next((block for block in self.blocks if line in block), None)


def _rule_blocks(document: Node | None) -> Iterator[Scalar]:
    """The scalars that hold rules, in all steps of a recipe and of what its tests make."""
    steps = document.get("steps") if isinstance(document, MapNode) else document
    tests = document.get("tests") if isinstance(document, MapNode) else None
    for node in _with_steps(tests) if tests is not None else ():
        yield from _rule_blocks(node)
    for step in steps.items if isinstance(steps, ListNode) else ():
        for key, value in step.pairs if isinstance(step, MapNode) else ():
            cls = STEPS.get(str(key.value))
            field = main_field(cls) if cls else None
            if field is not None and isinstance(field.kind, rules):
                inner = value.get(field.name) if isinstance(value, MapNode) else value
                items = inner.items if isinstance(inner, ListNode) else (inner,)
                yield from (
                    item for item in items if isinstance(item, Scalar) and item.quoted and "\n" in item.text.value
                )
            elif isinstance(value, MapNode):
                yield from _rule_blocks(value)


def _with_steps(node: Node) -> Iterator[MapNode]:
    """The mappings in a node that have `steps`."""
    inner = node.items if isinstance(node, ListNode) else ()
    if isinstance(node, MapNode):
        if "steps" in node:
            yield node
        inner = tuple(value for _, value in node.pairs)
    for one in inner:
        yield from _with_steps(one)


def _ordered(lines: list[_Line], document: MapNode) -> list[_Line]:
    """The words of the top level, each with the comments right above it, in the order of the reference."""
    names = [str(key.value) for key, _ in document.pairs]
    starts = [key.text.locate(0)[0] for key, _ in document.pairs]
    in_block = all(
        line.text.startswith((name, f'"{name}"', f"'{name}'"))
        for line, name in zip((lines[start] for start in starts), names, strict=True)
    )
    if not names or not in_block or len(set(starts)) < len(starts):
        return lines
    begins = [_with_comments(lines, start) for start in starts]
    begins[0] = starts[0]  # comments at the beginning of a file are about the file
    end = _end(lines)
    chunks = [lines[first:last] for first, last in zip(begins, [*begins[1:], end], strict=True)]
    order = [field.name for field in fields_of(Content)]
    ranked = sorted(range(len(names)), key=lambda n: order.index(names[n]) if names[n] in order else len(order))
    return lines[: begins[0]] + [line for number in ranked for line in chunks[number]] + lines[end:]


def _with_comments(lines: list[_Line], start: int) -> int:
    """The first of the comment lines right above a line."""
    while start > 0 and lines[start - 1].text.startswith("#") and not lines[start - 1].fixed:
        start -= 1
    return start


def _end(lines: list[_Line]) -> int:
    """Where the comments at the end of a file begin, which are about the file too."""
    end = len(lines)
    while end > 0 and not lines[end - 1].fixed and (lines[end - 1].is_empty or lines[end - 1].text.startswith("#")):
        end -= 1
    return end


def _joined(lines: list[_Line]) -> str:
    """The text, with no more than one empty line in a row, and none at both ends."""
    kept: list[_Line] = []
    for line in lines:
        if not line.is_empty or (kept and not kept[-1].is_empty):
            kept.append(line)
    while kept and kept[-1].is_empty:
        kept.pop()
    text = "\n".join(line.text for line in kept)
    # a block that the end of the file ends lacks the line end that would be added to it
    return text if lines and lines[-1].fixed else text + "\n"
