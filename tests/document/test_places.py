"""Every character of every scalar is found in the file at the place where it is said to stand."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from surgery.diagnostics import SurgeryError
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.document.parse import parse_document

CHARACTERS = st.sampled_from([*"ab01 \t\n'\"\\#:-,[]{}|>&*!%@`?~é→", "  ", "\n\n", "😀", "- ", ": ", " #", "\\n", "->"])
VALUES = st.lists(CHARACTERS, max_size=14).map("".join)
LOADERS = pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])


def scalars(node: Node) -> list[Scalar]:
    match node:
        case Scalar():
            return [node]
        case ListNode(items=items):
            return [scalar for item in items for scalar in scalars(item)]
        case MapNode(pairs=pairs):
            return [scalar for pair in pairs for item in pair for scalar in scalars(item)]
    raise AssertionError(node)


def assert_in_place(scalar: Scalar, content: str) -> None:
    """Each character that is no blank stands where `locate` says, and after the one before it."""
    lines = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    last = (-1, -1)
    for index, char in enumerate(scalar.text.value):
        line, column = scalar.text.locate(index)
        assert column <= len(lines[line])
        if char.isspace():
            continue
        assert (line, column) > last
        last = (line, column)
        written = lines[line][column]
        assert written == char or written == "\\", (char, written, line, column)
    assert scalar.text.locate(len(scalar.text.value)) >= last


@LOADERS
@settings(max_examples=600, deadline=None)
@given(
    value=VALUES,
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    width=st.integers(5, 40),
    indent=st.integers(2, 6),
    flow=st.booleans(),
    unicode=st.booleans(),
)
def test_dumped_values(value, style, width, indent, flow, unicode, loader):
    content = yaml.dump(
        {"key": [value, {"inner": value}]},
        default_style=style,
        width=width,
        indent=indent,
        default_flow_style=flow,
        allow_unicode=unicode,
    )
    try:
        found = scalars(parse_document(content, "recipe.yaml", loader=loader))
    except SurgeryError:  # what PyYAML writes, and what is refused: a text that brackets cut
        return
    # PyYAML does not always read what it writes: its reader is what counts
    again = yaml.load(content, yaml.BaseLoader)["key"]
    assert [s.text.value for s in found] == ["key", again[0], "inner", again[1]["inner"]]
    for scalar in found:
        assert_in_place(scalar, content)


QUOTED = st.lists(
    st.sampled_from(
        [*"ab '\t\n\"\\", "''", '\\"', "\\n", "\\\n", "\\x41", "\\u00e9", "\\U0001F600", "  \n", "\n\n  ", "😀"]
    ),
    max_size=12,
).map("".join)


@LOADERS
@settings(max_examples=1500, deadline=None)
@given(inside=QUOTED, quote=st.sampled_from("'\""), before=st.sampled_from(["", "k: ", "k:\n    ", "- &a "]))
@example(inside="a\\\n  \\\n  b", quote='"', before="")
@example(inside="''''", quote="'", before="")
@example(inside="  \n\n a  \n ", quote='"', before="k: ")
def test_quoted_as_written(inside, quote, before, loader):
    content = f"{before}{quote}{inside}{quote}\n"
    try:
        node = parse_document(content, "recipe.yaml", loader=loader)
    except SurgeryError:
        return
    for scalar in scalars(node):
        assert_in_place(scalar, content)


BLOCK_LINES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "a  b", "# c", "\tx", "- a", "a: b ", "é 😀"])), max_size=7
)


@LOADERS
@settings(max_examples=1500, deadline=None)
@given(
    lines=BLOCK_LINES,
    header=st.sampled_from(["|", ">", "|-", ">+", "|2", ">1-", "|+1", "| # comment", ">  "]),
    before=st.sampled_from(["", "k: ", "- ", "a:\n  - b: ", "a: &x ", "a:\n  &y "]),
    after=st.sampled_from(["", "\n\n", "# end\n"]),
)
@example(lines=[(2, "a"), (4, "b"), (2, "c")], header=">", before="k: ", after="")
@example(lines=[(4, ""), (2, "a")], header="|", before="k: ", after="")
def test_blocks_as_written(lines, header, before, after, loader):
    content = before + header + "\n" + "".join(f"{' ' * indent}{text}\n" for indent, text in lines) + after
    try:
        node = parse_document(content, "recipe.yaml", loader=loader)
    except SurgeryError:
        return
    for scalar in scalars(node):
        assert_in_place(scalar, content)


@LOADERS
@settings(max_examples=800, deadline=None)
@given(
    words=st.lists(st.sampled_from(["a", "b->c", "**", "é", "😀", "x:y", "a#b", "'", '"q"']), min_size=1, max_size=6),
    gaps=st.lists(st.sampled_from([" ", "  ", "\t", "\n  ", " \n\n   ", "\t\n "]), min_size=6, max_size=6),
    before=st.sampled_from(["k: ", "- ", "k: [", "k: {i: ", "- &a "]),
)
def test_plain_as_written(words, gaps, before, loader):
    inside = "".join(word + gap for word, gap in zip(words, gaps, strict=False)).rstrip()
    content = before + inside + {"[": "]", "{": "}"}.get(before[3:4], "") + "\n"
    try:
        node = parse_document(content, "recipe.yaml", loader=loader)
    except SurgeryError:
        return
    for scalar in scalars(node):
        assert_in_place(scalar, content)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark(newline, mark):
    content = mark + newline.join(["name: x", "steps:", '  - rename: "a -> b"', "  - rename: |", "      c -> d", ""])
    node = parse_document(content, "recipe.yaml")
    assert str(node.key("name").span) == "recipe.yaml:1:1"
    rule, block = (item.get("rename") for item in node.get("steps").items)
    assert str(rule.text.span(5, 6)) == "recipe.yaml:3:19"
    assert block.value == "c -> d\n"
    assert str(block.text.span(5, 6)) == "recipe.yaml:5:12"
    assert block.text.span(5, 6).excerpt == "      c -> d"


def test_columns_count_characters():
    rule = parse_document('- "😀é\t→ x"', "recipe.yaml").items[0]
    assert rule.text.span(4, 5).column == 8
