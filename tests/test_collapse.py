"""Collapsing keys: what a pattern says is exactly what was there."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from surgery.collapse import collapse, split_indices

segment = st.one_of(
    st.integers(0, 12).map(str),
    st.sampled_from(["layer", "conv", "fc", "w", "attn-x"]).flatmap(
        lambda t: st.integers(0, 3).map(lambda i: f"{t}{i}")
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=4),
    st.sampled_from(["00", "01", "007", "²", "٣", "weight", "bias"]),
)
keys = st.lists(st.lists(segment, min_size=1, max_size=4).map(".".join), max_size=60)


def texts(*names: str, by=None) -> list[str]:
    return [str(pattern) for pattern in collapse(names, by=by)]


@given(keys)
def test_expansion_gives_exactly_the_keys(names):
    patterns = collapse(names)
    expanded = [key for pattern in patterns for key in pattern.expand()]
    assert len(expanded) == len(set(expanded))
    assert set(expanded) == set(names)
    for pattern in patterns:
        assert sorted(pattern.expand()) == sorted(pattern.keys)


@given(keys, st.integers(1, 3))
def test_labels_are_never_mixed(names, modulus):
    labels = {name: sum(map(ord, name)) % modulus for name in names}
    for pattern in collapse(names, by=labels.__getitem__):
        assert len({labels[key] for key in pattern.expand()}) == 1


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))))
def test_several_indices_that_are_no_full_product(members):
    names = [f"layer{a}.{b}.conv{c}" for a, b, c in members]
    assert sorted(key for pattern in collapse(names) for key in pattern.expand()) == sorted(names)


def test_a_full_product_is_one_pattern():
    names = [f"blocks.{i}.mlp.{j}.weight" for i, j in product(range(12), (0, 3))]
    assert texts(*reversed(names)) == ["blocks.{0-11}.mlp.{0,3}.weight"]


def test_shapes_keep_layers_apart():
    shapes = {f"layer1.{i}.conv1.weight": 64 if i == 0 else 256 for i in range(3)}
    assert texts(*shapes, by=shapes.__getitem__) == ["layer1.0.conv1.weight", "layer1.{1,2}.conv1.weight"]


def test_order_is_that_of_the_first_key():
    assert texts("b.1", "a", "b.0", "b.7") == ["b.{0,1,7}", "a"]


def test_leading_zeros_are_text():
    assert texts("shard-00001", "shard-00002") == ["shard-00001", "shard-00002"]
    assert split_indices("a.0.10") == (("a.", ".", ""), (0, 10))


def test_long_runs_are_linear():
    names = [f"layers.{i}.experts.{j}.w{k}.weight" for i, j, k in product(range(60), range(64), range(1, 4))]
    assert texts(*names) == ["layers.{0-59}.experts.{0-63}.w{1-3}.weight"]
