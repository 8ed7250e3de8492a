"""Numbers are read in every way that fits the shapes, and no other."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from surgery.optimizers.following import Following
from surgery.optimizers.numbering import readings
from surgery.optimizers.parameters import Survivor, stretches
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Held
from surgery.tensors.spec import Spec

FLOAT = DTYPES["float32"]
SIZES = st.integers(1, 3)


def optimizer(*groups: list[int | None]) -> dict[str, object]:
    """One whose groups have parameters of these sizes; None stands for one without state."""
    state, lists, number = {}, [], 0
    for group in groups:
        for size in group:
            if size is not None:
                state[number] = {"momentum_buffer": Held(Spec((size,), FLOAT), None)}
            number += 1
        lists.append({"params": list(range(number - len(group), number))})
    return {"state": state, "param_groups": lists}


@given(st.lists(SIZES, min_size=1, max_size=7), st.lists(SIZES | st.none(), max_size=5))
def test_one_group_is_read_in_every_way(model: list[int], group: list[int | None]) -> None:
    before = {f"layer{i}.weight": Spec((size,), FLOAT) for i, size in enumerate(model)}
    found = {tuple(reading.values()) for reading in readings(optimizer(group), before)}
    keys = list(before)
    expected = {
        tuple(keys[i] for i in places)
        for places in combinations(range(len(keys)), len(group))
        if all(size in (None, model[i]) for size, i in zip(group, places, strict=True))
    }
    assert found == expected


def test_groups_may_divide_by_kind_and_by_depth() -> None:
    """Decay and none, for the body and the head: each has its part of each."""
    shapes = {"body.weight": (4, 3), "body.bias": (4,), "head.weight": (2, 4), "head.bias": (2,)}
    before = {key: Spec(shape, FLOAT) for key, shape in shapes.items()}
    order = ["head.weight", "head.bias", "body.weight", "body.bias"]
    groups = [{"params": [number]} for number in range(4)]
    state = {number: {"exp_avg": Held(before[key], None)} for number, key in enumerate(order)}
    found = list(readings({"state": state, "param_groups": groups}, before))
    assert found
    assert all(reading == dict(enumerate(order)) for reading in found)


@given(st.data())
def test_one_way_in_a_stretch_stands_for_all(data: st.DataObject) -> None:
    """What becomes of an optimizer is as certain as it is where every reading is looked at."""
    sizes = data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=7))
    before = {f"layer{i}.weight": Spec((size,), FLOAT) for i, size in enumerate(sizes)}
    fates = data.draw(
        st.lists(st.sampled_from(["kept", "kept", "kept", "gone", "new", "copied"]), min_size=7, max_size=7)
    )
    after = []
    for key, what in zip(data.draw(st.sampled_from([list(before), sorted(before, reverse=True)])), fates, strict=False):
        if what in ("kept", "copied"):
            after.append(Survivor(key, key))
        if what == "copied":
            after.append(Survivor(f"copy of {key}", key))
        if what == "new":
            after.append(Survivor(key, None, (), (key,)))
    groups = data.draw(st.lists(st.lists(SIZES | st.none(), max_size=3), min_size=1, max_size=2))
    made = optimizer(*groups)
    every = {str(Following(made, numbers, after).outcome) for numbers in readings(made, before)}
    some = {
        str(Following(made, numbers, after).outcome) for numbers in readings(made, before, stretches(before, after))
    }
    assert some <= every
    assert min(len(some), 2) == min(len(every), 2)
