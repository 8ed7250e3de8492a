"""Reading the declarations under ``params``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.document.nodes import plain
from surgery.fields.kinds import describe
from surgery.fields.reader import parameters_in
from surgery.params.param import REQUIRED, Param, check_value
from surgery.params.types import TYPES, ParamType, type_of
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES
from surgery.wording import listed

__all__ = ["depends_on", "read_params", "with_their_origins"]

_WORDS = ("type", "default", "choices", "help", "from", "minimum", "maximum")
_TYPES_NOTE = f"write it: `{{type: …, default: …}}`, with {', '.join(TYPES)}, or a list: [integer]"


def read_params(node: Node, diagnostics: list[Diagnostic]) -> dict[str, Param]:
    """The declarations under ``params``. What is wrong is added to `diagnostics`.

    A parameter whose declaration is wrong is declared all the same, so that its uses are no errors too.
    """
    if isinstance(node, Scalar) and node.value is None:
        return {}
    if not isinstance(node, MapNode):
        note = "`params: {classes: 10, weights: {type: path}}`"
        diagnostics.append(Diagnostic("wrong-type", "a mapping of parameters stands here", node.span, (note,)))
        return {}
    found = {}
    for key, value in node.pairs:
        name = str(key.value)
        if not name.isidentifier():
            note = "a name is letters, digits and `_`, and does not begin with a digit"
            diagnostics.append(Diagnostic("parameter", f"`{name}` cannot name a parameter", key.span, (note,)))
        try:
            found[name] = _declaration(key, value)
        except SurgeryError as error:
            diagnostics.extend(error.diagnostics)
            found[name] = Param(name, TYPES["string"], span=key.span)
    diagnostics.extend(_cycles(found))
    return found


def _declaration(key: Scalar, node: Node) -> Param:
    name = str(key.value)
    if isinstance(node, MapNode):
        return _from_mapping(name, key, node)
    default = plain(node)
    if default is None:
        note = f"`{name}: {{type: integer}}` if it has to be given, `{{type: integer, default: null}}` if not"
        raise fail("parameter", f"`{name}` has neither a type nor a default", key.span, (note,))
    if isinstance(default, str) and default in TYPES and isinstance(node, Scalar) and not node.quoted:
        notes = (f"the type is given as `{{type: {default}}}`", f'a text is given in quotes: "{default}"')
        raise fail("parameter", f"is `{default}` the type of `{name}`, or its default?", node.span, notes)
    one, many = _inferred(name, default, node)
    return Param(name, one, many, default, default_node=node, span=key.span)


def _inferred(name: str, default: Any, node: Node) -> tuple[ParamType, bool]:
    """The type of a default, and whether it is a list."""
    many = isinstance(node, ListNode)
    kinds = {type_of(item) for item in default} if many else {type_of(default)}
    if kinds == {TYPES["integer"], TYPES["number"]}:
        kinds = {TYPES["number"]}
    one = next(iter(kinds), None)
    if len(kinds) != 1 or one is None:
        raise fail("parameter", f"the type of `{name}` cannot be told from its default", node.span, (_TYPES_NOTE,))
    return one, many


def _from_mapping(name: str, key: Scalar, node: MapNode) -> Param:
    wrong: list[Diagnostic] = []
    for word, _ in node.pairs:
        if word.value not in _WORDS:
            near = did_you_mean(str(word.value), _WORDS) or f"known here: {listed(_WORDS)}"
            wrong.append(Diagnostic("unknown-word", f"`{word.value}` means nothing here", word.span, (near,)))
    if wrong:
        raise SurgeryError(wrong)
    default_node = node.get("default")
    default = REQUIRED if default_node is None else plain(default_node)
    if "type" in node:
        one, many = _type(node.get("type"))
    elif default_node is None or default is None:
        raise fail("parameter", f"the type of `{name}` is missing", key.span, (_TYPES_NOTE,))
    else:
        one, many = _inferred(name, default, default_node)
    param = Param(
        name=name,
        type=one,
        many=many,
        default=default,
        choices=_choices(node),
        minimum=_bound(node, "minimum"),
        maximum=_bound(node, "maximum"),
        help=_text(node, "help"),
        origin=_origin(node),
        default_node=default_node,
        span=key.span,
    )
    _check_default(param)
    return param


def _type(node: Node | None) -> tuple[ParamType, bool]:
    assert node is not None
    many = isinstance(node, ListNode) and len(node.items) == 1
    inner = node.items[0] if many else node  # type: ignore[attr-defined]
    word = inner.value if isinstance(inner, Scalar) else None
    if isinstance(word, str) and word in TYPES:
        return TYPES[word], many
    near = did_you_mean(word, TYPES) if isinstance(word, str) else None
    what = f"there is no type `{word}`" if isinstance(word, str) else "a type stands here"
    note = near or f"types: {', '.join(TYPES)}; of lists: [integer], and so on"
    raise fail("parameter", what, inner.span, (note,))


def _choices(node: MapNode) -> tuple[Any, ...]:
    choices = node.get("choices")
    if choices is None:
        return ()
    if not isinstance(choices, ListNode) or not choices.items:
        raise fail("wrong-type", "a list of values stands here", choices.span, ("`choices: [a, b]`",))
    return tuple(plain(item) for item in choices.items)


def _bound(node: MapNode, word: str) -> float | None:
    value = node.get(word)
    if value is None:
        return None
    number = value.value if isinstance(value, Scalar) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise fail("wrong-type", f"a number stands here, not {describe(plain(value))}", value.span)
    return number


def _text(node: MapNode, word: str) -> str:
    value = node.get(word)
    if value is None:
        return ""
    if not isinstance(value, Scalar):
        raise fail("wrong-type", f"a text stands here, not {describe(value)}", value.span)
    return value.text.value.strip()


def _origin(node: MapNode) -> Scalar | None:
    value = node.get("from")
    if value is None:
        return None
    if not isinstance(value, Scalar) or not isinstance(value.value, str) or "#" not in value.value:
        note = '`from: "$dir/config.json#/num_attention_heads"`: a file, `#`, and a JSON pointer'
        raise fail("parameter", "this does not say where in which file the value stands", value.span, (note,))
    return value


def _check_default(param: Param) -> None:
    """Whether the default is a value of the parameter; one that names other parameters is checked later."""
    node, default = param.default_node, param.default
    if node is None or default is None or any(True for _ in parameters_in(node)):
        return
    # what is plainly right is not worth the import of a validator
    wrong = None if _is_plainly_right(param, default) else check_value(param, default)
    if wrong is not None:
        raise fail("parameter", wrong[0], node.span, wrong[1])


def _is_plainly_right(param: Param, default: Any) -> bool:
    """Whether a default is one of the choices and between the bounds, and of the type beyond doubt."""
    chosen = not param.choices or any(type(one) is type(default) and one == default for one in param.choices)
    if param.many or not chosen:
        return False
    if param.type is TYPES["dtype"]:
        return isinstance(default, str) and default in DTYPES
    if type_of(default) is not param.type:
        return False
    if not isinstance(default, int | float):
        return param.minimum is None and param.maximum is None
    return (param.minimum is None or default >= param.minimum) and (param.maximum is None or default <= param.maximum)


def depends_on(param: Param) -> list[str]:
    """The parameters that the value of another is made of."""
    nodes = [node for node in (param.origin, param.default_node) if node is not None]
    return [name for node in nodes for name in parameters_in(node)]


def with_their_origins(names: Iterable[str], params: Mapping[str, Param]) -> dict[str, Param]:
    """The parameters of these names and those that their values are made of, in the order of `params`."""
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(depends_on(params[name]))
    return {name: param for name, param in params.items() if name in needed}


def _cycles(params: Mapping[str, Param]) -> list[Diagnostic]:
    """Parameters that are made of themselves; each circle is told once."""
    found: list[Diagnostic] = []
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> None:
        if name in way:
            circle = [*way[way.index(name) :], name]
            message = f"`{name}` is made of itself: {' -> '.join(circle)}"
            found.append(Diagnostic("parameter", message, params[name].span))
        elif name in params and name not in done:
            for after in depends_on(params[name]):
                follow(after, [*way, name])
            done.add(name)

    for name in params:
        follow(name, [])
    return found
