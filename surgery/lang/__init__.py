"""The key-pattern language: selectors, templates, rules and layer expressions.

Text is split into rules, parsed by the grammar in `grammars/`, and becomes immutable forms that print back to text
which parses to the same forms. Nothing here knows torch.
"""

from __future__ import annotations

from surgery.lang.parser import KINDS, parse_expression, parse_rules, parse_selector, union_of
from surgery.lang.rule import Rule
from surgery.lang.selector import Item, Selection, Selector

__all__ = [
    "KINDS",
    "Item",
    "Rule",
    "Selection",
    "Selector",
    "parse_expression",
    "parse_rules",
    "parse_selector",
    "union_of",
]
