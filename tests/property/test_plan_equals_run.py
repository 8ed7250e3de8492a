"""Random recipes over random state dicts: what the plan says is what the run makes, and what a plain interpreter makes.

The interpreter knows nothing of the product but its reference page: it matches by trying everything, renames by joining
words, and computes with torch. Where it fails, Surgery must report an error; where it does not, Surgery must not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import save_file
from torch import Tensor

import surgery
from surgery.diagnostics import SurgeryError
from surgery.plan import Plan

State = dict[str, Tensor]


class WrongError(Exception):
    """The recipe is wrong, by the reference."""


# --- the interpreter -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """What a pattern took: stars in order, captures, which alternative of each group; and the rest of the key."""

    stars: tuple[str, ...] = ()
    captures: tuple[tuple[str, str], ...] = ()
    groups: tuple[int, ...] = ()
    rest: tuple[str, ...] = ()


def alternatives(segment: str) -> list[str]:
    return segment[1:-1].split("|")


def ways(pattern: Sequence[str], key: Sequence[str], taken: Match) -> Iterator[Match]:
    """Every way to match the whole of `key`, `**` taking little first."""
    if not pattern:
        if not key:
            yield taken
        return
    first, others = pattern[0], pattern[1:]
    if first == "**":
        for length in range(len(key) + 1):
            star = ".".join(key[:length])
            yield from ways(others, key[length:], Match((*taken.stars, star), taken.captures, taken.groups))
    elif key:
        stars, captures, groups = taken.stars, dict(taken.captures), taken.groups
        if first == "*":
            stars = (*stars, key[0])
        elif first.startswith("{"):
            if captures.setdefault(first, key[0]) != key[0]:
                return
        elif first.startswith("("):
            if key[0] not in alternatives(first):
                return
            groups = (*groups, alternatives(first).index(key[0]))
        elif first != key[0]:
            return
        yield from ways(others, key[1:], Match(stars, tuple(captures.items()), groups))


def match(pattern: str, key: str) -> Match | None:
    """The topmost leading part of the key that matches; of several ways the one whose `**` takes least."""
    segments = key.split(".")
    for length in range(len(segments) + 1):
        for found in ways(pattern.split("."), segments[:length], Match()):
            return Match(found.stars, found.captures, found.groups, tuple(segments[length:]))
    return None


def fill(template: str, found: Match, groups: Sequence[int]) -> str:
    """The key of a template; `groups` says which alternative each group on the right stands for."""
    stars, captures, numbers = iter(found.stars), dict(found.captures), iter(groups)
    words = []
    for segment in template.split("."):
        if segment in ("*", "**"):
            words.append(next(stars))
        elif segment.startswith("{"):
            words.append(captures[segment])
        elif segment.startswith("("):
            words.append(alternatives(segment)[next(numbers)])
        else:
            words.append(segment)
    key = ".".join(word for word in (*words, *found.rest) if word)
    if not key:
        raise WrongError("an empty key")
    return key


def put(state: State, key: str, tensor: Tensor) -> None:
    if key in state:
        raise WrongError(f"two tensors on {key}")
    state[key] = tensor


Rule = tuple[str, str, str]


def firsts(rules: Sequence[Rule], state: State) -> dict[str, tuple[int, Match]]:
    """For each key the first rule that selects it; a rule without a key is an error."""
    chosen = {}
    for key in state:
        for number, (left, *_) in enumerate(rules):
            if (found := match(left, key)) is not None:
                chosen[key] = number, found
                break
    if {number for number, _ in chosen.values()} != set(range(len(rules))):
        raise WrongError("an idle rule")
    return chosen


def rename(state: State, rules: Sequence[Rule], rest: str) -> State:
    chosen, made = firsts(rules, state), State()
    for key, tensor in state.items():
        if key in chosen:
            number, found = chosen[key]
            put(made, fill(rules[number][1], found, found.groups), tensor)
        elif rest == "error":
            raise WrongError("a key of no rule")
        elif rest == "keep":
            put(made, key, tensor)
    return made


def copy(state: State, rules: Sequence[Rule]) -> State:
    made = dict(state)
    for left, right, _ in rules:
        pairs = [(key, found) for key in state if (found := match(left, key)) is not None]
        if not pairs:
            raise WrongError("an idle rule")
        for key, found in pairs:
            put(made, fill(right, found, found.groups), state[key])
    return made


OPERATIONS: dict[str, Callable[[list[Tensor], int], list[Tensor]]] = {
    "transpose(0, 1)": lambda some, _: [one.transpose(0, 1) for one in some],
    "flatten": lambda some, _: [one.flatten() for one in some],
    "unsqueeze(0)": lambda some, _: [one.unsqueeze(0) for one in some],
    "cast(float64)": lambda some, _: [one.to(torch.float64) for one in some],
    "slice(0, 1)": lambda some, _: [one[0:1] for one in some],
    "chunk(dim=0)": lambda some, n: list(parted(some[0], n)),
    "unstack(dim=-1)": lambda some, n: list(some[0].unbind(-1)) if some[0].shape[-1] == n else wrong(),
    "concat(dim=0)": lambda some, _: [torch.cat(some)],
    "stack(dim=0)": lambda some, _: [torch.stack(some)],
    "sum": lambda some, _: [torch.stack(some).sum(0, dtype=some[0].dtype)],
}


def wrong() -> Any:
    raise WrongError("an operation")


def parted(tensor: Tensor, count: int) -> tuple[Tensor, ...]:
    return tensor.chunk(count) if tensor.shape[0] % count == 0 else wrong()


def convert(state: State, rules: Sequence[Rule], rest: str) -> State:
    chosen, made = firsts(rules, state), State()
    for key, tensor in state.items():
        if key not in chosen:
            if rest == "error":
                raise WrongError("a key of no rule")
            if rest == "keep":
                put(made, key, tensor)
    for number, (left, right, via) in enumerate(rules):
        gathers, scatters = "(" in left and "(" not in right, "(" in right and "(" not in left
        groups: dict[Match, dict[tuple[int, ...], Tensor]] = {}
        for key, (owner, found) in chosen.items():
            if owner == number:
                same = Match(found.stars, found.captures, () if gathers else found.groups, found.rest)
                groups.setdefault(same, {})[found.groups if gathers else ()] = state[key]
        for found, members in groups.items():
            if gathers and len(members) != len(alternatives(next(w for w in left.split(".") if w[0] == "("))):
                raise WrongError("an incomplete group")
            inputs = [members[place] for place in sorted(members)]
            if len({one.dtype for one in inputs}) > 1:
                raise WrongError("dtypes")
            names = alternatives(next(w for w in right.split(".") if w[0] == "(")) if scatters else [""]
            try:
                results = OPERATIONS[via](inputs, len(names))
            except (RuntimeError, IndexError) as error:
                raise WrongError(str(error)) from error
            for place, result in enumerate(results):
                put(made, fill(right, found, (place,) if scatters else found.groups), result)
    return made


def selected(selector: str, state: State) -> set[str]:
    """The keys of ``a | b except c``; each part must select something, the exception something of the rest."""
    base, _, minus = selector.partition(" except ")
    parts = [{key for key in state if match(part, key) is not None} for part in base.split(" | ")]
    taken = set().union(*parts)
    gone = {key for key in taken if minus and match(minus, key) is not None}
    if not all(parts) or bool(minus) != bool(gone) or not taken - gone:
        raise WrongError("an idle selector")
    return taken - gone


def filtered(state: State, keep: str | None, drop: str | None) -> State:
    if keep is not None:
        kept = selected(keep, state)
        state = {key: tensor for key, tensor in state.items() if key in kept}
    if drop is not None:
        dropped = selected(drop, state)
        state = {key: tensor for key, tensor in state.items() if key not in dropped}
    return state


def cast(state: State, rules: Sequence[Rule]) -> State:
    chosen = firsts(rules, state)
    made = dict(state)
    for key, (number, _) in chosen.items():
        if state[key].is_floating_point():
            made[key] = state[key].to(getattr(torch, rules[number][1]))
    return made


def interpreted(state: State, steps: Sequence[dict[str, Any]]) -> State:
    for step in steps:
        (name, what), *_ = step.items()
        if name in ("rename", "convert"):
            state = {"rename": rename, "convert": convert}[name](state, what["rules"], what["rest"])
        elif name == "filter":
            state = filtered(state, what.get("keep"), what.get("drop"))
        elif name == "extract":
            state = {key.removeprefix(f"{what}."): t for key, t in state.items() if key.startswith(f"{what}.")}
            if not state:
                raise WrongError("nothing below")
        elif name == "create":
            state = dict(state)
            put(state, what[0], torch.zeros(what[1]))
        else:
            state = {"copy": copy, "cast": cast}[name](state, what)
    return state


# --- recipes and state dicts -----------------------------------------------------------------------------------------

WORDS = ["a", "b", "c", "0", "1", "10"]
word = st.sampled_from(WORDS)
GROUPS = ["(a|b)", "(0|1)", "(b|c|a)"]


@st.composite
def states(draw: st.DrawFn) -> State:
    keys = draw(st.lists(st.lists(word, min_size=1, max_size=4).map(".".join), min_size=1, max_size=9, unique=True))
    shapes = st.sampled_from([(4, 2), (4, 2), (4, 2), (2, 4), (6,), ()])
    dtypes = st.sampled_from([torch.float32, torch.float32, torch.float16, torch.int64])
    state = State()
    for number, key in enumerate(keys):
        shape, dtype = draw(shapes), draw(dtypes)
        count = torch.Size(shape).numel()
        state[key] = (torch.arange(count) + 16 * number).reshape(shape).to(dtype)
    return state


def generalised(draw: st.DrawFn, key: str, *, group: str | None = None) -> list[str]:
    """A pattern that (mostly) matches a key of the state dict."""
    segments = key.split(".")[: draw(st.integers(1, 4))]
    used = 0
    for at, segment in enumerate(segments):
        kind = draw(st.sampled_from(["word", "word", "word", "*", "{", "**"]))
        if kind == "{":
            segments[at] = "{" + "xyzw"[used] + "}"
            used += 1
        elif kind != "word":
            segments[at] = kind
        elif draw(st.integers(0, 19)) == 0:
            segments[at] = draw(word)
        if group is not None and segment in alternatives(group):
            segments[at], group = group, None
    return segments


def renamed(draw: st.DrawFn, left: list[str]) -> list[str]:
    """A right side for a left one: its stars, captures and groups in order, among words."""
    right = [segment for segment in left if not segment[0].isalnum()]
    for _ in range(draw(st.integers(0 if right else 1, 2))):
        right.insert(draw(st.integers(0, len(right))), draw(st.sampled_from([*WORDS, "new", "x1"])))
    return right


@st.composite
def rules(draw: st.DrawFn, state: State, step: str) -> list[Rule]:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        group = draw(st.sampled_from([None, None, *GROUPS]))
        left = generalised(draw, draw(st.sampled_from(list(state))), group=group)
        if step == "cast":
            right, via = [draw(st.sampled_from(["float16", "float32", "float64"]))], ""
        else:
            right = renamed(draw, left)
            one = [name for name in OPERATIONS if name[:5] not in ("chunk", "unsta", "conca", "stack", "sum")]
            via = draw(st.sampled_from(one))
            grouped = [at for at, segment in enumerate(right) if segment.startswith("(")]
            if step == "convert" and grouped and draw(st.booleans()):
                right[grouped[0]] = "new"
                via = draw(st.sampled_from(["concat(dim=0)", "stack(dim=0)", "sum"]))
            elif step == "convert" and not grouped and draw(st.booleans()):
                right.insert(draw(st.integers(0, len(right))), draw(st.sampled_from(GROUPS)))
                via = draw(st.sampled_from(["chunk(dim=0)", "unstack(dim=-1)"]))
        made.append((".".join(left), ".".join(right), via))
    return made


@st.composite
def selectors(draw: st.DrawFn, state: State) -> str:
    def path() -> str:
        return ".".join(generalised(draw, draw(st.sampled_from(list(state)))))

    selector = " | ".join(path() for _ in range(draw(st.integers(1, 2))))
    return f"{selector} except {path()}" if draw(st.integers(0, 3)) == 0 else selector


STEPS = ["rename", "rename", "copy", "convert", "convert", "convert", "filter", "cast", "extract", "create"]


@st.composite
def a_step(draw: st.DrawFn, state: State) -> dict[str, Any]:
    name = draw(st.sampled_from(STEPS))
    if name in ("rename", "convert"):
        rest = draw(st.sampled_from(["keep", "keep", "keep", "drop", "error"]))
        return {name: {"rules": draw(rules(state, name)), "rest": rest}}
    if name in ("copy", "cast"):
        return {name: draw(rules(state, name))}
    if name == "filter":
        which = draw(st.sampled_from([("keep",), ("drop",), ("keep", "drop")]))
        return {name: {one: draw(selectors(state)) for one in which}}
    if name == "extract":
        return {name: draw(st.sampled_from(list(state))).split(".")[0]}
    key = ".".join(draw(st.lists(word, min_size=1, max_size=3)))
    return {name: [key, draw(st.lists(st.integers(0, 3), max_size=3))]}


@st.composite
def recipes(draw: st.DrawFn) -> tuple[State, list[dict[str, Any]]]:
    """A state dict, and steps about the keys that are there when the step comes; most of them are right."""
    first = state = draw(states())
    steps: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        for _ in range(6):
            step = draw(a_step(state))
            try:
                after = interpreted(state, [step])
                break
            except WrongError:
                if draw(st.integers(0, 9)) == 0:
                    return first, [*steps, step]
        else:
            return first, [*steps, step]
        steps.append(step)
        state = after
        if not state:
            break
    return first, steps


def written(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps as a recipe has them."""

    def lines(some: Sequence[Rule], *, via: bool) -> str:
        return "\n".join(f"{left} -> {right}" + (f" via {op}" if via else "") for left, right, op in some)

    found = []
    for step in steps:
        (name, what), *_ = step.items()
        if name in ("rename", "convert"):
            what = {"rules": lines(what["rules"], via=name == "convert"), "rest": what["rest"]}
        elif name in ("copy", "cast"):
            what = lines(what, via=False)
        elif name == "create":
            what = f"{what[0]} -> zeros({', '.join(map(str, what[1] or [[]]))})"
        found.append({name: what})
    return found


# --- the law ---------------------------------------------------------------------------------------------------------

#: ``--fuzz`` asks for more
often = settings(
    max_examples=max(120, settings.default.max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)


def planned(steps: Sequence[dict[str, Any]], state: State, file: Path | None) -> Plan:
    """The plan for tensors in memory, or in a file."""
    recipe: dict[str, Any] = {"steps": written(steps)}
    if file is None:
        return surgery.load(recipe).plan(state_dict=state)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    return surgery.load({"source": {"checkpoint": str(file)}, **recipe}).plan()


def check(state: State, steps: Sequence[dict[str, Any]], file: Path | None = None) -> bool:
    """Whether the recipe could be run; everything about it is asserted."""
    before = {key: tensor.clone() for key, tensor in state.items()}
    try:
        wanted: State | None = interpreted(state, steps)
    except WrongError:
        wanted = None
    plan, errors = None, ""
    try:
        plan = planned(steps, state, file)
    except SurgeryError as error:
        errors = str(error)
    if plan is None or wanted is None:
        assert plan is None, "the plan should have failed"
        assert wanted is None, errors
        return False
    specs = {key: (entry.spec.shape, entry.spec.dtype.name) for key, entry in plan.subject.entries.items()}
    made = plan.execute().state_dict
    assert {key: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for key, t in made.items()} == specs
    assert list(made) == list(specs)
    assert made.keys() == wanted.keys()
    assert all(same(made[key], wanted[key]) for key in made)
    assert all(same(state[key], before[key]) for key in before)
    held = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    assert not any(tensor.untyped_storage().data_ptr() in held for tensor in made.values() if tensor.numel())
    return True


@often
@given(recipe=recipes())
def test_tensors_in_memory(recipe: tuple[State, list[dict[str, Any]]]) -> None:
    check(*recipe)


@often
@given(recipe=recipes())
def test_tensors_in_a_file(
    recipe: tuple[State, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(*recipe, file=tmp_path_factory.getbasetemp() / "random.safetensors")
