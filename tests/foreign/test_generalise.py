"""Mappings as rules: many entries of one pattern as one rule, each entry kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from surgery.foreign.generalise import generalised
from surgery.foreign.trial import Trial


def rules(mapping: dict[str, str]) -> list[str]:
    return [rule.text for rule in generalised(mapping)]


def test_layers_become_a_capture_and_tensors_of_a_module_their_module() -> None:
    mapping = {
        f"blocks.{i}.{a}.{w}": f"encoder.layer.{i}.{b}.{w}"
        for i in range(3)
        for a, b in (("norm1", "before"), ("norm2", "after"))
        for w in ("weight", "bias")
    }
    assert rules(mapping | {"head.weight": "classifier.weight"}) == [
        "blocks.{i:int}.norm1 -> encoder.layer.{i}.before",
        "blocks.{i:int}.norm2 -> encoder.layer.{i}.after",
        "head.weight -> classifier.weight",
    ]


def test_numbers_may_be_shifted_and_change_places() -> None:
    assert rules({f"a{i}.{j}.w": f"b.{j}.{i - 1}.w" for i in (1, 2, 3) for j in range(2)}) == [
        "a{i:int}.{j:int}.w -> b.{j}.{i - 1}.w"
    ]


def test_a_number_that_decides_more_gets_a_rule_for_each_value() -> None:
    assert rules({f"{i}.mlp.{j}.w": f"{i}.fc{j // 2 + 1}.w" for i in range(2) for j in (0, 2)}) == [
        "{i:int}.mlp.0.w -> {i}.fc1.w",
        "{i:int}.mlp.2.w -> {i}.fc2.w",
    ]


def test_an_exception_comes_before_the_rule() -> None:
    mapping = {f"layers.{i}.w": f"h.{i}.w" for i in range(4)} | {"layers.1.w": "odd.w"}
    assert rules(mapping)[0] == "layers.1.w -> odd.w"


def test_odd_keys_are_quoted() -> None:
    assert rules({"a b.c": "d#e", "if": "via"}) == ['"a b".c -> "d#e"', '"if" -> "via"']


KEYS = st.lists(st.sampled_from(["a", "b", "w", "0", "1", "2", "10", "x1", "x2", "l0y"]), min_size=1, max_size=4)


@given(st.dictionaries(KEYS.map(".".join), KEYS.map(".".join), max_size=12))
def test_rules_say_what_the_mapping_says(mapping: dict[str, str]) -> None:
    found = generalised(mapping)
    assert sorted(entry.old for rule in found for entry in rule.entries) == sorted(mapping)
    if found:
        trial = Trial([rule.text for rule in found])
        assert {key: trial.new_key(key)[1] for key in mapping} == mapping
        assert all(trial.new_key(key)[0] is not None for key in mapping)


@given(st.data())
def test_regular_mappings_become_few_rules(data: st.DataObject) -> None:
    """A mapping written by loops is found out: as many rules as modules, for any number of layers."""
    names = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    shift = data.draw(st.integers(0, 3))
    layers = data.draw(st.integers(2, 12))
    mapping = {f"h.{i}.{n}.{w}": f"m.{i + shift}.{n}_.{w}" for i in range(layers) for n in names for w in ("g", "b")}
    assert len(generalised(mapping)) == len(names)
