import torch

import surgery
from surgery.report.facts import untouched
from surgery.report.lines import plain
from surgery.report.plan import plan_lines, plan_text

STEPS = """\
rename: module.** -> **
convert: blocks.{i}.attn.qkv -> layer.{i}.(query|key|value) via chunk(dim=0)
cast: **.norm -> float32, ** -> bfloat16"""


def test_the_plan_screen(make_plan, vit, golden):
    golden("report/plan", plan_text(make_plan(vit, STEPS)))


def test_a_narrow_terminal(make_plan, vit, golden):
    lines = plan_lines(make_plan(vit, STEPS), columns=80)
    golden("report/plan_80_columns", plain(lines))


def test_a_plan_of_a_thousand_tensors_fits_a_screen(make_plan, vit):
    many = {f"m.{n}.{key}": spec for n in range(20) for key, spec in vit.items()}
    assert len(many) > 900
    steps = 'rename: "m.*.module.** -> *.**"\nconvert: *.blocks.{i}.attn.qkv -> *.l.{i}.(q|k|v) via chunk(dim=0)'
    lines = plan_lines(make_plan(many, steps.replace('"', "")))
    assert len(lines) < 50


def test_what_was_done_to_what_did_not_stay_is_told(make_plan, vit):
    """A tensor that a later step takes away was renamed and copied all the same."""
    key = "module.head.weight"
    assert key in vit
    lines = plan_text(make_plan(vit, f"copy: {key} -> lm.weight\nrename: lm -> lm_head\ntie: lm_head.weight -> {key}"))
    assert "changes nothing" not in lines
    assert [line for line in lines.splitlines() if "lm" in line and line.startswith(" " * 12)] == [
        "            lm.weight -> lm_head.weight",
        f"            lm_head.weight is {key}",
        "            lm_head.weight  its own tensor goes",
    ]


def test_a_long_rule_is_broken_at_its_own_arrow(make_plan, vit):
    """And not at one inside a pattern of einops."""
    pattern = 'rearrange("(heads three dim) e -> (three heads dim) e", heads=4, three=3)'
    text = plan_text(
        make_plan(vit, f"convert: module.blocks.{{i}}.attn.qkv.weight -> blocks.{{i}}.qkv.weight via {pattern}")
    )
    assert "    module.blocks.{i}.attn.qkv.weight\n      -> blocks.{i}.qkv.weight via rearrange(" in text


def test_a_tensor_loaded_in_another_dtype_is_not_untouched():
    net = torch.nn.Linear(2, 3)
    half = {"weight": torch.ones(3, 2, dtype=torch.float16), "bias": torch.ones(3)}
    recipe = surgery.load({"source": {"given": "net"}, "steps": [{"load": {"from": {"given": "half"}}}]})
    assert untouched(recipe.plan(given={"net": net, "half": half})) == 1
