"""Fields of dataclasses, read from documents and described as schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest

from surgery.document.parse import parse_document
from surgery.fields import (
    OPEN,
    Declared,
    Reader,
    anything,
    boolean,
    either,
    fields_of,
    integer,
    key,
    list_of,
    main,
    mapping_of,
    number,
    one_of,
    option,
    rules,
    selection,
    string,
)
from surgery.fields.schema import fields_schema


@dataclass(frozen=True)
class Sample:
    """A sample."""

    count: Any = main(integer, help="how many")
    rate: Any = option(number)
    flag: Any = option(boolean, default=False)
    mode: Any = option(one_of("train", "eval"))
    names: Any = option(list_of(string), default=())
    by_name: Any = option(mapping_of(integer))
    size: Any = option(either(integer, one_of("auto")))
    from_: Any = option(key)
    extra: Any = option(anything)


PARAMETERS = {
    "n": Declared("n", 3),
    "s": Declared("s", "x", "caller"),
    "open": Declared("open"),
    "b": Declared("b", True),
}


def read(text: str, cls: type = Sample):
    reader = Reader(PARAMETERS)
    return (
        reader.fields(cls, parse_document(text, "r.yaml")),
        [str(d).split("\n")[0] for d in reader.diagnostics],
        reader,
    )


def test_all_kinds():
    found, errors, _ = read(
        "{count: 3, rate: 1, flag: true, mode: eval, names: [a, b], by_name: {x: 1}, size: auto, from: a.b, "
        "extra: {k: [1, null, $n, 'a$s']}}"
    )
    assert errors == []
    assert (found.count, found.rate, found.flag, found.mode, found.names) == (3, 1.0, True, "eval", ("a", "b"))
    assert [(name, value) for _, name, value in found.by_name] == [("x", 1)]
    assert (found.size, found.from_, found.extra) == ("auto", "a.b", {"k": [1, None, 3, "ax"]})


def test_the_main_field_alone():
    assert read("3")[0] == Sample(3)
    assert read("$n")[0] == Sample(3)
    assert read("{count: 3, names: a}")[0] == Sample(3, names=("a",))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", "r.yaml:1:1: error[wrong-type]: an integer stands here, not the text `x`"),
        ("true", "r.yaml:1:1: error[wrong-type]: an integer stands here, not true"),
        ("[1]", "r.yaml:1:1: error[wrong-type]: an integer stands here, not a list"),
        ("$s", "r.yaml:1:1: error[wrong-type]: an integer stands here, not the text `x`"),
        ("{rate: 1}", "r.yaml:1:1: error[missing-word]: `count` is missing here: how many"),
        ("{count: 1, rate: fast}", "r.yaml:1:18: error[wrong-type]: a number stands here, not the text `fast`"),
        ("{count: 1, rat: 1}", "r.yaml:1:12: error[unknown-word]: `rat` means nothing here"),
        ("{count: 1, from_: a}", "r.yaml:1:12: error[unknown-word]: `from_` means nothing here"),
        (
            "{count: 1, mode: evil}",
            "r.yaml:1:18: error[wrong-type]: `train` or `eval` stands here, not the text `evil`",
        ),
        ("{count: 1, names: [a, 2]}", "r.yaml:1:23: error[wrong-type]: a text stands here, not the number 2"),
        ("{count: 1, by_name: [1]}", "r.yaml:1:21: error[wrong-type]: a mapping stands here"),
        ("{count: 1, size: x}", "r.yaml:1:18: error[wrong-type]: an integer stands here, not the text `x`"),
        ("{count: 1, from: a..b}", "r.yaml:1:18: error[wrong-type]: a key stands here, not the text `a..b`"),
        ("{count: $m}", "r.yaml:1:9: error[parameter]: there is no parameter `m`"),
        ("{count: 1, from: 'a$'}", "r.yaml:1:20: error[parameter]: a dollar sign stands alone"),
        ("{count: 1, names: 'x${m}y'}", "r.yaml:1:21: error[parameter]: there is no parameter `m`"),
    ],
)
def test_mistakes(text, error):
    found, errors, _ = read(text)
    assert found is None
    assert errors == [error]


def test_parameters_in_text():
    found, errors, reader = read("{count: $n, names: ['$s$s', '$${s}', '${s}1', '$n$b', '$$'], extra: $s}")
    assert errors == []
    assert found.names == ("xx", "${s}", "x1", "3true", "$")
    assert reader.used == {"n", "s", "b"}


def test_what_is_open_stays_open():
    found, errors, _ = read(
        "{count: $open, rate: $open, mode: $open, names: [a, 'x$open'], size: $open, extra: [$open]}"
    )
    assert errors == []
    assert [found.count, found.rate, found.mode, found.size] == [OPEN] * 4
    assert found.names == ("a", OPEN)
    assert found.extra == [OPEN]


def test_directories_of_paths():
    reader = Reader(PARAMETERS)
    texts = ["$s/a", "${s}", "a/$s", "plain", "3", "$$s"]
    assert [reader.directory_of(parse_document(text, "r")) for text in texts] == [
        "caller",
        "caller",
        None,
        None,
        None,
        None,
    ]


@dataclass(frozen=True)
class Ruled:
    """With rules."""

    rules: Any = main(rules("key"))
    select: Any = option(selection)


def test_rules_and_selections():
    found, errors, reader = read(
        '{rules: ["a -> b", {rule: "c$n -> d, e -> f", count: 2}], select: [a, "b | c"]}', Ruled
    )
    assert errors == []
    assert [(str(rule), rule.count) for rule in found.rules] == [("a -> b", None), ("c3 -> d", 2), ("e -> f", 2)]
    assert len(found.select.items) == 2
    assert reader.used == {"n"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "r.yaml:1:1: error[rule-syntax]: a rule is missing here"),
        ("3", "r.yaml:1:1: error[wrong-type]: a rule stands here, not the number 3"),
        ("[{count: 2}]", "r.yaml:1:2: error[missing-word]: `rule` is missing here"),
        ('[{rule: "a -> b", count: -1}]', "r.yaml:1:26: error[wrong-type]: a count is not negative"),
        ('{rules: "a -> b", select: []}', "r.yaml:1:27: error[wrong-type]: this list of selectors is empty"),
        ('{rules: "a -> b", select: 3}', "r.yaml:1:27: error[wrong-type]: a selector stands here, not the number 3"),
    ],
)
def test_mistakes_in_rules(text, error):
    assert read(text, Ruled)[1] == [error]


def test_fields_and_their_schema():
    assert [field.name for field in fields_of(Sample)][-2:] == ["from", "extra"]
    validator = jsonschema.Draft7Validator(fields_schema(Sample))
    for right in (3, "$n", {"count": 1, "mode": "$m", "names": ["a"], "by_name": {"x": 2}, "size": "auto"}):
        validator.validate(right)
    for wrong in ("x", [1], {}, {"count": "x"}, {"count": 1, "mode": "evil"}, {"count": 1, "unknown": 1}):
        assert not validator.is_valid(wrong), wrong
