"""The grammar of references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgery.diagnostics import SurgeryError
from surgery.references import REFERENCES
from surgery.references.parse import is_path, parse_reference

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "text",
    [
        "builtin:soup",
        "builtin:vit/timm_to_transformers",
        "pkg:my_recipes/heads/linear.yaml",
        "github:org/repo//clean.yaml",
        "github:org/repo.py//a/b/clean.yaml@v1.2",
        "github:org/repo//clean.yaml@feature/new-head",
        f"github:org/repo//clean.yaml@{COMMIT}",
        "git+https://example.org:8443/team/recipes.git//clean.yaml@v1",
        "git+http://127.0.0.1:8000/recipes//clean.yaml",
        "git+http://localhost/recipes//clean.yaml",
        "git+file:///srv/recipes//a/clean.yaml@main",
        "hf:org/repo/clean.yaml",
        "hf:org/repo/a/clean.yaml@refs/pr/1",
    ],
)
def test_what_is_read_is_what_was_written(text):
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize("kind", list(REFERENCES))
def test_every_kind_has_an_example_that_is_one(kind):
    example = REFERENCES[kind].example
    reference = parse_reference(example)
    assert type(reference) is REFERENCES[kind]
    assert str(reference) == example


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gihub:org/repo//a.yaml", "did you mean `github`?"),
        ("https://github.com/org/repo/blob/v1/a/b.yaml", "did you mean `github:org/repo//a/b.yaml@v1`?"),
        ("github:org//a.yaml", "names no recipe"),
        ("github:org/repo/a.yaml", "the path of the recipe stands behind the repository and two slashes"),
        ("github:org/repo//../a.yaml", "leads out of the repository"),
        ("github:org/repo//a/../../b.yaml", "leads out of the repository"),
        ("github:org/repo//a.yaml@", "is no reference"),
        ("github:org/repo//a.yaml@-x", "is no revision"),
        ("github:org/repo//a.yaml@v1..v2", "is no revision"),
        ("github:org/repo//a.yaml@v1@v2", "is no reference"),
        ("github:../repo//a.yaml", "names no recipe"),
        ("github:--upload-pack=x/repo//a.yaml", "names no recipe"),
        ("git+https:org/repo//a.yaml", "names no recipe"),
        ("git+https://[org/repo//a.yaml", "names no recipe"),
        ("git+https://", "is no reference"),
        ("git+https://user@example.org/repo//a.yaml@v1", "is no reference"),
        ("git+http://example.org/repo//a.yaml", "for servers of this machine alone"),
        ("git+http://127.0.0.1.example.org/repo//a.yaml", "for servers of this machine alone"),
        ("git+file://srv/recipes//a.yaml", "is absolute, and begins with `///`"),
        ("git+ssh://git@example.org/repo//a.yaml", "over ssh: `git+https://…`"),
        ("ext::sh -c x", "there are no references of the kind `ext:`"),
        ("hf:org/clean.yaml", "names no recipe"),
        ("hf:org/repo//clean.yaml", "names no recipe"),
        ("hf:org/repo/../../clean.yaml", "leads out of the repository"),
        ("builtin:", "is no reference"),
        ("builtin:a//b", "names no recipe"),
        ("pkg:one", "names no recipe"),
        ("pkg:one/../../x.yaml", "leads out of the recipes of its package"),
        ("pkg:one//x.yaml", "names no recipe"),
        ("path:a.yaml", "there are no references of the kind `path:`"),
    ],
)
def test_what_names_no_recipe(text, message):
    with pytest.raises(SurgeryError) as caught:
        parse_reference(text)
    assert message in str(caught.value)
    assert {d.code for d in caught.value.diagnostics} == {"reference"}


def test_paths_are_not_parsed():
    assert is_path("a/b c@d.yaml")
    assert is_path("./github:org/repo//a.yaml")
    assert str(parse_reference("../odd name@v1//x.yaml")) == "../odd name@v1//x.yaml"


def test_paths_stand_beside_the_recipe_that_names_them():
    assert str(parse_reference("../b.yaml", beside=parse_reference("recipes/x/a.yaml"))) == "recipes/b.yaml"
    assert str(parse_reference("b.yaml", beside=parse_reference("builtin:vit/a"))) == "builtin:vit/b"
    beside = parse_reference("github:o/r//x/a.yaml@v1")
    assert str(parse_reference("../b.yaml", beside=beside)) == "github:o/r//b.yaml@v1"
    with pytest.raises(SurgeryError, match="leads out of the repository"):
        parse_reference("../../b.yaml", beside=beside)
    with pytest.raises(SurgeryError, match="leads out of the repository"):
        parse_reference("/etc/b.yaml", beside=beside)
    assert str(parse_reference("builtin:soup", beside=beside)) == "builtin:soup"


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_an_error_that_says_why(text):
    codes = set()
    try:
        assert str(parse_reference(text))
    except SurgeryError as error:
        codes = {d.code for d in error.diagnostics}
    assert codes <= {"reference"}
