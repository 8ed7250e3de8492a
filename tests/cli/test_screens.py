"""Every screen, as it is."""

import json

import pytest
import torch

from surgery.cli.commands import COMMANDS
from surgery.cli.main import command

SCREENS = {
    "plan": "plan recipe.yaml -p weights=model.safetensors",
    "plan_all": "plan recipe.yaml -p weights=model.safetensors --all",
    "run": "run recipe.yaml -p weights=model.safetensors -o result.safetensors",
    "check": "check recipe.yaml",
    "show": "show recipe.yaml",
    "inspect": "inspect model.safetensors",
    "inspect_depth": "inspect model.safetensors --depth 1",
    "inspect_list": "inspect model.safetensors --list",
    "match_few": "match 'module.{name}.weight' model.safetensors",
    "match_many": "match 'module.blocks.{i:int}.*.(weight|bias)' model.safetensors",
    "match_guard": "match '**.{last} if ndim == 2 and last != \"weights\"' model.safetensors",
    "match_rename": "match 'module.blocks.{i:int} -> layers.{i + 1}' model.safetensors",
    "match_convert": "match 'module.blocks.{i}.attn.qkv -> l.{i}.(q|k|v) via chunk(dim=0)' model.safetensors",
    "match_layer": "match 'module.head -> Linear(8, 4)' model.safetensors",
    "match_cast": "match --step cast '**.norm -> float16' model.safetensors",
    "apply": "apply model.safetensors plain.safetensors -e 'rename: \"module.** -> **\"'",
    "apply_plan": "apply model.safetensors plain.safetensors -e 'filter: {keep: module.head}' --plan",
    "explain_result": "explain layer.3.query.weight recipe.yaml -p weights=model.safetensors",
    "explain_source": "explain module.blocks.3.attn.qkv.weight recipe.yaml -p weights=model.safetensors",
    "explain_dropped": "explain module.steps recipe.yaml -p weights=model.safetensors",
    "explain_code": "explain unused-rule",
    "explain_step": "explain rename",
    "explain_operation": "explain chunk",
    "explain_source_kind": "explain checkpoint",
    "help": "--help",
    "help_run": "run --help",
    "help_apply": "apply --help",
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen(name, place, surgery, golden):
    golden(f"cli/{name}", surgery(SCREENS[name]))


IMPORTS = {
    "import_dict": "import dict:keys.py#KEYS -o imported.yaml",
    "import_texts": 'import \'replace:{"blocks": "layers"}\'',
    "import_left_out": 'import \'revise_keys:[["(a+)b", "c"], ["^module[.]", ""]]\'',
    "import_no_kind": "import dicts:keys.py",
    "import_no_literal": "import dict:keys.py#MADE",
}


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import(name, place, surgery, golden):
    (place / "keys.py").write_text("KEYS = {'a.0': 'b.0', 'a.1': 'b.1'}\nMADE = {'a': str(1)}\n")
    golden(f"cli/{name}", surgery(IMPORTS[name]))


def test_an_import_overwrites_nothing_unasked(place, surgery):
    line = 'import \'dict:{"a": "b"}\' -o recipe.yaml'
    assert "output-exists" in surgery(line)
    assert surgery(f"{line} --force").endswith("--- exit 0\n")


def test_a_narrow_terminal(place, surgery, golden):
    golden("cli/plan_60_columns", surgery(SCREENS["plan"], COLUMNS="60"))


def test_several_recipes(place, surgery, golden):
    (place / "wrong.yaml").write_text('steps:\n  - renmae: "a -> b"\n  - filter: {keep: "a..b"}\n')
    golden("cli/check_several", surgery("check recipe.yaml wrong.yaml missing.yaml"))


def test_one_more_step_than_fits_is_counted(place, surgery):
    """Rules of a long plan show their first lines and say how many they leave out; `--all` shows them."""
    line = SCREENS["plan"]
    short, full = surgery(line), surgery(f"{line} --all")
    assert len(full) >= len(short)
    assert "more such lines" not in full


def test_formatting(place, surgery, golden):
    (place / "loose.yaml").write_text("steps:\n- rename: |\n    a -> b\n    longer -> c   \n\n\nname: x\n")
    first = surgery("fmt --check loose.yaml recipe.yaml")
    second, third = surgery("fmt loose.yaml"), surgery("fmt loose.yaml --check")
    golden("cli/fmt", first + second + third + (place / "loose.yaml").read_text())


def test_formatting_reports_what_it_cannot_read(place, surgery, golden):
    (place / "broken.yaml").write_text("steps: [\n")
    golden("cli/errors/fmt", surgery("fmt broken.yaml missing.yaml"))


def test_a_new_recipe(place, surgery, golden):
    said = surgery("new mine --checkpoint model.safetensors")
    again = surgery("new mine --checkpoint model.safetensors")
    both = surgery("new x --checkpoint a --model b")
    swapped = surgery("new model.safetensors")
    golden("cli/new", said + again + both + swapped + (place / "mine.yaml").read_text())
    assert surgery("check mine.yaml").endswith("--- exit 0\n")
    assert surgery("plan mine.yaml").endswith("--- exit 0\n")


def test_a_new_recipe_in_another_directory(place, surgery):
    assert surgery("new sub/mine.yaml --checkpoint model.safetensors").endswith("--- exit 0\n")
    assert 'checkpoint: "../model.safetensors"' in (place / "sub" / "mine.yaml").read_text()
    assert surgery("plan sub/mine.yaml").endswith("--- exit 0\n")


def test_a_new_recipe_for_one_of_several_state_dicts(place, surgery):
    torch.save({"model": {"module.w": torch.ones(2)}, "ema": {"module.w": torch.ones(2)}}, place / "run.pth")
    assert "`--entry model` on the command line" in surgery("new mine.yaml --checkpoint run.pth")
    assert surgery("new mine.yaml --checkpoint run.pth --entry ema").endswith("--- exit 0\n")
    assert "{path: run.pth, entry: ema}" in (place / "mine.yaml").read_text()
    assert surgery("plan mine.yaml").endswith("--- exit 0\n")
    assert "without `--checkpoint`" in surgery("new x --model resnet18 --entry ema")


def test_the_schema_is_json(place, surgery):
    text = surgery("schema").split("\n", 1)[1].removesuffix("--- exit 0\n")
    assert json.loads(text)["$schema"].startswith("http://json-schema.org/draft-07")


def test_lists(place, surgery):
    everything = surgery("list")
    for what in ("recipes", "steps", "operations", "sources"):
        alone = surgery(f"list {what}").split("\n")[1:-2]
        assert alone
        assert all(f"  {one}" in everything for one in alone)
    assert "unused-rule" in surgery("list codes")


def test_shipped_recipes_go_by_name(place, surgery):
    assert "torchvision" in surgery("show efficientnet_lite0")
    source = surgery("show efficientnet_lite0 --source")
    assert "replace_layer: |" in source
    assert surgery("check efficientnet_lite0").endswith("--- exit 0\n")


def test_every_command_says_what_its_line_of_help_says():
    for name, entry in COMMANDS.items():
        found = command.get_command(None, name)
        assert found.name == name
        assert found.help, name
        assert entry.help.endswith(".")


def test_rules_on_a_model_that_a_callable_makes(surgery):
    rule = "match --step replace_layer '3 -> Identity()' python:torchvision.ops:MLP"
    assert "`--allow import:torchvision`" in surgery(rule)
    found = surgery("match '**[Linear]' python:torchvision.models:squeezenet1_0 --allow import:torchvision")
    assert "selects nothing" in found
    assert "classifier.1.weight" in surgery(
        "match 'classifier.*[Conv2d]' python:torchvision.models:squeezenet1_0 --allow import:torchvision"
    )


def test_a_step_is_no_recipe_and_is_explained(surgery):
    assert "`surgery explain rename` explains the step" in surgery("show rename")


def test_rules_and_selectors_on_a_model(place, surgery, golden):
    chosen = surgery("match '**[BatchNorm2d].bias if n >= 3' resnet18")
    assert "guard" in chosen
    lines = ("match 'layer{n:int}.0.**[BatchNorm2d].bias if n >= 3' torchvision:resnet18",)
    lines += ("match 'fc -> Linear(old.in_features, 10), conv1 -> Conv2d(4, 64, ...)' resnet18",)
    lines += ("match --step set '**[BatchNorm2d] -> eps=1e-3' resnet18",)
    golden("cli/match_model", "\n".join(map(surgery, lines)))
