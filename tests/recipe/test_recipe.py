"""Recipes: read, refused with everything that is wrong at once, bound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surgery.diagnostics import SurgeryError
from surgery.library import shipped
from surgery.params import arguments
from surgery.recipe import Recipe

MISTAKES = {
    "words": """
surgery: 1
nmae: x
sources: {a: {checkpoint: a.pth}}
source: {checkpoint: b.pth}
seed: zero
steps:
  - renmae: "a -> b"
  - rename: "a -> b"
    filter: {drop: a}
  - note: only a note
  - rename
  - rename: 3
  - filter: {kep: a}
  - load: {missing: fc}
  - rename: {rules: "a -> b", rest: kept}
  - "rename a -> b"
output: {pth: out}
expect: {kys: 3}
""",
    "rules": """
params: {n: 3, unused: 4}
steps:
  - rename: |
      module.** => **
      layer.{i} -> layer.{j}
      a.(b|c) -> (d|e|f)
  - rename: "x$m -> y"
  - convert: "a -> b via chnk(dim=0)"
  - cast: {rule: "** -> $n"}
  - rename: ["a -> b", {rule: "c -> d", count: many, optinal: true}]
  - filter: {drop: "$ x"}
seed: $seed
""",
    "habits": """
source: {torchvision: resnet50, pretrained: true}
sources:
  a: {torchvision: resnet50, weights: none, num_classes: 10}
  b: {torchvision: resnet50, weights: true}
  c: {torchvision: resnet50, weights: imagenet1k_v2}
  d: {checkpoint: a.pth, entry: ema}
steps:
  - load: a.pth
  - load: {from: {checkpoint: a.pth}, strict: false}
  - rename: {blocks: layers}
  - rename: [{blocks: layers}, {blocks: 3}]
  - cast: bfloat16
  - convert: "w -> (q|k|v) via chunk(3, dim=0)"
""",
    "source": """
source: {torchvison: resnet50, weights: null}
steps: rename
""",
    "two sources": """
source: {checkpoint: a.pth, given: model}
sources: {}
""",
    "no source": "source: 3\n",
    "empty source": "source: {}\n",
    "names of sources": "sources: {a.b: {checkpoint: x}, c: {checkpont: y}, d: [1]}\n",
    "format": "surgery: 2\n",
    "format as text": 'surgery: "1"\n',
    "format true": "surgery: true\n",
    "scalar": "rename\n",
    "empty": "# nothing\n",
    "params": "params: {a: {type: int}, b: 3}\nseed: $a\nname: [x]\n",
    "seed": "seed: -1\n",
    "outputs": "output: [a.pth, {path: b.pth, overwrite: maybe}, {format: torch}, 3, '']\n",
    "steps": "steps: {rename: a -> b}\nexpect: 3\n",
}


def message(call) -> str:
    with pytest.raises(SurgeryError) as caught:
        call()
    assert caught.value.exit_code in (2, 3)
    return str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, golden):
    golden(f"recipe/{name.replace(' ', '_')}", message(lambda: Recipe.of_text(MISTAKES[name], "recipe.yaml")))


def test_warnings_come_along():
    recipe = Recipe.of_text("params: {a: 1, b: 2}\nseed: $a", "recipe.yaml")
    assert [str(warning) for warning in recipe.warnings] == [
        "recipe.yaml:1:16: warning[parameter]: the parameter `b` is not used\n"
        "   1 | params: {a: 1, b: 2}\n"
        "     |                ^\n"
        "     = `$b` would be its value"
    ]


def test_a_parameter_may_serve_another():
    recipe = Recipe.of_text('params: {a: x, b: {type: string, default: "$a"}}\noutput: $b', "recipe.yaml")
    assert recipe.warnings == ()
    assert "no parameter `c`" in message(
        lambda: Recipe.of_text('params: {b: {type: string, default: "$c"}}\noutput: $b', "recipe.yaml")
    )


def test_bound_values():
    recipe = Recipe.of_text(
        """
        params: {n: 3, weights: {type: path}, out: {type: path, default: o.pth}, do: true}
        seed: $n
        source: {checkpoint: {path: $weights, entry: "epoch$n"}}
        steps:
          - rename: "layer$n -> block"
            when: $do
        output: [$out, {path: "x/$out", overwrite: $do}]
        """,
        "recipe.yaml",
        directory=Path("recipes"),
    )
    bound = recipe.bind(arguments(["n=5", "weights=w.pth"]), Path("caller"))
    assert bound.values == {"n": 5, "weights": "w.pth", "out": "o.pth", "do": True}
    assert bound.seed == 5
    assert (bound.source.checkpoint.path, bound.source.checkpoint.base) == ("w.pth", "caller")
    assert bound.source.checkpoint.entry == "epoch5"
    assert str(bound.steps[0].step.rules[0]) == "layer5 -> block"
    assert [(o.path, o.base, o.overwrite) for o in bound.outputs] == [("o.pth", None, False), ("x/o.pth", None, True)]
    bound = recipe.bind({"weights": Path("w.pth"), "out": "y", "do": False}, Path("caller"))
    assert bound.steps[0].when is False
    assert [(o.path, o.base) for o in bound.outputs] == [("y", "caller"), ("x/y", None)]


def test_values_that_do_not_fit_where_they_are_used():
    recipe = Recipe.of_text("params: {n: x}\nseed: $n", "recipe.yaml")
    assert message(lambda: recipe.bind({})) == (
        "recipe.yaml:2:7: error[wrong-type]: an integer stands here, not the text `x`\n   2 | seed: $n\n     |       ^^"
    )


def test_unknown_values_of_a_recipe_without_parameters():
    recipe = Recipe.of_text("seed: 1")
    assert "no parameter `a`" in message(lambda: recipe.bind({"a": 1}))


def test_short_forms():
    assert [s.name for s in Recipe.of_text('- rename: "a -> b"\n- unwrap: true').steps] == ["rename", "unwrap"]
    recipe = Recipe.of_text("seed: 3", "some/moco.yaml")
    assert (recipe.name, recipe.steps, recipe.bind({}).outputs) == ("moco", (), ())


def test_a_dollar_in_texts_for_people():
    recipe = Recipe.of_text("name: $5\ndescription: costs $5\nparams: {a: {type: integer, help: in $}}\nseed: $a")
    assert (recipe.name, recipe.description, recipe.params["a"].help) == ("$5", "costs $5", "in $")


def test_recipes_built_in_python():
    recipe = Recipe.of_data({"steps": [{"rename": ("a -> b", "c -> d")}], "output": Path("x") / "y.pth"})
    assert len(recipe.steps[0].step.rules) == 2
    assert recipe.text == 'steps:\n  - rename:\n      - "a -> b"\n      - "c -> d"\noutput: x/y.pth\n'
    assert [step.name for step in Recipe.of_data([{"unwrap": True}]).steps] == ["unwrap"]
    assert message(lambda: Recipe.of_data({"steps": [{"rename": "a => b"}]})).startswith("<recipe>:2:16: error[")


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("moco.yaml").write_text('steps: [{rename: "a -> b"}]', encoding="utf-8")
    Path("latin.yaml").write_bytes(b"name: caf\xe9")
    Path("large.yaml").write_bytes(b"#" * 4_100_000)
    os.mkfifo("pipe.yaml")
    recipe = Recipe.read("moco.yaml")
    assert (recipe.display, recipe.directory, recipe.name) == ("moco.yaml", Path(), "moco")
    assert Recipe.read(tmp_path / "moco.yaml").directory == tmp_path
    assert "did you mean `moco.yaml`?" in message(lambda: Recipe.read("mocco.yaml"))
    assert "did you mean `depth_upscale`?" in message(lambda: Recipe.read("depth_upscal"))
    assert "error[yaml]: the byte 0xE9 is not UTF-8" in message(lambda: Recipe.read("latin.yaml"))
    assert "error[too-large]" in message(lambda: Recipe.read("large.yaml"))
    assert "is a pipe" in message(lambda: Recipe.read("pipe.yaml"))
    assert "is a directory" in message(lambda: Recipe.read("."))
    assert "error[no-file]" in message(lambda: Recipe.read("a\0b"))


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_recipes_are_right(name):
    recipe = Recipe.read(name)
    assert recipe.warnings == ()
    assert recipe.description
    # what it writes belongs to the caller, and not into the package
    assert recipe.directory == Path.cwd()


def test_reading_imports_no_torch():
    code = (
        "import sys\nfrom surgery.recipe import Recipe\nfrom surgery.library import shipped\n"
        "for name in shipped(): Recipe.read(name)\n"
        "print([m for m in ('torch', 'numpy', 'jsonschema', 'torchvision') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_checkpoint_is_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.pt").write_bytes(b"PK\x03\x04\0\0\x80" * 2_000_000)
    with pytest.raises(SurgeryError) as caught:
        Recipe.read("model.pt")
    assert str(caught.value) == (
        "error[yaml]: `model.pt` is no recipe: it is not text\n"
        "     = `surgery inspect model.pt` shows what a checkpoint holds"
    )
