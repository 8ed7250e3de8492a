"""What expressions are worth, against a plain interpreter of them."""

import threading
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from surgery.diagnostics import SurgeryError
from surgery.engine.evaluate import materialise
from surgery.ops.base import OpError
from surgery.ops.cast import Cast
from surgery.ops.chunk import Chunk
from surgery.ops.concat import Concat
from surgery.ops.permute import Transpose
from surgery.ops.scale import Scale
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Computed, Held, Initial, detach
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject, Touch
from surgery.text import Text


def held(tensor):
    return Held(Spec(tuple(tensor.shape), DTYPES[str(tensor.dtype).removeprefix("torch.")]), tensor)


def apply(operation, *inputs, outputs=1):
    specs = operation.infer(tuple(i.spec for i in inputs), outputs)
    return tuple(Computed(spec, operation, inputs, n, outputs) for n, spec in enumerate(specs))


def entries(exprs: Mapping):
    return {key: Entry(expr) for key, expr in exprs.items()}


class Ones:
    def describe(self, name):
        return f"ones for {name}"

    def produce(self, name):
        return torch.nn.Parameter(torch.full((2,), float(len(name))))


def test_every_kind_of_leaf(store, bits):
    tensor = torch.randn(6, 4)
    big = torch.randn(3, 4, dtype=torch.complex64)
    exprs = {
        "stored": store.stored(tensor, pieces=5),
        "strided": store.strided(tensor[1:5, 1:3].t()),
        "big": store.strided(big.t(), big_endian=True),
        "held": held(tensor.t()),
        "initial": Initial(Spec((2,), DTYPES["float32"]), Ones(), "abc"),
        "scalar": store.stored(torch.tensor(3, dtype=torch.int64)),
        "empty": store.stored(torch.empty(0, 3)),
    }
    found = materialise(entries(exprs))
    assert list(found) == list(exprs)
    assert torch.equal(found["stored"], tensor)
    assert torch.equal(found["strided"], tensor[1:5, 1:3].t())
    assert torch.equal(found["big"], big.t())
    assert torch.equal(found["held"], tensor.t())
    assert torch.equal(found["initial"], torch.tensor([3.0, 3.0]))
    assert found["scalar"].shape == ()
    assert found["empty"].shape == (0, 3)
    assert not any(t.requires_grad for t in found.values())


def test_ties_are_one_tensor_and_nothing_else_shares_storage(store):
    given_one = torch.randn(4, 4)
    one, stored = held(given_one), store.stored(torch.randn(4, 4))
    halves = apply(Chunk(), stored, outputs=2)
    flipped = apply(Transpose(0, 1), one)[0]
    exprs = {
        "a": one,
        "tied": one,
        "copy": detach(one),
        "first": halves[0],
        "second": halves[1],
        "first again": detach(halves[0]),
        "whole": stored,
        "flipped": flipped,
        "scaled": apply(Scale(1.0), one)[0],
    }
    found = materialise(entries(exprs))
    assert found["a"] is found["tied"]
    pointers = {t.untyped_storage().data_ptr() for key, t in found.items() if key != "tied"}
    assert len(pointers) == len(exprs) - 1
    assert given_one.untyped_storage().data_ptr() not in pointers
    for key, tensor in found.items():
        assert tensor.untyped_storage().nbytes() == tensor.nbytes, key
    before = given_one.clone()
    for tensor in found.values():
        tensor.zero_()
    assert torch.equal(given_one, before)


class Counting:
    """An operation that counts how often it runs."""

    def __init__(self):
        self.calls = 0

    def infer(self, inputs, outputs):
        return inputs * outputs

    def apply(self, inputs, outputs):
        self.calls += 1
        return [inputs[0] + n for n in range(outputs)]

    def __str__(self):
        return "counting"


def test_an_operation_runs_once_for_all_its_results(store, save):
    operation = Counting()
    results = apply(operation, store.stored(torch.zeros(2)), outputs=3)
    later = apply(Scale(2.0), results[1])[0]
    exprs = {"later": later, "c": results[2], "a": results[0], "copy": detach(results[2])}
    found = materialise(entries(exprs))
    assert operation.calls == 1
    assert {key: t.tolist() for key, t in found.items()} == {
        "later": [2, 2],
        "c": [2, 2],
        "a": [0, 0],
        "copy": [2, 2],
    }
    save(exprs)
    assert operation.calls == 2


def test_a_long_chain_of_operations(store):
    expr = store.stored(torch.ones(1))
    for _ in range(3000):
        expr = apply(Scale(1.0), expr)[0]
    assert materialise(entries({"a": expr}))["a"].item() == 1


def test_a_failure_names_the_key_and_the_rule(store, save, tmp_path):
    span = Text.plain("** -> float16", "recipe.yaml").span(6, 13)
    expr = apply(Cast(DTYPES["float16"]), store.stored(torch.tensor([1e6])))[0]
    trail = (Touch("cast", "w -> w via cast(float16)", span), Touch("rename", "w -> fc.w"))
    subject = Subject({"fc.w": Entry(expr, trail=trail)})
    for run in (lambda: materialise(subject.entries), lambda: save(subject)):
        with pytest.raises(SurgeryError) as caught:
            run()
        assert caught.value.exit_code == 4
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == "execution"
        assert diagnostic.span == span
        assert diagnostic.message.startswith("`fc.w`: ")
        assert isinstance(caught.value.__cause__, OpError)
    assert list((tmp_path / "out").iterdir()) == [] if (tmp_path / "out").exists() else True


class Broken(Counting):
    def __init__(self, error):
        self.error = error

    def apply(self, inputs, outputs):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("shape mismatch\nat …"), "execution"),
        (MemoryError(), "no-memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"), "no-memory"),
    ],
)
def test_what_torch_raises(store, error, code):
    with pytest.raises(SurgeryError) as caught:
        materialise(entries({"a": apply(Broken(error), store.stored(torch.zeros(2)))[0]}))
    assert caught.value.diagnostics[0].code == code


def test_a_tensor_without_data(save):
    with pytest.raises(SurgeryError, match="meta device"):
        save({"a": held(torch.empty(2, device="meta"))})


# random trees

OPERATIONS = [Transpose(0, 1), Scale(2.0), Chunk(dim=0), Concat(dim=0), Concat(dim=1), Cast(DTYPES["float64"])]


@st.composite
def graphs(draw):
    """Leaves (how they are stored), and operations on earlier results; which results are asked for."""
    leaves = draw(st.lists(st.sampled_from(["stored", "pieces", "strided", "held"]), min_size=1, max_size=4))
    steps = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99), st.integers(0, 99)), max_size=12))
    wanted = draw(st.lists(st.integers(0, 99), min_size=1, max_size=8))
    return leaves, steps, wanted


def grow(store, leaves, steps):
    """Expressions, and beside each the tensor that a plain interpreter makes."""
    pairs = []
    for number, kind in enumerate(leaves):
        tensor = torch.randn(4, 4, generator=torch.Generator().manual_seed(number))
        made = {
            "stored": lambda t=tensor: (store.stored(t), t),
            "pieces": lambda t=tensor: (store.stored(t, pieces=3), t),
            "strided": lambda t=tensor: (store.strided(t.t()), t.t()),
            "held": lambda t=tensor: (held(t), t),
        }
        pairs.append(made[kind]())
    for which, first, second in steps:
        operation = OPERATIONS[which]
        inputs = [pairs[first % len(pairs)]]
        if isinstance(operation, Concat):
            inputs.append(pairs[second % len(pairs)])
        outputs = 2 if isinstance(operation, Chunk) else 1
        try:
            exprs = apply(operation, *(expr for expr, _ in inputs), outputs=outputs)
        except OpError:
            continue
        tensors = operation.apply([tensor.clone() for _, tensor in inputs], outputs)
        pairs.extend(zip(exprs, tensors, strict=True))
    return pairs


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs())
def test_random_graphs_are_what_a_plain_interpreter_makes(store, save, graph):
    leaves, steps, wanted = graph
    pairs = grow(store, leaves, steps)
    asked = {f"t{n}": pairs[which % len(pairs)] for n, which in enumerate(wanted)}
    exprs = {key: expr for key, (expr, _) in asked.items()}
    found = materialise(entries(exprs))
    path = save(exprs, "graph.pt", overwrite=True)
    loaded = torch.load(path, weights_only=True)
    assert list(loaded) == list(found) == list(asked)
    for key, (_, tensor) in asked.items():
        assert found[key].dtype == loaded[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor)
        assert torch.equal(loaded[key], tensor)
    seen = {}
    for key, expr in exprs.items():
        assert (seen.setdefault(id(expr), found[key])) is found[key]


def test_the_number_of_threads_of_torch_is_left_as_it_was(store):
    before = torch.get_num_threads()
    inside = []

    class Asking(Counting):
        def apply(self, inputs, outputs):
            inside.append(torch.get_num_threads())
            return super().apply(inputs, outputs)

    materialise(entries({f"{n}": apply(Asking(), store.stored(torch.zeros(2)))[0] for n in range(4)}))
    assert inside == [1] * 4
    assert torch.get_num_threads() == before
    fresh = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [before]
