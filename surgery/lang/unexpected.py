"""From a parser's complaint to a message that a person can act on."""

from __future__ import annotations

import re

import lark

from surgery.diagnostics import Diagnostic
from surgery.lang.mistakes import MISTAKES, Where
from surgery.tensors.dtype import DTYPES
from surgery.text import Text

__all__ = ["explain", "explain_blank"]

_WORD = re.compile(r"[\w.*/:@+-]+|\S")
_KEYWORDS = ("if", "except", "via", "with", "optional", "or", "and", "not")

#: words that the parser was waiting for -> what it was reading
_READING = {
    "expression": {"COMPARATOR", "INT", "FLOAT"},
    "operator": {"COMPARATOR", "PLUS"},
    "key": {"TEXT", "DEEP", "GROUP"},
}
_BRACKET = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[(\[{]|[)\]}]""")
#: characters before the place in which a mistake is looked for: the patterns are tried at each of them
_NEAR = 400
_CLASSES = re.compile(r"[\w*}\])\"']\Z")


def explain(error: lark.exceptions.UnexpectedInput, text: Text, start: str) -> Diagnostic:
    """What is wrong at the place where the parser stopped; `start` is the rule of the grammar that it was reading."""
    value = text.value
    kind = start.removesuffix("_rule").removeprefix("lone_")
    index = error.pos_in_stream if isinstance(error.pos_in_stream, int) and error.pos_in_stream >= 0 else len(value)
    token = getattr(error, "token", None)
    if isinstance(error, lark.exceptions.UnexpectedEOF) or (token is not None and token.type == "$END"):
        return _ends_too_early(text, kind)
    while index < len(value) and value[index].isspace():
        index += 1
    if value[index - 1 : index + 1] == "->":
        index -= 1
    before, reading = value[:index], _reading(error, value[:index])
    last = len(before.rstrip())
    if kind != "selector" and "if" in before.split() and not re.search("->|→", before):
        kind = "condition" if "expression" in reading else kind
    for mistake in MISTAKES:
        found = mistake.at.match(value, index)
        if found is None or (mistake.start and mistake.start != kind) or not mistake.where <= reading:
            continue
        if mistake.before is not None and not mistake.before.search(value, max(0, last - _NEAR), last):
            continue
        span = found.span("word") if "word" in mistake.at.groupindex else found.span()
        message = mistake.message.replace("{word}", value[slice(*span)])
        return _at(text, span, message, mistake.note)
    return _unknown(text, index)


def _reading(error: lark.exceptions.UnexpectedInput, before: str) -> Where:
    """What the parser was reading, by the words that it was waiting for and by what stands before."""
    waiting = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    reading = {name for name, words in _READING.items() if words & waiting}
    stack: list[re.Match[str]] = []
    for bracket in _BRACKET.finditer(before):
        if bracket.group() in "([{":
            stack.append(bracket)
        elif bracket.group() in ")]}" and stack:
            stack.pop()
    if not stack:
        return frozenset(reading)
    inside = {"{": {"capture"}, "(": {"arguments", "comma"}, "[": {"comma"}}[stack[-1].group()]
    if stack[-1].group() == "[" and _CLASSES.search(before, 0, stack[-1].start()) and "expression" not in reading:
        inside = {"classes"}
    return frozenset(reading - {"key"} | inside if "classes" in inside else reading | inside)


def _unknown(text: Text, index: int) -> Diagnostic:
    word = _WORD.match(text.value, index)
    span = word.span() if word else (index, index + 1)
    shown = text.value[slice(*span)]
    note = f'a key of that name is quoted: "{shown}"' if shown in _KEYWORDS else None
    return _at(text, span, f"`{shown}` does not belong here", note)


def _at(text: Text, span: tuple[int, int], message: str, note: str | None = None) -> Diagnostic:
    return Diagnostic("rule-syntax", message, text.span(*span), (note,) if note else ())


def _ends_too_early(text: Text, kind: str) -> Diagnostic:
    value = text.value
    word = (value.split() or [""])[-1]
    span = (value.rindex(word), len(value)) if word else (0, 1)
    if kind not in ("selector", "postfix") and "->" not in value and "→" not in value:
        written = " ".join(value.split())
        note = f"`{written} -> …` says what becomes of it"
        if kind == "cast" and written.removeprefix("torch.") in DTYPES:
            note = f"`** -> {written.removeprefix('torch.')}` casts everything"
        return _at(text, (0, len(value)), "a rule needs an arrow", note if len(value) < 60 else None)
    if value.endswith(("->", "→")):
        return _at(
            text, (len(value) - (2 if value.endswith("->") else 1), len(value)), "nothing stands after the arrow"
        )
    if word in _KEYWORDS or word == "|":
        return _at(text, span, f"nothing stands after `{word}`")
    if value.endswith("."):
        return _at(text, (len(value) - 1, len(value)), "a key does not end with a dot")
    if value.endswith("="):
        return _at(text, (len(value) - 1, len(value)), "nothing stands after `=`")
    return _at(text, (len(value) - 1, len(value)), "this ends too early")


def explain_blank(text: Text, at: tuple[int, int]) -> Diagnostic:
    """What is wrong where two words stand side by side in a key."""
    value = text.value
    first, second = _word_around(value, at[0]), _word_around(value, at[1] - 1)
    after = value[second[1] :].lstrip()
    for span in (second, first):
        word = value[slice(*span)]
        if word == "-" and after.startswith("->"):
            return _at(text, (span[0], span[1] + 2), "the arrow is `->`", "write `->` or `→`")
        if word in ("and", "or", "not"):
            note = "`|` joins selectors, `except` leaves keys out; conditions stand behind `if`"
            return _at(text, span, f"`{word}` joins conditions, not selectors", note)
        if word in _KEYWORDS:
            return _at(text, span, *_misplaced(word, value, span))
    return _at(text, (first[0], second[1]), "a key has no blanks inside", 'a blank in a key is quoted: "a b"')


def _word_around(value: str, index: int) -> tuple[int, int]:
    """The word of a key that the character at `index` belongs to."""
    begin = max(value.rfind(blank, 0, index + 1) for blank in " \t\n") + 1
    end = re.compile(r"\s|->|→|\Z").search(value, index)
    return begin, end.start() if end else len(value)


def _misplaced(word: str, value: str, span: tuple[int, int]) -> tuple[str, str]:
    quoted = f'a key of that name is quoted: "{word}"'
    if not value[span[1] :].strip():
        return f"nothing stands after `{word}`", quoted
    if word == "with":
        return "`with` stands in `replace_layer` only", "operations stand behind `via`"
    if word == "optional" and value[: span[0]].rstrip().endswith("|"):
        return "`optional` is not said of a part of a union", 'in a list each has its own: `["fc", "optional head"]`'
    places = {
        "via": "behind the key on the right side",
        "optional": "once, at the beginning of a rule",
        "except": "between two selectors",
        "if": "behind a selector",
    }
    return f"`{word}` stands {places[word]}", quoted
