"""A record is a claim: what is not of its form is refused, whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgery.provenance.record import (
    BadRecord,
    FileRecord,
    Listing,
    RecipeRecord,
    Record,
    SourceRecord,
    parse_record,
    text_digest,
)

SHA = "0123456789abcdef" * 4
SOURCE = SourceRecord("m/a.pth", Listing(3, SHA), "torch", (FileRecord("a.pth", 5, SHA), FileRecord("b", 0)))
TEXT = "output: é.pt\r\n"
INCLUDED = (RecipeRecord("a.yaml", SHA), RecipeRecord("github:o/r//b.yaml@v1", SHA, "0" * 40))
RECORD = Record(TEXT, text_digest(TEXT), Listing(3, SHA), {"n": [1, None]}, {"surgery": "1"}, (SOURCE,), INCLUDED)


def test_there_and_back():
    text = RECORD.to_text()
    assert text.isascii()
    assert "\n" not in text
    assert parse_record(text) == RECORD
    assert parse_record(text).to_text() == text


def damaged(change):
    data = RECORD.to_json()
    change(data)
    return json.dumps(data)


def nested(count):
    found = {}
    for _ in range(count):
        found = {"": found}
    return found


WRONG = {
    "no JSON": "{",
    "another kind of JSON": "[1]",
    "a number that is none": '{"version": NaN}',
    "a name twice": '{"version": 1, "version": 1}',
    "nested": "[" * 100_000 + "]" * 100_000,
    "a huge number": '{"version": ' + "9" * 10_000 + "}",
    "lone surrogates": '{"\\ud800": 1}',
    "a later version": damaged(lambda data: data.update(version=2)),
    "version as a boolean": damaged(lambda data: data.update(version=True, recipe=None)),
    "no recipe": damaged(lambda data: data.pop("recipe")),
    "a recipe that is no text": damaged(lambda data: data["recipe"].update(text=3)),
    "escapes of a terminal": damaged(lambda data: data["recipe"].update(text="a: \x1b]0;owned\x07")),
    "a null": damaged(lambda data: data["recipe"].update(text="a\0b")),
    "a recipe of a megabyte and more": damaged(lambda data: data["recipe"].update(text="#" * 1_000_001)),
    "a digest that is none": damaged(lambda data: data["recipe"].update(sha256="../../etc/passwd")),
    "parameters that are a list": damaged(lambda data: data.update(params=[])),
    "a version that is a number": damaged(lambda data: data.update(versions={"torch": 2})),
    "sources that are a mapping": damaged(lambda data: data.update(sources={})),
    "a source that is none": damaged(lambda data: data.update(sources=[3])),
    "a place that is none": damaged(lambda data: data["sources"][0].update(place=None)),
    "a size below nothing": damaged(lambda data: data["sources"][0]["files"][0].update(size=-1)),
    "a size that is a boolean": damaged(lambda data: data["sources"][0]["files"][0].update(size=True)),
    "a count that is a fraction": damaged(lambda data: data["result"].update(tensors=1.5)),
    "a recipe without a digest": damaged(lambda data: data["included"][0].pop("sha256")),
    "a commit that is a number": damaged(lambda data: data["included"][1].update(commit=3)),
    "an earlier record without a bottom": damaged(lambda data: data["sources"][0].update(made_by=nested(250))),
    "an earlier record that is text": damaged(lambda data: data["sources"][0].update(made_by="me")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_record(name):
    with pytest.raises(BadRecord):
        parse_record(WRONG[name])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(["recipe", "params", "versions", "sources", "result", "included"]), json_values)
def test_anything_in_the_place_of_a_part(name, value):
    try:
        found = parse_record(damaged(lambda data: data.update({name: value})))
    except BadRecord:
        return
    assert parse_record(found.to_text()) == found
