"""Section 1 of the language: keys and selectors, sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.lang import parse_selector
from surgery.lang.facts import Facts
from surgery.lang.pattern import Pattern
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec
from surgery.text import Text

Select = Callable[..., list[str]]

# (concept, selector, keys that are selected, keys that are not)
TABLE = [
    ("text matches itself", "layer4.2.conv3.weight", "layer4.2.conv3.weight", "layer4.2.conv3.bias layer4.2.conv3"),
    ("matching is anchored", "fc", "fc.weight fc.bias fc", "fc2.weight layer.fc.weight xfc"),
    ("numbers are segments", "layers.1", "layers.1.w", "layers.10.w layers.11.w"),
    (
        "no part of a name",
        "layer.norm",
        "layer.norm.weight",
        "player.norm.weight player_norm.weight layer.norm1.weight",
    ),
    ("letters and digits of any script", "größe.層1", "größe.層1.weight", "grosse.層1.weight"),
    ("the other characters of text", "a_b/c:d@e+f-g", "a_b/c:d@e+f-g.x", "a_b.c"),
    ("a hyphen at an end", "-a.b-", "-a.b-.w", "a.b.w"),
    ("words are keys where no blanks are", "if.weight | a.via | or.not", "if.weight a.via or.not.x", "if via"),
    ("a word in quotes is a key", '"if" | "via" | "optional"', "if via.weight optional", "a.if"),
    ("words behind the end of a rule are keys", "a | or", "a or.x", "b"),
    ("quotes of either kind", "\"odd name\".x | 'it''s'.x", "", "odd.x"),
    ("a quoted dot is a dot of the key", '"a.b".c', "a.b.c a.b.c.d", "a.x.b.c ab.c"),
    ("quoted text beside other text", 'x"a b"*', "xa␣b xa␣bc.w", "x"),
    ("one star, one whole segment", "layers.*.bias", "layers.0.bias layers.x.bias", "layers.bias layers.0.1.bias"),
    (
        "a star in a part may be empty",
        "conv*.weight",
        "conv.weight conv1.weight convolution.weight",
        "con.weight a.conv1.weight",
    ),
    ("a star on either side", "*norm*.weight", "norm.weight layernorm2.weight", "x.norm.weight"),
    ("two stars, no segment or more", "**.weight", "weight a.weight a.b.weight", "a.bias weightx"),
    ("two stars in the middle", "a.**.z", "a.z a.b.z a.b.c.z", "z b.a.z"),
    ("two stars at the end", "module.**", "module module.a module.a.b", "modul x.module"),
    ("a capture is at least one character", "conv{n}.weight", "conv1.weight conv12.weight", "conv.weight"),
    (
        "an integer capture takes digits",
        "layers.{i:int}",
        "layers.0 layers.12.w layers.007",
        "layers.x layers.-1 layers.1a layers.1e3",
    ),
    ("an integer capture in a part", "layer{i:int}.x", "layer1.x layer12.x", "layer.x layerx.x layer1a.x"),
    ("only the digits 0 to 9", "l.{i:int}", "l.3", "l.٣ l.³"),
    ("captured segments may be none", "{p:**}.x", "x a.x a.b.x", "a.xy"),
    ("alternatives", "l.{p:q|k|v}.w", "l.q.w l.k.w", "l.o.w l.qk.w l.w"),
    ("alternatives with a kind's name", "l.{p:int|float}", "l.int l.float", "l.3"),
    ("one alternative in quotes", 'l.{p:"int"}', "l.int", "l.3"),
    ("groups", "(q|k|v)_proj", "q_proj k_proj.weight", "o_proj q_projx _proj"),
    (
        "groups with dots",
        "features.(1.0|2.0|2.1)",
        "features.1.0.w features.2.1",
        "features.1.1 features.2 features.1_0",
    ),
    ("groups with dots inside a segment", "a(0.b|1)c", "a0.bc.w a1c", "a0.b.c ac"),
    ("groups with blanks around", "( q | k ).w", "q.w k.w", "v.w"),
    ("groups with quoted text", "(\"a b\"|c.'d e')", "a␣b.w c.d␣e", "a c.d"),
    ("repeated capture, same text", "{a}.{b}.{a}", "x.y.x x.x.x.z", "x.y.z"),
    ("repeated capture in parts", "l{i:int}.conv{i}", "l1.conv1 l12.conv12", "l1.conv2 l1.conv12"),
    ("repeated capture finds the way that fits", "{a}_{b}.{a}", "x_y_z.x_y x_y.x", "x_y_z.y"),
    ("repeated capture of segments", "{p:**}.x.{p}", "x a.x.a a.b.x.a.b", "a.x.b a.b.x.a"),
    ("repeated capture keeps its alternatives", "{p:1.0|2}.{p}", "1.0.1.0 2.2.w", "1.0.2 2.1.0"),
    ("union", "fc | conv1", "fc.weight conv1.weight", "bn1.weight"),
    ("except", "** except fc | conv1", "bn1.weight a.fc", "fc.weight conv1"),
    ("except takes unions on both sides", "a | b except a.x | b.x", "a.y b.y", "a.x b.x.z"),
    ("except twice", "a except a.x except a.y", "a.z", "a.x a.y b"),
    ("parentheses group", "a | (b except b.x)", "a.x b.y", "b.x"),
    ("parentheses inside except", "** except (a except a.keep)", "a.keep.w b", "a.w"),
    ("a guard binds last", 'a | b if key != "a.x"', "a.y b.x", "a.x c"),
    ("a guard inside parentheses", 'a | (b if key == "b.x")', "a.x b.x", "b.y"),
    ("comments and blanks", "a |  # first\n  b", "a b", "c"),
]


@pytest.mark.parametrize(("selector", "taken", "left"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_selector_takes(selector: str, taken: str, left: str, select: Select) -> None:
    taken_keys, left_keys = _keys(taken), _keys(left)
    assert select(selector, taken_keys + left_keys) == taken_keys


def _keys(text: str) -> list[str]:
    """Keys between blanks; a blank inside a key is written as ␣."""
    return [key.replace("␣", " ") for key in text.split(" ") if key]


def test_a_module_and_what_is_below_it_are_the_same_keys(select: Select) -> None:
    keys = "module module.a module.b.c modules.x a.module"
    assert select("module", keys) == select("module.**", keys) == ["module", "module.a", "module.b.c"]


# (concept, selector, key, captures, stars, groups, how many segments)
TAKEN = [
    ("digits stay as they stand", "l.{i:int}", "l.007.w", {"i": "007"}, (), (), 2),
    ("a star in a part", "conv*.x", "conv12.x", {}, ("12",), (), 2),
    ("an empty star", "conv*.x", "conv.x", {}, ("",), (), 2),
    ("two stars take as little as they can", "**.a", "b.a.a", {}, ("b",), (), 2),
    ("the topmost part counts", "**.norm", "norm.x.norm", {}, ("",), (), 1),
    ("two stars at the end take nothing", "a.**", "a.b.c", {}, ("",), (), 1),
    ("of two, the left is the shorter", "**.a.**.b", "x.a.y.a.b", {}, ("x", "y.a"), (), 5),
    ("captured segments are dotted", "{p:**}.w", "a.b.w", {"p": "a.b"}, (), (), 3),
    ("captured segments may be empty", "{p:**}.w", "w", {"p": ""}, (), (), 1),
    ("groups by number", "(q|k|v).(w|b)", "v.b", {}, (), (2, 1), 2),
    ("a group with dots", "f.(1.0|2)", "f.1.0.w", {}, (), (0,), 3),
    ("alternatives as text", "{p:q|k}", "k.w", {"p": "k"}, (), (), 1),
    ("a part as short as it can be", "{a}_{b}", "x_y_z", {"a": "x", "b": "y_z"}, (), (), 1),
]


@pytest.mark.parametrize("row", TAKEN, ids=[row[0] for row in TAKEN])
def test_what_is_captured(row: tuple) -> None:
    _, selector, key, captures, stars, groups, end = row
    match = Pattern.of_text(selector).match(key.split("."))
    assert match is not None
    assert (match.captures, match.stars, match.groups, match.end) == (captures, stars, groups, end)
    assert match.rest == tuple(key.split(".")[end:])


CLASSES = {
    "": "Net",
    "features": "Sequential",
    "features.0": "Conv2d",
    "features.1": "BatchNorm2d",
    "head": "Linear",
}


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ("**[BatchNorm2d]", ["features.1.weight"]),
        ("features.**[Conv2d|Linear].weight", ["features.0.weight"]),
        ("*[Linear]", ["head.weight"]),
        ("features.*[Conv2d|BatchNorm2d]", ["features.0.weight", "features.1.weight"]),
        ("features[Sequential].1", ["features.1.weight"]),
        ("features[Linear].1", []),
        ("{name}[Linear].weight", ["head.weight"]),
        ("{p:**}[Conv2d].weight", ["features.0.weight"]),
        ("(head|features)[Linear]", ["head.weight"]),
    ],
)
def test_types_ask_for_the_class_of_the_module_there(selector: str, taken: list[str], select: Select) -> None:
    keys = ["features.0.weight", "features.1.weight", "head.weight"]
    types = lambda path, names: CLASSES.get(".".join(path)) in names  # noqa: E731
    assert select(selector, keys, types=types) == taken


def test_without_modules_a_type_matches_nothing(select: Select) -> None:
    assert select("**[Linear]", ["head.weight"]) == []


ABOUT = {
    "layers.3.w": Facts("layers.3.w", Spec((64, 3, 7, 7), DTYPES["float32"]), "parameter"),
    "layers.12.b": Facts("layers.12.b", Spec((64,), DTYPES["bfloat16"]), "parameter"),
    "layers.30.n": Facts("layers.30.n", Spec((), DTYPES["int64"]), "buffer"),
}


@pytest.mark.parametrize(
    ("guard", "taken"),
    [
        ("ndim == 4", "3"),
        ("ndim != 4", "12 30"),
        ("ndim < 1 or ndim > 1", "3 30"),
        ("ndim > 0 and shape[0] == 64", "3 12"),
        ("ndim > 0 and shape[-1] == 7", "3"),
        ("shape == [64]", "12"),
        ("shape == (64,)", "12"),
        ("shape != [64]", "3 30"),
        ("shape in [[64], [64, 3, 7, 7]]", "3 12"),
        ("7 in shape", "3"),
        ("numel == 1", "30"),
        ("numel // 2 == 32", "12"),
        ("floating", "3 12"),
        ("not floating", "30"),
        ("dtype == int64", "30"),
        ("dtype != int64", "3 12"),
        ("dtype in [int64, bfloat16]", "12 30"),
        ("dtype not in [int64, bfloat16]", "3"),
        ("kind == buffer", "30"),
        ("kind == parameter", "3 12"),
        ('key == "layers.3.w"', "3"),
        ("8 <= i < 24", "12"),
        ("i % 2 == 1", "3"),
        ("i in [3, 30]", "3 30"),
        ("i * 2 + 1 == 7", "3"),
        ("i - 3 >= 9 and not i / 2 == 15", "12"),
        ("-i < -3", "12 30"),
        ("(ndim == 4 or floating) and i != 3", "12"),
        ("not ndim == 4 and floating", "12"),
        ("True", "3 12 30"),
        ("False", ""),
    ],
)
def test_guards(guard: str, taken: str, select: Select) -> None:
    selector = f"layers.{{i:int}} if {guard}"
    assert [key.split(".")[1] for key in select(selector, list(ABOUT), ABOUT)] == taken.split()


def test_a_capture_has_one_kind_in_all_branches_and_behind_except(select: Select) -> None:
    assert select("a.{i:int} | b.{i} if i > 3", "a.4 b.5 a.2 b.x") == ["a.4", "b.5"]


def test_a_selector_may_be_optional() -> None:
    assert parse_selector(Text.plain("optional b | c")).items[0].optional
    assert not parse_selector(Text.plain("optional.b | c")).items[0].optional
    assert str(parse_selector(Text.plain("optional")).items[0].selector) == '"optional"'
