"""Random rules over random trees: a recipe and its inverse give every tensor back, bit for bit, or there is none."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formatting import format_recipe
from surgery.recipe import Recipe

State = dict[str, Tensor]

#: ``--fuzz`` asks for more
often = settings(
    max_examples=max(300, settings.default.max_examples), deadline=None, suppress_health_check=list(HealthCheck)
)
WORDS = ["a", "b", "c", "q", "k", "v", "norm", "layers", "x1", "x2", "w", "0", "1", "2", "10", "layer_1"]
ONE_TO_ONE = [
    "transpose(0, 1)", "flip", "flatten", "reshape(2, -1)", "unsqueeze(0)", "permute(1, 0)", "select([1, 0, 3, 2])",
    'rearrange("(a b) c -> b (a c)", a=2)',
]  # fmt: skip


def tree(chance: random.Random) -> State:
    """Some keys, and a family of layers with q, k and v."""
    keys = {".".join(chance.choices(WORDS, k=chance.randint(1, 4))) for _ in range(chance.randint(1, 12))}
    root = chance.choice(WORDS)
    keys |= {f"{root}.{i}.{name}.w" for i in range(chance.randint(0, 4)) for name in "qkv"}
    generator = torch.Generator().manual_seed(chance.randint(0, 99))
    vectors = chance.random() < 0.4
    return {
        key: torch.randn((4,) if vectors and i % 4 == 0 else (4, 6), generator=generator)
        for i, key in enumerate(sorted(keys))
    }


def sides(chance: random.Random, key: str) -> tuple[list[str], list[str]]:
    """The beginning of a key as a selector, and what may become of it."""
    left: list[str] = []
    right: list[str] = []
    names = iter("ijklmn")
    for segment in key.split(".")[: chance.randint(1, 4)]:
        how = chance.random()
        name = next(names)
        if how < 0.4:
            left.append(segment)
            right += chance.choice([[segment], [chance.choice(WORDS)], []])
        elif how < 0.5:
            left.append("*")
            right.append("*")
        elif how < 0.65:
            left.append(f"{{{name}}}")
            right.append(f"{{{name}}}")
        elif how < 0.8 and segment.isdigit():
            left.append(f"{{{name}:int}}")
            forms = ["{i}", "{i + 1}", "{2 * i}", "{2 * i + 1}", "{9 - i}", "{i // 2}.{i % 2}", "{i // 2}"]
            right.append(chance.choice(forms).replace("i", name))
        elif how < 0.92:
            some = list(dict.fromkeys([*chance.sample(WORDS, 2), segment]))
            left.append(f"({'|'.join(some)})")
            right.append(f"({'|'.join(chance.sample([*WORDS, 'y.z', 'u.0'], len(some)))})")
        else:
            left.append("**")
            right.append("**")
    return left, right or [chance.choice(WORDS)]


def rule(chance: random.Random, state: State, *, computes: bool) -> str:
    left, right = sides(chance, chance.choice(sorted(state)))
    if chance.random() < 0.2:
        right.insert(0, chance.choice(WORDS))
    via = ""
    if computes and chance.random() < 0.6:
        how = chance.choice(["one", "apart", "together"])
        if how == "apart":
            scattered, via = chance.choice([("(q|k)", "chunk"), ("{e}", "unstack"), ("(a|b)", "split([1, 3])")])
            right.append(scattered)
        elif how == "together":
            gathered = [part for part in right if part[0] == "("] or right[:1]
            right = [part for part in right if part != gathered[0]] or ["z"]
            via = chance.choice(["concat", "stack", "concat(dim=1) | transpose(0, 1)"])
        else:
            via = chance.choice(ONE_TO_ONE)
    selector = ".".join(left) + (f" except {chance.choice(WORDS)}" if chance.random() < 0.1 else "")
    optional = "optional " if chance.random() < 0.5 else ""
    return f"{optional}{selector} -> {'.'.join(right)}" + (f" via {via}" if via else "")


def recipes(chance: random.Random, state: State) -> tuple[Recipe | None, State]:
    """A recipe of one or two steps that can be done, if there is one, and what it makes."""
    steps: list[dict[str, Any]] = []
    made = state
    for _ in range(chance.randint(1, 2)):
        name = chance.choice(["rename", "convert"])
        rules = "\n".join(rule(chance, made, computes=name == "convert") for _ in range(chance.randint(1, 3)))
        try:
            made = surgery.load([{name: rules}]).run(state_dict=made).state_dict
        except SurgeryError:
            break
        steps.append({name: rules})
    return (surgery.load(steps) if steps else None), made


def inverse_of(recipe: Recipe, *known: State) -> Recipe | None:
    try:
        return recipe.invert(*known)
    except SurgeryError as error:
        if any(d.code != "no-inverse" for d in error.diagnostics if d.severity == "error"):
            raise
        return None


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@often
@given(st.randoms(use_true_random=False))
def test_on_the_keys_of_a_checkpoint(chance: random.Random) -> None:
    state = tree(chance)
    recipe, made = recipes(chance, state)
    inverse = inverse_of(recipe, state) if recipe else None
    if inverse is not None:
        assert same(inverse.run(state_dict=made).state_dict, state)
        assert format_recipe(inverse.text) == inverse.text
        assert Recipe.of_text(inverse.text).warnings == ()


@often
@given(st.randoms(use_true_random=False))
def test_without_a_checkpoint_on_any(chance: random.Random) -> None:
    """What is proved of the rules alone holds for every checkpoint that the recipe takes, if all was proved."""
    state = tree(chance)
    recipe, made = recipes(chance, state)
    inverse = inverse_of(recipe) if recipe else None
    if inverse is not None and not inverse.warnings:
        assert same(inverse.run(state_dict=made).state_dict, state)


def test_there_are_inverses_among_these() -> None:
    """The laws above say something: of what can be done, most has an inverse, and rules are narrowed for it."""
    given_, narrowed, proved = 0, 0, 0
    for seed in range(150):
        chance = random.Random(seed)
        state = tree(chance)
        recipe, _ = recipes(chance, state)
        inverse = inverse_of(recipe, state) if recipe else None
        given_ += inverse is not None
        narrowed += inverse is not None and bool(inverse.warnings)
        proved += recipe is not None and inverse_of(recipe) is not None
    assert given_ > 40
    assert narrowed > 5
    assert proved > 10
