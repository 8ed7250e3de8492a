"""`surgery new`: what it writes can be read, checked and formatted, whatever the names are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgery.document.nodes import plain
from surgery.formatting import SCHEMA_LINE, format_recipe
from surgery.recipe import Recipe
from surgery.scaffold import new_recipe
from surgery.testing.running import try_recipe

MODEL = {"torchvision": "resnet50", "weights": "DEFAULT"}
TENSORS = {"conv1.weight": (64, 3, 7, 7), "bn1.running_mean": (64,), "fc.weight": (10, 64), "fc.bias": (10,)}
CASES = {
    "bare": {},
    "model": {"source": MODEL},
    "model with tensors": {"source": MODEL, "tensors": TENSORS},
    "model without a head": {"source": MODEL, "tensors": {"conv1.weight": (64, 3, 7, 7)}},
    "checkpoint": {"source": {"checkpoint": "a $b.pth"}, "tensors": TENSORS},
    "wrapped": {"source": {"checkpoint": "a.pth"}, "tensors": {f"module._orig_mod.{k}": s for k, s in TENSORS.items()}},
    "many": {"source": {"checkpoint": "a.pth"}, "tensors": {f"k{number}.weight": (1,) for number in range(40)}},
    "odd": {"source": {"checkpoint": "a.pth"}, "tensors": {"if": (1,), "a b.c": (1,), "**": (1,)}},
}


def test_new_recipes(golden):
    golden("recipe/new", "\n".join(f">>> {name}\n{new_recipe('my/net', **case)}" for name, case in CASES.items()))


@pytest.mark.parametrize("name", CASES)
def test_a_new_recipe_is_right(name):
    text = new_recipe("net", **CASES[name])
    recipe = Recipe.of_text(text)
    assert recipe.warnings == ()
    assert text.startswith(SCHEMA_LINE)
    assert format_recipe(text) == text


@pytest.mark.parametrize("name", CASES)
def test_a_new_recipe_passes_its_own_test(name, tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text(new_recipe("net", **CASES[name]), encoding="utf-8")
    assert [outcome.status for outcome in try_recipe(str(file), frozenset()).outcomes] == ["ok"]


@settings(max_examples=300, deadline=None)
@given(
    name=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
    keys=st.lists(st.text(alphabet="ab.* \"'->{}()|$#,if\\é", min_size=1, max_size=8), max_size=5),
)
def test_any_name_and_any_keys(name, keys):
    text = new_recipe(name, source={"checkpoint": name}, tensors=dict.fromkeys(keys, (2, 2)))
    recipe = Recipe.of_text(text)
    assert plain(recipe.document)["name"] == name
    assert recipe.bind({}).source.checkpoint.path == name
