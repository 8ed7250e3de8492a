"""Rules and selectors as fields."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import SurgeryError
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.fields.kinds import Kind, boolean, describe, integer, string
from surgery.fields.reader import OPEN, Reader
from surgery.fields.schema import described
from surgery.lang import Rule, Selection, parse_rules, parse_selector, union_of

__all__ = ["rules", "selection"]


@dataclass(frozen=True, slots=True)
class rules(Kind):
    """Rules of one kind: a scalar with rules, or a list of scalars and of ``{rule: …, count: …}``."""

    about: ClassVar[str] = "rules `selector -> …`: a block with one on each line, or a list"

    kind: str

    def takes(self, node: MapNode) -> bool:
        """One rule with options may stand without a list around it."""
        return "rule" in node

    def meant(self, word: str, value: Node) -> str | None:
        """A rule with an arrow, where a mapping from old to new was written."""
        if not isinstance(value, Scalar) or not isinstance(value.value, str) or "->" in value.value:
            return None
        return f'a rule is one text, with an arrow: "{word} -> {value.value}"'

    def read(self, node: Node, reader: Reader) -> tuple[Rule, ...]:
        found = [rule for item in reader.items(node) for rule in self._item(item, reader)]
        if not found and not reader.diagnostics:
            reader.report("rule-syntax", "a rule is missing here", node.span)
        return tuple(found)

    def _item(self, node: Node, reader: Reader) -> tuple[Rule, ...]:
        if isinstance(node, MapNode):
            return self._with_options(node, reader)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            value = node.value if isinstance(node, Scalar) else node
            reader.report("wrong-type", f"a rule stands here, not {describe(value)}", node.span)
            return ()
        try:
            found = parse_rules(node.text, self.kind, reader.values)
        except SurgeryError as error:
            reader.diagnostics.extend(error.diagnostics)
            return ()
        for rule in found:
            for name, span in rule.parameters:
                reader.known(name, span)
        return found

    def _with_options(self, node: MapNode, reader: Reader) -> tuple[Rule, ...]:
        kinds = {"rule": None, "count": integer, "optional": boolean, "note": string}
        text = node.get("rule")
        unknown = [(key, value) for key, value in node.pairs if key.value not in kinds]
        for key, other in unknown:
            meant = self.meant(str(key.value), other) if text is None else None
            reader.unknown_word(str(key.value), key, kinds, meant)
        if text is None:
            if not unknown:  # the word that is missing may be the one that is misspelled
                reader.report("missing-word", "`rule` is missing here", node.span)
            return ()
        options: dict[str, Any] = {}
        for name, kind in kinds.items():
            value = node.get(name)
            if kind is not None and value is not None:
                read = kind.read(value, reader)
                options[name] = None if read is OPEN else read
        if (options.get("count") or 0) < 0:
            reader.report("wrong-type", "a count is not negative", node.get("count").span)  # type: ignore[union-attr]
        optional = bool(options.pop("optional", False))
        found = self._item(text, reader)
        return tuple(dataclasses.replace(r, optional=r.optional or optional, **options) for r in found)

    def schema(self) -> dict[str, Any]:
        rule = {"type": "string"}
        with_options = {
            "type": "object",
            "properties": {
                "rule": described(rule, "the rule"),
                "count": described(integer.schema(), "how many keys (of a layer rule, modules) it must select"),
                "optional": described(boolean.schema(), "whether it may select nothing"),
                "note": described(string.schema(), "what the author says of the rule"),
            },
            "required": ["rule"],
            "additionalProperties": False,
        }
        item = {"if": {"type": "object"}, "then": with_options, "else": rule}
        return {"if": {"type": "array"}, "then": {"items": item}, "else": rule}


@dataclass(frozen=True, slots=True)
class _Selection(Kind):
    """A selector, or a list of them as their union."""

    about: ClassVar[str] = "which keys are meant: a selector, or a list of them as their union"

    def read(self, node: Node, reader: Reader) -> Selection | None:
        found = []
        if isinstance(node, ListNode) and not node.items:
            reader.report("wrong-type", "this list of selectors is empty", node.span)
        for item in reader.items(node):
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                value = item.value if isinstance(item, Scalar) else item
                reader.report("wrong-type", f"a selector stands here, not {describe(value)}", item.span)
                continue
            try:
                one = parse_selector(item.text, reader.values)
            except SurgeryError as error:
                reader.diagnostics.extend(error.diagnostics)
                continue
            for name, span in one.parameters:
                reader.known(name, span)
            found.append(one)
        return union_of(found) if found else None

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


selection = _Selection()
