"""Directories of a machine, users and queries of addresses are left out; all else is as it was written."""

import pytest

from surgery.document.parse import parse_document
from surgery.provenance.shortening import shortened, shortened_text

VALUES = {
    "/home/ada/model.pth": "model.pth",
    "/model.pth": "model.pth",
    "/data/shards/": "shards/",
    "~ada/model.pth": "model.pth",
    "~/model.pth": "~/model.pth",
    "C:\\models\\a.pth": "a.pth",
    "\\\\server\\share\\a.pth": "a.pth",
    "../models/a.pth": "../models/a.pth",
    "/etc/config.json#/model/depth": "config.json#/model/depth",
    "https://ada:pw@example.org/a.pth": "https://example.org/a.pth",
    "https://token@example.org/a.pth?key=secret&x=1#frag": "https://example.org/a.pth",
    "https://example.org/a@b.pth": "https://example.org/a@b.pth",
    "https://example.org?next=//u:p@h/": "https://example.org",
    "hf://org/repo@main/a.safetensors": "hf://org/repo@main/a.safetensors",
    "module.** -> **": "module.** -> **",
    "/": "/",
    "": "",
}


@pytest.mark.parametrize("value", VALUES)
def test_a_value(value):
    assert shortened(value) == VALUES[value]
    assert shortened(VALUES[value]) == VALUES[value]


def test_lists_and_other_values():
    assert shortened(["/a/b", 3, ("/c/d",)]) == ["b", 3, ["d"]]
    assert shortened(None) is None


TEXT = """\
# /stays/as/it/is
source:
  checkpoint: {path: "/home/a\\u0064a/x y.pth", sha256: '%s'}   # a remark
steps:
- load:
    from: {checkpoint: 'https://ada:it''s@h.org/a.pth?token=1'}
    missing: "head"
- load: {from: {checkpoint: https://h.org/b.pth?x=1}, missing: &all "*"}
- load:
    from:
      checkpoint: >-
        /one/two
    missing: *all
- rename: "a -> b"
output: /data/out/
""" % ("a" * 64)

SHORT = """\
# /stays/as/it/is
source:
  checkpoint: {path: "x y.pth", sha256: '%s'}   # a remark
steps:
- load:
    from: {checkpoint: 'https://h.org/a.pth'}
    missing: "head"
- load: {from: {checkpoint: https://h.org/b.pth}, missing: &all "*"}
- load:
    from:
      checkpoint: >-
        two
    missing: *all
- rename: "a -> b"
output: out/
""" % ("a" * 64)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text(end, mark):
    text, short = (mark + each.replace("\n", end) for each in (TEXT, SHORT))
    assert shortened_text(text, parse_document(text, "recipe.yaml")) == short
    assert shortened_text(short, parse_document(short, "recipe.yaml")) == short


def test_the_same_node_twice_is_shortened_once():
    text = "a: &x /one/two\nb: *x\n"
    assert shortened_text(text, parse_document(text, "recipe.yaml")) == "a: &x two\nb: *x\n"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a: /x/y\ntests:\n  - {name: b, files: {/z: 1}}\n# end\n", "a: y\n"),
        ("\ufeffa: 1\r\ntests: []\r\n", "\ufeffa: 1\r\n"),
        ("tests: &x []\nb: *x\n", "tests: &x []\nb: *x\n"),
        ("{a: 1,\ntests: []}\n", "{a: 1,\ntests: []}\n"),
        ("tests: []\n", "tests: []\n"),
        ("a: {tests: []}\n", "a: {tests: []}\n"),
    ],
)
def test_tests_at_the_end_are_left_out(text, short):
    assert shortened_text(text, parse_document(text, "recipe.yaml")) == short
