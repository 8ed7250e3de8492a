"""`surgery fmt`: the form of recipe files; what they mean stays, and so do comments."""

from __future__ import annotations

import re

import pytest

from surgery.diagnostics import SurgeryError
from surgery.document.nodes import plain
from surgery.document.parse import parse_document
from surgery.formatting import SCHEMA_LINE, format_recipe
from surgery.lang import parse_rules
from surgery.library import shipped
from surgery.recipe import Recipe
from surgery.text import Text

UGLY = """\
# The recipe of my dreams.

# out it goes
output:   out.pth   \r
steps:
  # all of them
  - rename: |   # a block
      # names
      module.{i}  -> blocks.{i}   # `->` in a comment
      optional module.head      →    fc     # the head

      a -> b
      "c -> d"  ->  e, f -> g
      very.long.key.that.has.no.end.and.no.beginning -> h
      x ->
        y
      q -> s via rearrange("a b -> b a")
      qkv   -> t via chunk
  - convert:
      rules:
        - |
          a -> b
          ccc -> d
        - "e   ->   f"
      rest: drop
  - load:
      from: {checkpoint: x}
      steps:
        - rename: |
            a -> b
            long.name -> c
  - set: |
      **[BatchNorm2d] -> eps=1e-3, momentum=0.1
      x -> inplace=True
    note: |
      a -> b
      longer -> c



  - rename: >
      a -> b,
      longer -> c
# the seed
seed: 3
name: dreams
tests: |
  a -> b\x20\x20


surgery: 1
# the end

"""


def rules_blocks(text: str) -> str:
    """Blanks beside arrows, and at line ends, as one."""
    return re.sub(r"[ \t]*(->|→)[ \t]*", r" \1 ", re.sub(r"[ \t]+(#.*)?$", "", text, flags=re.MULTILINE)).rstrip()


def same(before, after) -> bool:
    """Whether two documents mean the same: equal but for the blanks in texts with arrows."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(same(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, str) and isinstance(after, str) and "\n" in before:
        return rules_blocks(before) == rules_blocks(after)
    return repr(before) == repr(after)


def test_an_ugly_recipe(golden):
    formatted = format_recipe(UGLY)
    golden("recipe/formatted", formatted)
    assert format_recipe(formatted) == formatted
    assert same(plain(parse_document(UGLY, "x")), plain(parse_document(formatted, "x")))
    assert sorted(re.findall("#.*", UGLY)) == sorted(re.findall("#.*", formatted.split("\n", 1)[1]))


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_recipes(name):
    before = Recipe.read(name)
    formatted = format_recipe(before.text)
    assert formatted.startswith(SCHEMA_LINE + "\n")
    assert format_recipe(formatted) == formatted
    after = Recipe.of_text(formatted)
    assert same(plain(before.document), plain(after.document))
    assert [step.name for step in before.steps] == [step.name for step in after.steps]


def test_mutants(mutants):
    count = 0
    for text in mutants(7, 2500):
        try:
            before = plain(parse_document(text, "x"))
        except SurgeryError:
            continue
        count += 1
        formatted = format_recipe(text)
        assert same(before, plain(parse_document(formatted, "x"))), text
        assert format_recipe(formatted) == formatted, text
        assert sorted(text.split()) == sorted(formatted.replace(SCHEMA_LINE, "", 1).split())
    assert count > 500


@pytest.mark.parametrize(
    "text",
    [
        "name: x\n# yaml-language-server: $schema=../docs/recipe.schema.json\nsteps: []\n",
        "#yaml-language-server: $schema=https://example.org/schema.json\nname: x\n",
    ],
)
def test_a_schema_line_that_is_there_stays(text):
    assert format_recipe(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "steps: &s []\nname: *x\n".replace("*x", "x"),
        "---\nsteps: []\nname: x\n",
        "steps: []\nname: |+\n  x\n\n\n",
        "steps: []\nname: |\n  x",
        "{steps: [], name: x}\n",
        '- rename: "a -> b"\n',
        "? steps\n: []\n? name\n: x\n",
    ],
)
def test_where_order_is_left_alone(text):
    assert format_recipe(text) == f"{SCHEMA_LINE}\n{text}"


def test_line_ends_inside_texts_stay():
    text = f"{SCHEMA_LINE}\nname: 'a  \n\n\n  b'\ndescription: |2\n    x   \n\n\n   y\ntests: \"a \\\n  b\"\n"
    assert format_recipe(text) == text


def test_aligned_rules_are_the_same_rules():
    text = UGLY.split("|   # a block\n")[1].split("  - convert")[0]
    formatted = format_recipe(f"- rename: |\n{text}").split("|\n")[1]
    assert parse_rules(Text.plain(text), "key") == parse_rules(Text.plain(formatted), "key")


def test_what_is_no_yaml_is_refused():
    with pytest.raises(SurgeryError):
        format_recipe("a: **.b", "recipe.yaml")
