"""Every usage error, as it is."""

import pytest

ERRORS = {
    "no_command": "",
    "unknown_command": "rnu recipe.yaml",
    "unknown_command_far": "frobnicate",
    "recipe_as_command": "recipe.yaml",
    "checkpoint_as_command": "model.safetensors",
    "unknown_option": "run recipe.yaml --forse",
    "unknown_option_far": "check recipe.yaml --zzz",
    "missing_argument": "run",
    "missing_arguments": "check",
    "too_many": "inspect model.safetensors b c",
    "option_without_value": "run recipe.yaml -o",
    "not_a_number": "inspect model.safetensors --depth deep",
    "not_a_choice": "list stepz",
    "param_without_value": "run recipe.yaml -p weights",
    "param_twice": "run recipe.yaml -p dtype=float16 -p dtype=bfloat16",
    "param_unknown": "run recipe.yaml -p weigths=model.safetensors",
    "param_missing": "run recipe.yaml",
    "param_unfit": "run recipe.yaml -p weights=model.safetensors -p dtype=bfloat",
    "no_recipe": "run recipi.yaml",
    "no_checkpoint": "inspect mdel.safetensors",
    "no_model": "match fc resnet5O",
    "no_entry": "match fc model.safetensors --entry ema",
    "match_nothing": "match modul.head model.safetensors",
    "match_syntax": "match 'a.{b' model.safetensors",
    "match_step_without_arrow": "match --step cast a model.safetensors",
    "match_collision": "match 'module.blocks.*.norm.{k} -> norm.{k}' model.safetensors",
    "explain_unknown": "explain conver",
    "explain_unknown_key": "explain head.wieght recipe.yaml -p weights=model.safetensors",
    "apply_wrong_step": "apply model.safetensors x.safetensors -e 'rename: \"modul -> x\"' -e 'cast: \"** -> half\"'",
    "apply_no_format": "apply model.safetensors x.bin2",
    "no_output": "run bare.yaml",
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error(name, place, surgery, golden):
    (place / "bare.yaml").write_text("source: {checkpoint: model.safetensors}\nsteps: []\n")
    golden(f"cli/errors/{name}", surgery(ERRORS[name]))


def test_an_output_that_exists(place, surgery, golden):
    (place / "out.safetensors").write_text("mine")
    golden("cli/errors/output_exists", surgery("run recipe.yaml -p weights=model.safetensors"))
    assert (place / "out.safetensors").read_text() == "mine"
    assert surgery("run recipe.yaml -p weights=model.safetensors --force").endswith("--- exit 0\n")


def test_hundreds_of_errors_are_not_all_printed(place, surgery):
    rules = "".join(f"      a{i} > b{i}\n" for i in range(300))
    (place / "many.yaml").write_text(f"source: {{checkpoint: model.safetensors}}\nsteps:\n  - rename: |\n{rules}")
    said = surgery("plan many.yaml")
    assert said.count("error[") == 20
    assert "… and 280 more; --json prints all\n--- exit 2" in said
    assert surgery("plan many.yaml --json").count('"code": "rule-syntax"') == 300


def test_a_step_without_quotes(place, surgery):
    said = surgery("apply model.safetensors x.pth -e rename a->b")
    assert "a step is one argument: `-e 'rename: \"a -> b\"'`" in said


def test_a_word_of_one_choice(place, surgery):
    (place / "r.yaml").write_text("source: {checkpoint: {path: model.safetensors, trust: true}}\n")
    assert "error[wrong-type]: `data` or `pickle` stands here, not true" in surgery("check r.yaml")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('create: "head.weight.x -> ones(1)"', "--- exit 0"),
        ('create: "x -> zeros(0)"', "--- exit 0"),
        ('create: "x -> zeros(0, 3), y -> tensor([])"', "--- exit 0"),
        ('create: "x -> tensor([true])"', "nothing is called `true` here: write `True`"),
        ('convert: "head.weight -> w via pad(1000000000000)"', "error[too-large]: this makes a tensor of"),
        ("convert: \"head.weight -> w via repeat('a b -> a b c', c=1000000000000)\"", "error[too-large]"),
        ('convert: "head.weight -> w via resize(1000000, 1000000)"', "error[too-large]"),
    ],
)
def test_odd_sizes_and_keys(place, surgery, step, said):
    (place / "r.yaml").write_text(
        f"source: {{checkpoint: model.safetensors}}\nsteps:\n  - unwrap: true\n  - {step}\noutput: r.pt\n"
    )
    assert said in surgery("plan r.yaml")
    if "exit 0" in said:
        assert said in surgery("run r.yaml")


@pytest.mark.parametrize("selector", ["$x", "a.${x}.b | c", "a if ndim == $x"])
def test_a_parameter_in_a_selector_of_the_command_line(place, surgery, selector):
    said = surgery(f"match '{selector}' model.safetensors")
    assert "error[parameter]: there is no parameter `x` outside a recipe" in said
    assert said.endswith("--- exit 2\n")


def test_a_result_of_nothing(place, surgery):
    said = surgery("""apply model.safetensors x.pt -e 'filter: {drop: "**"}'""")
    assert "0 tensors, 0 values, 0 B\nwrote" in said
