"""Laws of steps and formats, bit for bit, over random state dicts: there and back again is where it began."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import load_file
from torch import Tensor

import surgery

State = dict[str, Tensor]

#: ``--fuzz`` asks for more
often = settings(
    max_examples=max(100, settings.default.max_examples), deadline=None, suppress_health_check=list(HealthCheck)
)
words = st.sampled_from(["a", "b", "c", "weight", "0", "1", "10"])
keys = st.lists(st.lists(words, min_size=2, max_size=4).map(".".join), min_size=1, max_size=6, unique=True)
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.complex64]


def tensor(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """Random bits, so NaNs of every kind too; sometimes no contiguous tensor."""
    dtype = draw(st.sampled_from(DTYPES))
    size = torch.Size(shape).numel() * dtype.itemsize
    chance = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    raw = torch.randint(256, (size,), dtype=torch.uint8, generator=chance)
    made = raw.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
    return made.transpose(0, -1).contiguous().transpose(0, -1) if len(shape) > 1 and draw(st.booleans()) else made


@st.composite
def states(draw: st.DrawFn) -> State:
    shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
    return {key: tensor(draw, draw(shapes)) for key in draw(keys)}


def bits(state: State) -> dict[str, tuple[Any, ...]]:
    """What a state dict is, to the bit."""
    raw = {key: t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() for key, t in state.items() if t.numel()}
    return {key: (t.dtype, tuple(t.shape), raw.get(key, b"")) for key, t in state.items()}


def operate(state: State, *steps: dict[str, Any]) -> State:
    return surgery.load({"steps": list(steps)}).plan(state_dict=state).execute().state_dict


def rename(*rules: tuple[str, str]) -> dict[str, Any]:
    return {"rename": {"rules": "\n".join(f"{left} -> {right}" for left, right in rules), "rest": "keep"}}


@st.composite
def renamings(draw: st.DrawFn) -> tuple[State, list[tuple[str, str]]]:
    """A state dict, and rules that are undone by reading them backwards; `zz` is in no key."""
    state = draw(states())
    some = list(state)
    first = some[0].split(".")[0]
    shuffled = draw(st.permutations(some))
    ways = [[("**", "zz.**")], [("{a}.**", "{a}.zz.**")]]
    ways += [[(f"{first}.**", f"zz.{first}.**")], [("{a}.{b}.**", "{b}.{a}.zz.**")]]
    exact = list(zip(some, shuffled, strict=True))
    # a path alone also selects what is below it
    nested = any(other.startswith(f"{key}.") for key in some for other in some)
    return state, draw(st.sampled_from(ways if nested else [*ways, exact]))


@often
@given(case=renamings())
def test_a_renaming_and_its_inverse(case: tuple[State, list[tuple[str, str]]]) -> None:
    state, rules = case
    there = operate(state, rename(*rules))
    assert len(there) == len(state)
    back = [(right, left) for left, right in rules]
    assert bits(operate(there, rename(*back))) == bits(state)
    assert bits(operate(state, rename(*rules), rename(*back))) == bits(state)


@often
@given(state=states(), data=st.data())
def test_filtering_twice_is_filtering_once(state: State, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(list(state)), min_size=1, max_size=3, unique=True))
    keep = {"filter": {"keep": " | ".join(key.rsplit(".", data.draw(st.integers(0, 1)))[0] for key in some)}}
    once = operate(state, keep)
    assert bits(once) == {key: value for key, value in bits(state).items() if key in once}
    assert bits(operate(state, keep, keep)) == bits(operate(once, keep)) == bits(once)


OUTPUTS: list[dict[str, Any]] = [
    {"path": "model.safetensors"},
    {"path": "shards/", "shard_size": 64},
    {"path": "model.pt"},
    {"path": "old.pt", "format": "torch-legacy"},
]


@often
@given(state=states(), output=st.sampled_from(OUTPUTS))
def test_saving_and_loading(state: State, output: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / output["path"]
    surgery.load({"output": {**output, "path": str(path)}}).run(state_dict=state, overwrite=True)
    assert bits(surgery.load({"source": {"checkpoint": str(path)}}).run().state_dict) == bits(state)
    assert bits(read_back(path)) == bits(state)


def read_back(path: Path) -> State:
    """What the library of the format reads."""
    if path.is_dir():
        shards = [load_file(shard) for shard in path.glob("*.safetensors")]
        return {key: value for shard in shards for key, value in shard.items()}
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(io.BytesIO(path.read_bytes()), weights_only=True)


@st.composite
def splittable(draw: st.DrawFn) -> tuple[State, str, str]:
    """A state dict, how its tensors are taken apart, and how they are put together."""
    parts = draw(st.integers(2, 3))
    shape = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(1, 3)))]
    dim = draw(st.integers(0, len(shape) - 1))
    dim -= draw(st.sampled_from([0, len(shape)]))
    cut, join = draw(st.sampled_from([("chunk", "concat"), ("unstack", "stack")]))
    shape[dim] = parts if cut == "unstack" else parts * shape[dim]
    state = {f"{key}.w": tensor(draw, tuple(shape)) for key in draw(keys)}
    group = "(" + "|".join("xyz"[:parts]) + ")"
    whole, parted = "{k:**}.w", f"{{k:**}}.{group}.w"
    split = f"{whole} -> {{k}}.{group}.w via {cut}(dim={dim})"
    return state, split, f"{parted} -> {{k}}.w via {join}(dim={dim})"


@often
@given(case=splittable())
def test_splitting_and_merging(case: tuple[State, str, str]) -> None:
    state, split, merge = case
    parts = operate(state, {"convert": split})
    assert len(parts) >= 2 * len(state)
    assert bits(operate(parts, {"convert": merge})) == bits(state)
    assert bits(operate(state, {"convert": split}, {"convert": merge})) == bits(state)
