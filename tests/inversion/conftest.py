from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import surgery
from surgery.diagnostics import SurgeryError
from surgery.recipe import Recipe

State = dict[str, Tensor]


@pytest.fixture
def state() -> Callable[..., State]:
    """A state dict of key -> shape, no two tensors alike."""

    def make(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype = torch.float32) -> State:
        chance = torch.Generator().manual_seed(0)
        return {key: torch.randn(shape, generator=chance).to(dtype) for key, shape in shapes.items()}

    return make


def same(one: State, other: State) -> bool:
    """Whether two state dicts are the same, bit for bit."""
    return one.keys() == other.keys() and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


@pytest.fixture
def there_and_back() -> Callable[..., Recipe]:
    """The inverse of some steps on a state dict, after it has shown that it gives every tensor back."""

    def check(steps: list[Any], tensors: State, *, known: bool = True, **options: Any) -> Recipe:
        recipe = surgery.load(steps)
        inverse = recipe.invert(tensors, **options) if known else recipe.invert(**options)
        there = recipe.run(state_dict=tensors).state_dict
        assert same(inverse.run(state_dict=there).state_dict, tensors)
        return inverse

    return check


@pytest.fixture
def lines() -> Callable[[Recipe], list[str]]:
    """The steps of a recipe as they are written, line by line, without indentation."""

    def of(recipe: Recipe) -> list[str]:
        _, _, steps = recipe.text.partition("steps:\n")
        return [line.strip() for line in steps.splitlines() if line.strip()]

    return of


@pytest.fixture
def refused() -> Callable[..., list[str]]:
    """The messages of what keeps some steps from having an inverse."""

    def of(steps: list[Any], tensors: State | None = None, **options: Any) -> list[str]:
        with pytest.raises(SurgeryError) as found:
            surgery.load(steps).invert(tensors, **options)
        wrong = [d for d in found.value.diagnostics if d.severity == "error"]
        assert {d.code for d in wrong} == {"no-inverse"}
        assert all(d.span is not None for d in wrong)
        return [d.message for d in wrong]

    return of
