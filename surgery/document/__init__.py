"""YAML as nodes with places: every scalar, and every word inside it, knows its file, line and column."""

from __future__ import annotations

from surgery.document.nodes import ListNode, MapNode, Node, Scalar, texts

__all__ = ["ListNode", "MapNode", "Node", "Scalar", "texts"]
