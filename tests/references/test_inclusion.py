"""Recipes that use others: their results, their steps, parameters, accounts and errors."""

from __future__ import annotations

import hashlib

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError
from surgery.inclusion_check import check_included
from surgery.report.json import plan_document
from surgery.testing.running import try_recipe

STRIP = """
params:
  prefix: module
  checkpoint: {type: path, help: for its own source}
source: $checkpoint
steps:
  - rename: "$prefix.** -> **"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"module.a.weight": torch.arange(6.0), "module.b.weight": torch.ones(2)}, "model.pt")

    def write(**recipes: str) -> None:
        for name, text in recipes.items():
            (tmp_path / f"{name}.yaml").write_text(text)

    return write


def failure(recipe: str, **options: object) -> str:
    with pytest.raises(SurgeryError) as caught:
        surgery.load(recipe).plan(**options)
    return str(caught.value)


def test_steps_are_done_as_if_they_stood_there(write):
    write(strip=STRIP, main="source: model.pt\nsteps: [use: strip.yaml, {rename: a -> c}]")
    assert sorted(surgery.run("main.yaml").state_dict) == ["b.weight", "c.weight"]


def test_of_the_steps_only_their_own_parameters_are_wanted(write):
    write(strip=STRIP, main="source: model.pt\nsteps: [use: {recipe: strip.yaml, params: {prefix: module.a}}]")
    assert sorted(surgery.run("main.yaml").state_dict) == ["module.b.weight", "weight"]
    write(main="source: model.pt\nsteps: [use: {recipe: strip.yaml, params: {checkpoint: x.pt}}]")
    assert "no parameter `checkpoint`" in failure("main.yaml")


def test_the_result_of_a_recipe_is_a_source(write):
    write(
        strip=STRIP, main="source: {recipe: strip.yaml, params: {checkpoint: model.pt}}\nsteps: [{filter: {keep: a}}]"
    )
    result = surgery.run("main.yaml")
    assert torch.equal(result.state_dict["a.weight"], torch.arange(6.0))
    plan = result.plan
    (included,) = plan_document(plan)["included"]
    assert included == {"reference": "strip.yaml", "sha256": plan.included["strip.yaml"].sha256, "commit": None}
    assert [str(o.source) for o in plan.before] == ["strip.yaml: model.pt"] * 2
    assert len(plan.drops) == 1


def test_two_results_side_by_side(write):
    write(strip=STRIP)
    torch.save({"module.a.weight": torch.zeros(6)}, "other.pt")
    write(
        main="""
sources:
  x: {recipe: strip.yaml, params: {checkpoint: model.pt}}
  y: {recipe: strip.yaml, params: {checkpoint: other.pt}}
steps:
  - convert: "(x|y).a -> a via mean"
  - filter: {drop: x}
"""
    )
    result = surgery.run("main.yaml")
    assert torch.equal(result.state_dict["a.weight"], torch.arange(6.0) / 2)
    assert {o.source for o in result.plan.before} == {"x", "y"}


def test_a_recipe_brings_its_own_seed_and_its_steps_take_the_others(write):
    made = "source: {torchvision: resnet18, weights: null}\nseed: 1\nsteps: [{filter: {keep: fc.bias}}]"
    write(made=made, other="source: {recipe: made.yaml}\nseed: 2", steps=made.replace("seed: 1", "seed: 2"))
    own, result = (surgery.run(name).state_dict["fc.bias"] for name in ("made.yaml", "other.yaml"))
    assert torch.equal(own, result)
    assert not torch.equal(own, surgery.run("steps.yaml").state_dict["fc.bias"])


def test_paths_are_those_of_the_recipe_in_which_they_stand(write, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write(main="source: {recipe: sub/inner.yaml, params: {given: model.pt}}")
    (tmp_path / "sub/inner.yaml").write_text(
        "params: {given: {type: path}}\nsources: {own: own.pt, given: $given}\nsteps: [use: deeper/last.yaml]"
    )
    (tmp_path / "sub/deeper").mkdir()
    (tmp_path / "sub/deeper/last.yaml").write_text('steps: [{rename: "own.** -> **"}]')
    torch.save({"w": torch.ones(1)}, tmp_path / "sub/own.pt")
    monkeypatch.chdir("/")
    result = surgery.run(tmp_path / "main.yaml")
    assert sorted(result.state_dict) == ["given.module.a.weight", "given.module.b.weight", "w"]


def test_what_a_recipe_expects_is_checked_of_its_result(write):
    write(
        inner="source: model.pt\nexpect: {keys: 3}",
        main="source: {recipe: inner.yaml}\nsteps: [unwrap: true]",
    )
    said = failure("main.yaml")
    assert "inner.yaml:2:10: error[check-failed]: the result has 2 keys, not 3" in said
    assert "`inner.yaml` is brought in at main.yaml:1:18" in said


def test_an_error_says_on_which_way_it_was_reached(write, golden):
    write(
        last='steps: [{rename: "modul.** -> **"}]',
        middle="steps: [use: last.yaml]",
        main="source: model.pt\nsteps: [use: middle.yaml]",
    )
    golden("references/chain", failure("main.yaml"))


def test_cycles(write, golden):
    write(
        a="source: model.pt\nsteps: [use: b.yaml]",
        b="steps: [use: c.yaml]",
        c="steps: [use: ./b.yaml]",
        own="source: {recipe: own.yaml}",
    )
    golden("references/cycles", f"{failure('a.yaml')}\n\n{failure('own.yaml')}")


def test_recipes_that_multiply_are_stopped(write):
    write(r0='steps: [{rename: "optional q -> r"}]', main="source: model.pt\nsteps: [use: r12.yaml]")
    for number in range(1, 13):
        write(**{f"r{number}": f"steps: [use: r{number - 1}.yaml, use: r{number - 1}.yaml]"})
    assert "error[too-large]" in failure("main.yaml")


def test_recipes_from_outside_the_directory_need_permission(write, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/main.yaml").write_text("source: ../model.pt\nsteps: [use: ../strip.yaml]")
    (tmp_path / "mine/link.yaml").symlink_to(tmp_path / "strip.yaml")
    write(strip=STRIP)
    main = str(tmp_path / "mine/main.yaml")
    assert "error[not-allowed]" in failure(main)
    assert "error[not-allowed]" in failure(main, allow=["include:mine", "network", "pickle"])
    for allowed in (".", "strip.yaml", str(tmp_path)):
        assert surgery.load(main).plan(allow=[f"include:{allowed}"]).subject.entries
    # a link leads where it leads
    (tmp_path / "mine/main.yaml").write_text("source: ../model.pt\nsteps: [use: link.yaml]")
    assert "error[not-allowed]" in failure(main)
    # and what the caller names is allowed
    (tmp_path / "mine/main.yaml").write_text("params: {r: {type: path}}\nsource: ../model.pt\nsteps: [use: $r]")
    assert surgery.load(main).plan(params={"r": "strip.yaml"}).subject.entries


def test_a_recipe_without_a_source_has_no_result(write):
    write(inner='steps: [{rename: "module.** -> **"}]', main="source: {recipe: inner.yaml}")
    assert "`inner.yaml` has no source of its own" in failure("main.yaml")


def test_other_formats_and_missing_recipes(write, golden):
    write(
        old="surgery: 2\nsteps: []",
        main="source: model.pt\nsteps: [use: old.yaml]",
        none="source: model.pt\nsteps: [use: nothing.yaml]",
        binary="source: model.pt\nsteps: [use: model.pt]",
        shipped="source: model.pt\nsteps: [use: builtin:suop]",
        kinds="source: model.pt\nsteps: [use: 3, use: {recipe: strip.yaml, params: 3}, use: gihub:a/b//c.yaml]",
    )
    names = ("main", "none", "binary", "shipped", "kinds")
    golden("references/mistakes", "\n\n".join(failure(f"{name}.yaml") for name in names))


def test_shipped_recipes_by_name(write):
    write(main="source: {recipe: builtin:soup, params: {a: m.pt, b: m.pt, c: m.pt}}")
    torch.save({"norm.weight": torch.ones(2), "fc.weight": torch.ones(2)}, "m.pt")
    assert sorted(surgery.run("main.yaml").state_dict) == ["fc.weight", "norm.weight"]
    assert surgery.load("builtin:soup").name == surgery.load("soup").name


def test_an_output_says_which_recipes_made_it(write, tmp_path):
    write(strip=STRIP, main="source: model.pt\nsteps: [use: strip.yaml]\noutput: out.safetensors")
    surgery.run("main.yaml")
    (included,) = surgery.read_record("out.safetensors").included
    assert (included.reference, included.commit) == ("strip.yaml", None)
    assert included.sha256 == hashlib.sha256(STRIP.encode()).hexdigest()


def test_check_looks_at_what_is_brought_in(write, golden):
    write(
        strip=STRIP,
        broken="steps: [{rename: 'a -> -> b'}, {renam: x}]",
        loop="steps: [use: main.yaml]",
        main="""
params: {p: {type: path}}
source: {recipe: strip.yaml, params: {prefx: a}}
steps:
  - use: broken.yaml
  - load: {from: {recipe: loop.yaml}, steps: [use: $p, use: {recipe: strip.yaml, params: {checkpoint: x}}]}
  - use: nothing.yaml
  - use: ../outside.yaml
  - use: github:org/repo//clean.yaml@v1
expect: {like: {recipe: "builtin:suop"}}
""",
    )
    recipe = surgery.load("main.yaml")
    golden("references/check", "\n\n".join(map(str, check_included(recipe))))


def test_tests_of_a_recipe_that_brings_in_others(write):
    """A case runs in a directory of its own; what the recipe brings in lies where the recipe lies."""
    case = "tests: [{name: one, files: {a.pt: {keys: {module.a: [2]}}}, params: {x: a.pt}, expect: {keys: {b: [2]}}}]"
    main = "params: {x: {type: path}}\nsource: $x\nsteps: [use: strip.yaml, {rename: a -> b}]\n"
    write(strip=STRIP, main=main + case)
    (outcome,) = try_recipe("main.yaml", frozenset()).outcomes
    assert outcome.status == "ok", outcome.diagnostics


def test_a_check_tells_of_a_broken_recipe_once_and_who_brings_it_in(write):
    write(main="steps: [{use: broken.yaml}, {use: broken.yaml}]", broken="steps: [{renam: x}]")
    (found,) = check_included(surgery.load("main.yaml"))
    assert found.code == "unknown-step"
    assert found.notes[-1] == "`broken.yaml` is brought in at main.yaml:1:15"


def test_recipes_inside_each_other_without_end(write):
    chain = {f"r{number}": f"steps: [use: r{number + 1}.yaml]" for number in range(200)}
    write(main="source: model.pt\nsteps: [use: r0.yaml]", **chain, r200="steps: []")
    recipe = surgery.load("main.yaml")
    with pytest.raises(SurgeryError, match="--limit nesting") as caught:
        recipe.plan()
    assert {d.code for d in caught.value.diagnostics} == {"too-large"}
    assert [d.code for d in check_included(recipe)] == ["too-large"]


def test_what_a_parameter_only_begins_is_not_named_by_the_caller(write, tmp_path):
    (tmp_path / "inner").mkdir()
    write(strip=STRIP)
    recipe = """
    params: {{kind: {{type: string}}, directory: {{type: path, default: inner}}}}
    source: ../model.pt
    steps: [use: "{named}"]
    """
    for named in ("$kind:org/repo//a.yaml@v1", "${{kind}}/../../strip.yaml", "$directory/../../strip.yaml"):
        (tmp_path / "inner/main.yaml").write_text(recipe.format(named=named.format()))
        with pytest.raises(SurgeryError) as caught:
            surgery.load("inner/main.yaml").plan(kind="github", directory="inner")
        assert {d.code for d in caught.value.diagnostics} == {"not-allowed"}, named
    (tmp_path / "inner/main.yaml").write_text(recipe.format(named="$directory/strip.yaml"))
    assert sorted(surgery.load("inner/main.yaml").run(kind="", directory=".").state_dict) == ["a.weight", "b.weight"]
