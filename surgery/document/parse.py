"""From YAML text to nodes with places.

PyYAML's events (from libyaml, where it is there) are composed here, because its own composer follows YAML 1.1, accepts
duplicate keys, and crashes on text that is nested deeply enough. Depth, size and the number of nodes are counted while
events arrive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from surgery.diagnostics import Diagnostic, Span, SurgeryError
from surgery.document.characters import check_characters
from surgery.document.mistakes import explain, missing_quotes
from surgery.document.nodes import ListNode, MapNode, Node, Scalar
from surgery.document.pieces import cut_text
from surgery.document.places import block_text, plain_text, quoted_text
from surgery.document.resolve import Value, resolve
from surgery.limits import Limits, exceeded, limits
from surgery.text import SourceFileText, Text

__all__ = ["LOADER", "parse_document"]

#: libyaml's parser where PyYAML has it, its own in Python otherwise
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: what an escape can put into a text, and nothing can be made of
_UNFIT = re.compile("[\0\ud800-\udfff]")


def parse_document(content: str, name: str, *, loader: Any = None) -> Node:
    """The one YAML document in `content`, named `name` in messages; a null scalar where there is none.

    Raises:
        SurgeryError: `yaml`, `yaml-quotes`, `duplicate-key` or `too-large`, each at its place.

    >>> node = parse_document("count: 3", "recipe.yaml")
    >>> node.get("count").value, str(node.get("count").span)
    (3, 'recipe.yaml:1:8')
    """
    content = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    file = SourceFileText.of(name, content)
    allowed = limits()
    if len(content) > allowed.recipe:
        message = f"this document is longer than {allowed.recipe} characters"
        raise exceeded("recipe", message, file.span(0, 0, 1), needed=len(content))
    check_characters(content, file)
    events = yaml.parse(content, Loader=loader or LOADER)
    composer = _Composer(file, events, allowed)
    try:
        node = composer.document()
    except yaml.MarkedYAMLError as error:
        composer.diagnostics.append(explain(error, file))
    if composer.diagnostics:
        raise SurgeryError(composer.diagnostics)
    return node


@dataclass(slots=True)
class _Composer:
    """Events on their way to becoming nodes."""

    file: SourceFileText
    events: Iterator[yaml.Event]
    limits: Limits
    diagnostics: list[Diagnostic] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int] | None] = field(default_factory=dict)
    nodes: int = 0
    aliases: int = 0

    def document(self) -> Node:
        next(self.events)  # the beginning of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            text = Text("", self.file, lambda index: (0, 0))
            return Scalar(text.span(0, 0), None, text)
        node = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        more = next(self.events)
        if not isinstance(more, yaml.StreamEndEvent):
            note = "one recipe is one document: `---` and `...` end it"
            self.report("yaml", "a second document begins here", self.mark(more.start_mark, 3), note)
        return node

    def report(self, code: str, message: str, span: Span, *notes: str | None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, tuple(note for note in notes if note)))

    def mark(self, mark: Any, length: int = 1) -> Span:
        return self.file.span(mark.line, mark.column, length)

    def node(self, event: Any, depth: int) -> Node:
        """The node that begins with `event`."""
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            message = f"this document has more than {self.limits.nodes} nodes"
            raise exceeded("nodes", message, self.mark(event.start_mark))
        if depth > self.limits.nesting:
            message = f"lists and mappings are nested more than {self.limits.nesting} deep"
            raise exceeded("nesting", message, self.mark(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        before = self.nodes
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, depth)
        else:
            node = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.nodes - before + 1)
        return node

    def sequence(self, event: Any, depth: int) -> ListNode:
        items = []
        while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(inner, depth + 1))
        if event.flow_style:
            self.is_cut(items)
        return ListNode(self.mark(event.start_mark), tuple(items))

    def mapping(self, event: Any, depth: int) -> MapNode:
        written: list[tuple[Node, Node]] = []
        while not isinstance(inner := next(self.events), yaml.MappingEndEvent):
            key = self.node(inner, depth + 1)
            written.append((key, self.node(next(self.events), depth + 1)))
        span = self.mark(event.start_mark)
        if event.flow_style:
            if self.is_cut([node for pair in written for node in pair]):
                return MapNode(span, ())
        elif written:
            span = written[0][0].span
        pairs: dict[str, tuple[Scalar, Node]] = {}
        for key, value in written:
            if self.is_key(key):
                assert isinstance(key, Scalar)
                first = pairs.setdefault(str(key.value), (key, value))[0]
                if first is not key:
                    note = f"first at {first.span.place}; of two, one would be lost"
                    self.report("duplicate-key", f"`{key.value}` stands here twice", key.span, note)
        return MapNode(span, tuple(pairs.values()))

    def is_cut(self, items: list[Node]) -> bool:
        """Whether a comma of a flow collection cut a text in two against its author's will; that is reported."""
        found = cut_text(items)
        if found is not None:
            message = f"quotes are missing: to YAML, a comma ends the text `{found.text.value}`"
            self.report("yaml-quotes", message, found.span, missing_quotes(self.file, found.span.line - 1))
        return found is not None

    def is_key(self, key: Node) -> bool:
        """Whether a node can be a key; if not, that is reported."""
        if not isinstance(key, Scalar):
            self.report("yaml", "a list or a mapping cannot be a key", key.span, "keys are texts")
            return False
        if key.value == "<<" and not key.quoted:
            note = "what is shared is written out, or becomes a recipe of its own"
            self.report("yaml", "merge keys (`<<`) are not read", key.span, note)
            return False
        if isinstance(key.value, str):
            return True
        written = key.text.value
        message = f"the key `{written}` is not a text" if written else "a key is missing here"
        self.report("yaml", message, key.span, f'in quotes it is one: "{written}"' if written else None)
        return False

    def alias(self, event: Any) -> Node:
        self.aliases += 1
        span = self.mark(event.start_mark, len(event.anchor) + 1)
        known = event.anchor in self.anchors
        found = self.anchors.get(event.anchor)
        if self.aliases > self.limits.aliases:
            raise exceeded("aliases", f"this document has more than {self.limits.aliases} aliases", span)
        if found is None:
            advice = None if known else missing_quotes(self.file, span.line - 1)
            what = "stands inside what it names" if known else "names nothing"
            code = "yaml-quotes" if advice else "yaml"
            self.report(code, f"to YAML `*{event.anchor}` is an alias, and this one {what}", span, advice)
            return Scalar(span, None, Text("", self.file, lambda index: (span.line - 1, span.column - 1)))
        node, size = found
        self.nodes += size
        return node

    def tag(self, event: Any) -> None:
        span = self.mark(event.start_mark, len(event.tag))
        advice = missing_quotes(self.file, span.line - 1)
        message = "to YAML, a text that begins with `!` is a tag, and tags are not read"
        self.report("yaml-quotes" if advice else "yaml", message, span, advice)

    def scalar(self, event: Any) -> Scalar:
        text = self.text(event)
        quoted = event.style in ("'", '"', "|", ">")
        span = text.span(0, len(text.value))
        if _UNFIT.search(text.value):
            self.report("yaml", "a text cannot hold a NUL or half a surrogate pair", span)
        value: Value = text.value
        if not quoted:
            try:
                value = resolve(text.value)
            except OverflowError:
                self.report("too-large", "this number does not fit in 64 bits", span, "in quotes it is a text")
        return Scalar(span, value, text, quoted)

    def text(self, event: Any) -> Text:
        """The characters of a scalar with their places."""
        line, column = event.start_mark.line, event.start_mark.column
        if event.anchor is not None or event.tag is not None:
            line, column = _after_properties(self.file, line, column, event)
        if line >= len(self.file.lines):  # nothing at all, where the text ends
            line, column = len(self.file.lines) - 1, len(self.file.lines[-1])
        if event.style in ("'", '"'):
            return quoted_text(event.value, self.file, line, column)
        if event.style in ("|", ">"):
            return block_text(event.value, self.file, line, column)
        return plain_text(event.value, self.file, line, column)


def _after_properties(file: SourceFileText, line: int, column: int, event: Any) -> tuple[int, int]:
    """Where a scalar itself begins that bears an anchor or a tag."""
    end = (event.end_mark.line, event.end_mark.column)
    while (line, column) < end:
        rest = file.lines[line][column:]
        content = rest.lstrip(" \t")
        column += len(rest) - len(content)
        if not content or content[0] == "#":
            line, column = line + 1, 0
        elif content[0] in "&!":
            column += len(content.split(None, 1)[0])
        else:
            return line, column
    return end
