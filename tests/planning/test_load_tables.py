"""What a failing load says: one short table, exact patterns, the nearest candidates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgery.planning.context import Context
from surgery.planning.differences import Differences, Words, topmost
from surgery.planning.loading import load_into
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject


def resnet(depths: tuple[int, ...] = (3, 4, 6, 3), classes: int = 1000) -> dict[str, tuple]:
    """Names and shapes of a bottleneck ResNet."""
    found: dict[str, tuple] = {"conv1.weight": (64, 3, 7, 7), "bn1.weight": (64,), "bn1.bias": (64,)}
    inside = 64
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        for block in range(depth):
            name = f"layer{stage + 1}.{block}"
            for index, shape in enumerate([(width, inside, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)], 1):
                found[f"{name}.conv{index}.weight"] = shape
                found |= {f"{name}.bn{index}.{what}": shape[:1] for what in ("weight", "bias")}
            inside = 4 * width
    return {**found, "fc.weight": (classes, 2048), "fc.bias": (classes,)}


def prefixed(tensors: dict[str, tuple], prefix: str) -> dict[str, tuple]:
    return {prefix + key: shape for key, shape in tensors.items()}


CASES = {
    "prefix": (resnet(), prefixed(resnet(), "module.")),
    "prefix_and_more": (
        resnet(),
        {**prefixed(resnet(), "module.encoder_q."), **prefixed(resnet(), "module.encoder_k."), "module.queue": (9,)},
    ),
    "prefix_here": (prefixed(resnet(), "backbone."), resnet()),
    "head": (resnet(), {**{k: s for k, s in resnet().items() if k[:2] != "fc"}, "head.fc.weight": (1000, 2048)}),
    "shapes": (resnet(), {**resnet(classes=10), "conv1.weight": (64, 4, 7, 7)}),
    "depth": (resnet((3, 4, 23, 3)), resnet((3, 4, 6, 3))),
    "renamed": (
        {f"blocks.{i}.{part}.weight": (4, 4 + j) for i in range(12) for j, part in enumerate(("q", "k", "v"))},
        {f"layer.{i}.attn.{part}.weight": (4, 4 + j) for i in range(12) for j, part in enumerate(("q", "k", "v"))},
    ),
    "other_model": (resnet(), {f"features.{i}.{what}": (i + 1,) for i in range(0, 40, 3) for what in ("w", "b")}),
    "slashes": (resnet((1,)), {key.replace(".", "/"): shape for key, shape in resnet((1,)).items()}),
    "nothing": (resnet((1,)), {}),
    "dtypes": ({"a.w": (2,)}, {"a.w": ((3,), "float16")}),
    "strange_names": ({"fc.weight": (2,)}, {"a b.fc.weight": (2,), "\x1b[31mred": (1,)}),
}


@pytest.mark.parametrize("name", CASES)
def test_table(name, fresh, stored, context, errors, golden):
    here, there = CASES[name]
    load_into(fresh(here), stored(there).entries, context)
    golden(f"planning/load_{name}", errors())
    assert len(errors().splitlines()) <= 20
    assert len(errors()) < 1800


names = st.lists(st.sampled_from(["a", "b", "0", "1", "w"]), min_size=1, max_size=4).map(".".join)


@given(st.sets(names, max_size=25), st.sets(names, max_size=25))
def test_whole_subtrees_are_whole(universe, some):
    universe = {key for key in universe if not any(other.startswith(key + ".") for other in universe)}
    found = sorted(universe & some)
    tops, alone = topmost(found, universe)
    below = {top: {key for key in universe if key.startswith(top + ".")} for top in tops}
    assert all(len(below[top]) == count and below[top] <= set(found) for top, count in tops.items())
    assert sorted([*alone, *(key for keys in below.values() for key in keys)]) == found


def test_totals_count_every_key():
    spec = Spec((1,), DTYPES["float32"])
    sides = Differences({"a": spec, "b": spec}, {"b": Spec((2,), DTYPES["float32"]), "c": spec}, ["a"], ["c"], ["b"])
    assert sides.totals() == "1 of 2 keys missing, 1 of 2 keys left over, 1 of another shape"
    assert sides.sections(Words())[2] == "different:\n  b  [2] in the checkpoint, [1] in the model"


sides = st.dictionaries(names, st.sampled_from([(1,), (2,), (2, 3)]), max_size=25)


@settings(deadline=None)
@given(sides, sides)
def test_every_key_is_loaded_or_told(here, there):
    """Whatever the two sides are, the three numbers add up, and the table stays short."""
    context = Context()
    float32 = DTYPES["float32"]

    def subject(tensors):
        return Subject(
            {key: Entry(Stored(Spec(shape, float32), (ByteRange("f", 0, 4),))) for key, shape in tensors.items()}
        )

    loaded = subject(there).entries
    after = load_into(subject(here), loaded, context)
    missing = [key for key in here if key not in there]
    unexpected = [key for key in there if key not in here]
    different = [key for key in here if key in there and here[key] != there[key]]
    assert all(after.entries[key].expr is loaded[key].expr for key in here if key not in [*missing, *different])
    text = "\n".join(map(str, context.diagnostics))
    assert bool(text) == bool(missing or unexpected or different)
    assert len(text.splitlines()) <= 20
    for what, keys, side in (("missing", missing, here), ("left over", unexpected, there)):
        number = f"all {len(keys)} keys" if len(keys) == len(side) > 1 else f"{len(keys)} of {len(side)} key"
        assert (f"{number}s {what}" in text or f"{number} {what}" in text) == bool(keys)
    assert (f"{len(different)} of another shape" in text) == bool(different)
