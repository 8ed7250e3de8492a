"""Many rules that select nothing for one reason are told as one."""

import pytest
import torch

import surgery

RULES = "conv1 -> stem, bn1 -> norm, layer1.{i} -> stages.{i}"
KEYS = ("conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer1.1.conv1.weight", "fc.weight")


def state(*prefixes: str) -> dict[str, torch.Tensor]:
    return {prefix + key: torch.zeros(1) for prefix in prefixes for key in KEYS}


def failure(rules: str, *prefixes: str) -> surgery.SurgeryError:
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.rename(state(*prefixes), rules)
    return caught.value


@pytest.mark.parametrize(
    ("rules", "prefixes", "note"),
    [
        (RULES, ["module."], 'they select something below `module`: `rename: "module.** -> **"` in a step before'),
        (RULES, ["a.b."], 'they select something below `a.b`: `rename: "a.b.** -> **"` in a step before'),
        (RULES, ["q.", "k."], 'they select something below `q` or `k`: `rename: "q.** -> **"` in a step before'),
        (
            "vit.conv1 -> stem, vit.bn1 -> norm, vit.layer1.{i} -> stages.{i}",
            [""],
            'the keys have no `vit.`: `rename: "** -> vit.**"` in a step before',
        ),
    ],
)
def test_one_prefix_is_to_blame(rules: str, prefixes: list[str], note: str) -> None:
    (diagnostic,) = failure(rules, *prefixes).diagnostics
    assert diagnostic.code == "unused-rule"
    assert diagnostic.message == "3 rules of this step select nothing; this is the first"
    assert diagnostic.notes == (note,)


def test_following_the_note_helps() -> None:
    plain = surgery.rename(state("module."), "module.** -> **")
    assert "stages.1.conv1.weight" in surgery.rename(plain, RULES)


def test_rules_that_are_wrong_each_in_its_own_way_are_told_each() -> None:
    assert len(failure("con1 -> a, bn2 -> b, layer5.{i} -> c.{i}", "").diagnostics) == 3


def test_a_few_are_told_one_by_one() -> None:
    assert len(failure("conv1 -> a, bn1 -> b", "module.").diagnostics) == 2
