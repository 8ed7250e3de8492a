"""What is wrong with `tests` is found where the recipe is read, like everything else that is wrong with it."""

from __future__ import annotations

import pytest

from surgery.diagnostics import SurgeryError
from surgery.fields.specs import expanded
from surgery.formatting import format_recipe
from surgery.recipe import Recipe

HEAD = "params: {model: {type: path}}\nsource: {checkpoint: $model}\ntests:\n"
MISTAKES = {
    "no list": "tests: {name: a}",
    "no name": f"{HEAD}  - expect: {{keys: 1}}",
    "a word that means nothing": f"{HEAD}  - {{name: a, expects: {{keys: 1}}}}",
    "two of one name": f"{HEAD}  - {{name: a}}\n  - {{name: a}}",
    "no such parameter": f"{HEAD}  - {{name: a, params: {{modle: x}}}}",
    "a parameter in it": f'{HEAD}  - {{name: a, files: {{in.pth: {{checkpoint: "$model"}}}}}}',
    "no such error": f"{HEAD}  - {{name: a, error: unused-rules}}",
    "a result and an error": f"{HEAD}  - {{name: a, error: unused-rule, expect: {{keys: 1}}}}",
    "a file elsewhere": f"{HEAD}  - {{name: a, files: {{../in.pth: {{keys: {{w: [1]}}}}}}}}",
    "an absolute file": f"{HEAD}  - {{name: a, files: {{/in.pth: {{keys: {{w: [1]}}}}}}}}",
    "a file in the home directory": f"{HEAD}  - {{name: a, files: {{~/in.pth: {{keys: {{w: [1]}}}}}}}}",
    "no source": f"{HEAD}  - {{name: a, files: {{in.pth: {{entry: x}}}}}}",
    "a source and json": f"{HEAD}  - {{name: a, files: {{in.pth: {{source: {{keys: {{w: [1]}}}}, json: 3}}}}}}",
    "a source beside other words": f"{HEAD}  - {{name: a, files: {{in.pth: {{keys: {{w: [1]}}, entry: x}}}}}}",
    "a shape": f"{HEAD}  - {{name: a, expect: {{keys: {{w: 3, v: [-1], u: {{shape: [1], dtype: fp16}}}}}}}}",
    "a key twice": f'{HEAD}  - {{name: a, expect: {{keys: {{a.w: [1], "(a|b).w": [1], "a..b": [1]}}}}}}',
    "too many keys": f'{HEAD}  - {{name: a, expect: {{keys: {{"(0..999).(0..999)": [1]}}}}}}',
    "no key": f'{HEAD}  - {{name: a, expect: {{keys: {{"a.(3..1)": [1]}}}}}}',
    "a part of an output": "expect: {parity: {like: {given: x}, input: [1], output: [a, b, c]}}",
    "an input": "expect: {parity: {like: {given: x}, input: [{shape: [2], below: 0}]}}",
}


def test_mistakes(golden):
    found = []
    for name, text in MISTAKES.items():
        with pytest.raises(SurgeryError) as caught:
            Recipe.of_text(text, "recipe.yaml")
        found.append(f">>> {name}\n{caught.value}\n")
    golden("cases/mistakes", "\n".join(found))


def test_parameters_of_cases_do_not_count_as_uses():
    recipe = Recipe.of_text("params: {n: 3}\nsteps: []\ntests: [{name: a, params: {n: 4}}]")
    assert [warning.message for warning in recipe.warnings] == ["the parameter `n` is not used"]


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("a.b", ["a.b"]),
        ("a.(0..2)", ["a.0", "a.1", "a.2"]),
        ("(a|b).(9..10)", ["a.9", "a.10", "b.9", "b.10"]),
        ("l.(0|3..4).w", ["l.0.w", "l.3.w", "l.4.w"]),
        ("a(|_bias)", ["a", "a_bias"]),
        ('"a.(b|c)"', ["a.(b|c)"]),
    ],
)
def test_keys_that_a_pattern_stands_for(pattern, keys):
    assert list(expanded(pattern)) == keys


def test_rules_in_cases_are_formatted():
    text = """\
steps: []
tests:
  - name: a
    files:
      a.pth:
        source: {keys: {w: [1]}}
        steps:
          - rename: |
              w -> x
              longer    -> y
"""
    assert "w      -> x\n              longer -> y" in format_recipe(text)
