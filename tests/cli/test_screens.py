"""Every screen, as it is."""

import pytest

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
