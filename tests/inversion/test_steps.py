"""Steps other than rules, backwards: by what they did to the keys."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError

SHAPES = {"enc.0.w": (2, 3), "enc.1.w": (2, 3), "enc.norm": (3,), "head.w": (4, 2)}

#: steps, the shapes, and the lines of the inverse
STEPS = {
    "copy": ([{"copy": "enc.{i:int} -> again.{i + 2}"}], SHAPES, ["- filter: {drop: again}"]),
    "copies among others": ([{"copy": "enc.{i:int} -> enc.{i + 2}"}], SHAPES, ["- filter: {drop: enc.2 | enc.3}"]),
    "create": ([{"create": "fc -> Linear(2, 3), mean -> zeros(3)"}], SHAPES, ["- filter: {drop: fc | mean}"]),
    "unwrap": ([{"unwrap": True}], {f"module.{k}": v for k, v in SHAPES.items()}, ['- rename: "** -> module.**"']),
    "unwrap inside": ([{"unwrap": True}], {"a._orig_mod.w": (2,), "b": (2,)}, ['- rename: "a -> a._orig_mod"']),
    "no wrapper": ([{"unwrap": "optional"}], SHAPES, []),
    "extract everything": ([{"extract": "enc"}], {"enc.a": (2,), "enc.b": (3,)}, ['- rename: "** -> enc.**"']),
    "nothing to drop": ([{"filter": {"drop": "optional fc"}}], SHAPES, []),
    "check": ([{"check": {"count": {"enc.*.w": 2}}}], SHAPES, []),
    "freeze": ([{"freeze": "enc"}], SHAPES, []),
    "widening": ([{"cast": "** -> float64"}], SHAPES, ['- cast: "** -> float32"']),
    "a cast of some": ([{"cast": "enc -> float64"}], SHAPES, ['- cast: "enc -> float32"']),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_taken_back(name, state, there_and_back, lines) -> None:
    steps, shapes, wanted = STEPS[name]
    assert lines(there_and_back(steps, state(shapes))) == wanted


LOST = {
    "filter": ([{"filter": {"drop": "head"}}], "`filter` leaves `head.w` behind"),
    "keep": ([{"filter": {"keep": "head"}}], "`filter` leaves `enc.0.w`, `enc.1.w`, `enc.norm` behind"),
    "extract": ([{"extract": "enc"}], "`extract` leaves `head.w` behind"),
    "rest": ([{"rename": {"rest": "drop", "rules": "enc -> e"}}], "`rename` leaves `head.w` behind"),
    "part of something": (
        [{"convert": "enc.norm -> (a|b|c) via chunk"}, {"filter": {"drop": "a"}}],
        "`filter` leaves `a` behind",
    ),
    "init": ([{"init": "head.w -> zeros_"}], "`init` puts others in the place of `head.w`"),
    "tie": ([{"tie": "enc.0.w -> enc.1.w"}], "`tie` puts others in the place of `enc.0.w`"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_is_left_behind_does_not_come_back(name, state, refused) -> None:
    steps, wanted = LOST[name]
    (message,) = refused(steps, state(SHAPES))
    assert message.startswith(wanted)


def test_what_is_new_may_be_lost_again(state, there_and_back, lines) -> None:
    steps = [
        {"copy": "head.w -> x"},
        {"init": "x -> zeros_"},
        {"copy": "enc.norm -> y via flip"},
        {"filter": {"drop": "y"}},
    ]
    assert lines(there_and_back(steps, state(SHAPES))) == ["- filter: {drop: x}"]


def test_a_lossy_cast_says_so(state, refused) -> None:
    (message,) = refused([{"cast": "** -> bfloat16"}], state(SHAPES))
    assert message.startswith("`bfloat16` does not hold every value of float32")


def test_casts_of_several_dtypes(state, there_and_back, lines) -> None:
    tensors = {**state({"a.w": (2,), "a.v": (3,)}, torch.bfloat16), **state({"b": (2,)}, torch.float16)}
    tensors["steps"] = torch.tensor(3)
    inverse = there_and_back([{"cast": "** -> float32"}], tensors)
    assert [" ".join(line.split()) for line in lines(inverse)] == ["- cast: |", "a -> bfloat16", "b -> float16"]


def test_forgetting_what_is_left_behind(state, lines) -> None:
    tensors = state({"m.enc.0.w": (2,), "m.enc.1.w": (2,), "m.head": (3,), "n": (1,)})
    recipe = surgery.load([{"filter": {"drop": "n"}}, {"extract": "m.enc"}, {"rename": "{i} -> blocks.{i}"}])
    with pytest.raises(SurgeryError, match="--partial"):
        recipe.invert(tensors)
    inverse = recipe.invert(tensors, partial=True)
    assert lines(inverse) == ['- rename: "blocks.{i} -> {i}"', '- rename: "** -> m.enc.**"']
    back = inverse.run(state_dict=recipe.run(state_dict=tensors).state_dict).state_dict
    assert back.keys() == {"m.enc.0.w", "m.enc.1.w"}
    assert all(torch.equal(back[key], tensors[key]) for key in back)


def test_a_tied_name_that_went_comes_back_tied(there_and_back, lines) -> None:
    embed = torch.randn(4, 2)
    tensors = {"embed": embed, "head": embed, "x": torch.randn(2)}
    inverse = there_and_back([{"filter": {"drop": "head"}}], tensors)
    assert lines(inverse) == ['- copy: "embed -> head"', '- tie: "head -> embed"']
    back = inverse.run(state_dict={"embed": embed, "x": tensors["x"]}).state_dict
    assert back["head"].data_ptr() == back["embed"].data_ptr()


def test_untie_is_taken_back_by_tie(there_and_back, lines) -> None:
    embed = torch.randn(4, 2)
    inverse = there_and_back([{"untie": "head"}], {"embed": embed, "head": embed})
    assert lines(inverse) == ['- tie: "head -> embed"']


def test_when_stays(state, lines) -> None:
    text = """\
params: {wrapped: true}
steps:
  - rename: "module.** -> **"
    when: $wrapped
"""
    recipe = surgery.recipe.Recipe.of_text(text)
    inverse = recipe.invert(state({"module.w": (2,)}))
    assert lines(inverse) == ['- {rename: "** -> module.**", when: $wrapped}']
    assert not lines(recipe.invert(state({"module.w": (2,)}), wrapped=False)), "it was not done"


def test_a_checkpoint_that_is_loaded_into_a_model(tmp_path, state) -> None:
    """The model is only there to take the tensors: what is asked for is the checkpoint."""
    torchvision = pytest.importorskip("torchvision")
    tensors = {f"module.{key}": value for key, value in torchvision.models.resnet18().state_dict().items()}
    tensors = {key: value for key, value in tensors.items() if not key.startswith("module.fc")}
    torch.save(tensors, tmp_path / "old.pth")
    text = """\
params: {old: {type: path}}
source: {torchvision: resnet18, weights: null}
steps:
  - load:
      from: {checkpoint: $old}
      steps: [{rename: "module.** -> **"}]
      missing: fc
  - mode: eval
"""
    recipe = surgery.recipe.Recipe.of_text(text, "load.yaml")
    inverse = recipe.invert(tmp_path / "old.pth")
    assert "- filter: {drop: fc}" in inverse.text
    assert '- rename: "** -> module.**"' in inverse.text
    recipe.run(old=tmp_path / "old.pth", output=tmp_path / "new.safetensors")
    back = inverse.run(old=tmp_path / "new.safetensors").state_dict
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[key], tensors[key]) for key in back)


def test_the_steps_of_another_recipe(tmp_path, state) -> None:
    (tmp_path / "fuse.yaml").write_text("""\
params: {name: qk}
steps:
  - convert: |
      {i}.(q|k) -> {i}.$name via concat  # as theirs
      norm      -> ln
""")
    text = """\
steps:
  - rename: "m.** -> **"
  - use: {recipe: fuse.yaml, params: {name: both}}
"""
    (tmp_path / "top.yaml").write_text(text)
    recipe = surgery.load(tmp_path / "top.yaml")
    tensors = state({"m.0.q": (2, 2), "m.0.k": (2, 2), "m.norm": (2,)})
    inverse = recipe.invert(tensors)
    assert "{i}.both -> {i}.(q|k) via chunk  # as theirs" in inverse.text
    back = inverse.run(state_dict=recipe.run(state_dict=tensors).state_dict).state_dict
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[key], tensors[key]) for key in back)
