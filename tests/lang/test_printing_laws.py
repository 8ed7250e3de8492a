"""What is printed is read again as the same form, whatever the form."""

from __future__ import annotations

import keyword
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from surgery.lang import expression as ex
from surgery.lang import parse_expression, parse_rules, parse_selector
from surgery.lang.path import Capture, Deep, Group, Literal, ParameterText, Path, Segment, Star
from surgery.lang.rule import Assignments, Devices, Join, KeyTarget, Layer, Rule
from surgery.lang.selector import Except, Guarded, Union
from surgery.lang.template import Hole, Mapped, TargetSegment, Template
from surgery.text import Text

often = settings(max_examples=80, deadline=None)

# --- words ---------------------------------------------------------------------------------------------------------

WORDS = [
    "if",
    "except",
    "via",
    "with",
    "optional",
    "or",
    "and",
    "not",
    "in",
    "int",
    "->",
    "→",
    "a.b",
    "**",
    "*",
    "#",
    " #",
]
QUOTES = [
    '"',
    "'",
    "\\",
    "\"'",
    "a b",
    "a|b",
    "(a|b)",
    "{i}",
    "$x",
    "[C]",
    "a,b",
    "a\nb",
    "\u202e",
    "é",
    "層",
    "a-",
    "->x",
    ".",
]
anything = st.one_of(
    st.sampled_from(WORDS + QUOTES),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
    st.from_regex(r"[\w/:@+-]{1,6}", fullmatch=True),
)
RESERVED = {"and", "or", "not", "in", "True", "False", "None"}
names = st.from_regex(r"[a-z_é][a-z0-9_]{0,4}", fullmatch=True).filter(lambda name: name not in RESERVED)
classes = st.from_regex(r"[A-Z][a-z0-9]{0,5}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))


@st.composite
def alternatives(draw: st.DrawFn, least: int = 1) -> tuple[tuple[str, ...], ...]:
    segment = anything.map(lambda text: text.replace(".", "_"))
    listed = st.lists(st.lists(segment, min_size=1, max_size=2).map(tuple), min_size=least, max_size=3, unique=True)
    return tuple(draw(listed))


# --- selectors -----------------------------------------------------------------------------------------------------


@st.composite
def segments(draw: st.DrawFn, fresh: list[str]) -> Segment:
    types = tuple(draw(st.lists(classes, max_size=2))) if draw(st.integers(0, 5)) == 0 else ()
    if draw(st.integers(0, 4)) == 0:
        return Segment((Capture(fresh.pop(), "deep") if draw(st.booleans()) else Deep(),), types)
    parts: list[Any] = []
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.integers(0, 6)):
            case 0 | 1:
                part: Any = Literal(draw(anything))
            case 2:
                part = Star()
            case 3:
                part = Group(draw(alternatives()))
            case 4:
                part = ParameterText(draw(names))
            case 5:
                part = Capture(fresh.pop(), draw(st.sampled_from(["text", "int"])))
            case _:
                part = Capture(fresh.pop(), "one_of", draw(alternatives()))
        before = parts[-1] if parts else None
        if isinstance(part, Literal) and isinstance(before, Literal):
            continue
        if isinstance(part, Star | Capture) and isinstance(before, Star | Capture):
            continue
        parts.append(part)
    return Segment(tuple(parts), types)


def fresh_names() -> list[str]:
    return [f"c{i}" for i in range(200)]


@st.composite
def paths(draw: st.DrawFn, fresh: list[str] | None = None) -> Path:
    fresh = fresh_names() if fresh is None else fresh
    return Path(tuple(draw(segments(fresh)) for _ in range(draw(st.integers(1, 3)))))


@st.composite
def selectors(draw: st.DrawFn, fresh: list[str], depth: int = 2) -> Any:
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(paths(fresh))
    match draw(st.integers(0, 2)):
        case 0:
            operands = [draw(selectors(fresh, depth - 1)) for _ in range(draw(st.integers(2, 3)))]
            assume(not any(isinstance(operand, Union) for operand in operands))
            return Union(tuple(operands))
        case 1:
            return Except(draw(selectors(fresh, depth - 1)), draw(selectors(fresh, depth - 1)))
    return Guarded(draw(selectors(fresh, depth - 1)), draw(conditions))


@st.composite
def whole_selectors(draw: st.DrawFn, depth: int = 2) -> Any:
    return draw(selectors(fresh_names(), depth))


# --- expressions ---------------------------------------------------------------------------------------------------

integers = st.integers(-(2**63) + 1, 2**63 - 1).map(ex.Const)
numbers = st.one_of(integers, st.floats(allow_nan=False, allow_infinity=False).map(ex.Const))
texts = anything.map(ex.Const)
atoms = st.one_of(
    numbers, texts, st.sampled_from([True, False, None]).map(ex.Const), names.map(ex.Name), names.map(ex.Parameter)
)


def _is_number(expression: ex.Expression) -> bool:
    return isinstance(expression, ex.Const) and type(expression.value) in (int, float)


def _larger(inner: st.SearchStrategy[ex.Expression]) -> st.SearchStrategy[ex.Expression]:
    pairs = st.tuples(names, inner)
    comparators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    base = st.one_of(names.map(ex.Name), st.builds(ex.Call, names))
    return st.one_of(
        st.builds(ex.Arithmetic, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner),
        st.builds(ex.Boolean, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(ex.Not, inner),
        inner.filter(lambda e: not _is_number(e)).map(ex.Minus),
        st.builds(ex.Attribute, base, names),
        st.builds(ex.Index, base, inner),
        st.lists(inner, max_size=3).map(lambda items: ex.ListOf(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: ex.ListOf(tuple(items), is_tuple=True)),
        st.builds(
            lambda operands, operators: ex.Comparison(tuple(operands), tuple(operators[: len(operands) - 1])),
            st.lists(inner, min_size=2, max_size=3),
            st.lists(comparators, min_size=2, max_size=2),
        ),
        st.builds(
            lambda name, args, kwargs, rest: ex.Call(name, (*args, *rest), tuple(dict(kwargs).items())),
            st.lists(names, min_size=1, max_size=3).map(".".join),
            st.lists(inner.filter(_is_argument), max_size=3),
            st.lists(pairs.filter(lambda pair: _is_argument(pair[1])), max_size=2),
            st.sampled_from([(), (ex.Inherit(),)]),
        ),
    )


def _is_argument(expression: ex.Expression) -> bool:
    return not isinstance(expression, ex.Comparison | ex.Boolean | ex.Not)


expressions = st.recursive(atoms, _larger, max_leaves=8)
calls = st.builds(ex.Call, names, st.lists(expressions.filter(_is_argument), max_size=3).map(tuple))

# conditions that make sense: the checks refuse the others
facts = st.sampled_from([ex.Name("ndim"), ex.Name("numel"), ex.Index(ex.Name("shape"), ex.Const(0))])
quantities = st.recursive(
    st.one_of(facts, integers),
    lambda q: st.builds(ex.Arithmetic, st.sampled_from(["+", "-", "*", "//", "%"]), q, q),
    max_leaves=4,
)
comparisons = st.one_of(
    st.builds(lambda a, b: ex.Comparison((a, b), ("<",)), quantities, quantities),
    st.builds(lambda a, b, c: ex.Comparison((a, b, c), ("<=", "!=")), quantities, quantities, quantities),
    st.builds(lambda a: ex.Comparison((ex.Name("key"), a), ("==",)), texts),
    st.just(ex.Comparison((ex.Name("dtype"), ex.ListOf((ex.Name("int64"), ex.Name("bool")))), ("not in",))),
    st.just(ex.Comparison((ex.Name("kind"), ex.Name("buffer")), ("==",))),
    st.just(ex.Name("floating")),
)
conditions = st.recursive(
    comparisons,
    lambda c: st.one_of(st.builds(ex.Boolean, st.sampled_from(["and", "or"]), c, c), st.builds(ex.Not, c)),
    max_leaves=4,
)

# --- templates and rules -------------------------------------------------------------------------------------------


@st.composite
def templates(draw: st.DrawFn, path: Path) -> Template:
    """A template that takes what `path` gives."""
    stars = [part for part in path.parts() if isinstance(part, Star | Deep)]
    groups = [part for part in path.parts() if isinstance(part, Group)]
    found: list[TargetSegment] = []
    for part in [*stars, *path.captures(), *(groups if draw(st.booleans()) else [])]:
        parts: list[Any] = [Literal(draw(anything))] if draw(st.booleans()) else []
        match part:
            case Deep():
                parts = [part]
            case Star():
                parts.append(part)
            case Group():
                parts.append(Group(draw(_as_many(part.alternatives))))
            case Capture(kind="one_of"):
                parts.append(Mapped(part.name, draw(_as_many(part.alternatives))))
                assume(parts[-1].alternatives not in ((("int",),),))
            case Capture(kind="int"):
                number = ex.Const(draw(st.integers(0, 9)))
                parts.append(Hole(ex.Arithmetic(draw(st.sampled_from("+-*%")), ex.Name(part.name), number)))
            case _:
                parts.append(Hole(ex.Name(part.name)))
        found.append(TargetSegment(tuple(parts)))
    if not found or draw(st.booleans()):
        found.insert(0, TargetSegment((Literal(draw(anything)),)))
    return Template(tuple(found))


def _as_many(listed: tuple) -> st.SearchStrategy[tuple]:
    return alternatives(len(listed)).filter(lambda found: len(found) == len(listed))


@st.composite
def key_rules(draw: st.DrawFn) -> Rule:
    path = draw(paths())
    operations = tuple(draw(st.lists(st.one_of(calls, names.map(ex.Name)), max_size=2)))
    left: Any = path
    match draw(st.integers(0, 3)):
        case 0:
            left = Guarded(path, draw(conditions))
        case 1:
            left = Except(path, draw(paths([f"d{i}" for i in range(20)])))
    listed = bool(operations) and draw(st.booleans())
    found = tuple(draw(templates(path)) for _ in range(draw(st.integers(1, 2)) if listed else 1))
    return Rule(left, KeyTarget(found, operations, listed), draw(st.booleans()))


@st.composite
def joins(draw: st.DrawFn) -> Rule:
    name = "m"
    parts = [
        Path((Segment((Literal(draw(anything)),)), Segment((Capture(name),)))) for _ in range(draw(st.integers(1, 3)))
    ]
    condition = draw(conditions) if draw(st.booleans()) else None
    target = KeyTarget((Template((TargetSegment((Hole(ex.Name(name)),)),)),), (draw(calls),))
    return Rule(Join(tuple(parts), condition), target)


def rules_of(kind: str) -> st.SearchStrategy[Rule]:
    literal = st.lists(anything, min_size=1, max_size=3).map(
        lambda texts: Template(tuple(TargetSegment((Literal(text),)) for text in texts))
    )
    right: dict[str, st.SearchStrategy[Any]] = {
        "layer": st.builds(Layer, calls, st.one_of(st.none(), calls, names.map(ex.Name))),
        "cast": st.one_of(classes.map(ex.Name), names.map(ex.Parameter)),
        "device": st.lists(
            st.one_of(st.sampled_from(["cpu", "cuda:0", "mps"]).map(ex.Name), names.map(ex.Parameter)), min_size=1
        ).map(lambda devices: Devices(tuple(devices))),
        "init": st.one_of(calls, names.map(ex.Name)),
        "set": st.dictionaries(names, expressions, min_size=1, max_size=3).map(lambda d: Assignments(tuple(d.items()))),
        "tie": literal,
        "create": calls,
    }
    left = {"create": literal, "tie": paths()}.get(kind, whole_selectors(1))
    return st.builds(Rule, left, right[kind], st.booleans())


@often
@given(whole_selectors())
def test_selectors(selector: Any) -> None:
    assert parse_selector(Text.plain(str(selector))).items[0].selector == selector


@often
@given(st.one_of(calls, expressions.filter(lambda e: isinstance(e, ex.Call))))
def test_expressions(expression: ex.Expression) -> None:
    assert parse_expression(Text.plain(str(expression))) == expression


@often
@given(st.one_of(key_rules(), joins()))
def test_key_rules(rule: Rule) -> None:
    assert parse_rules(Text.plain(str(rule)), "key") == (rule,)


@often
@given(
    st.sampled_from(["layer", "cast", "device", "init", "set", "tie", "create"]).flatmap(
        lambda k: st.tuples(st.just(k), rules_of(k))
    )
)
def test_rules_of_every_other_kind(kind_and_rule: tuple[str, Rule]) -> None:
    kind, rule = kind_and_rule
    assert parse_rules(Text.plain(str(rule)), kind) == (rule,)


@often
@given(st.lists(anything, min_size=1, max_size=4))
@example(["if"])
@example(["a.b", '"', "'"])
def test_any_text_can_be_a_key(words: list[str]) -> None:
    key = Path(tuple(Segment((Literal(word),)) for word in words))
    (rule,) = parse_rules(Text.plain(f"{key} -> {key}"), "key")
    assert rule.left == key
    assert rule.right.templates[0].literal == ".".join(words)


@often
@given(anything)
def test_quotes_keep_any_text(text: str) -> None:
    assert ex.unquote(ex.quote(text)) == text
