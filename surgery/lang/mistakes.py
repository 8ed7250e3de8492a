"""What people write where the language has something else, and what to say about it.

Each mistake is told by the text at the place where the parser stopped, and by what stands before it. The first that
fits is told; order matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["MISTAKES", "Mistake", "Where"]

#: what the parser was reading: `key`, `expression`, `operator` (one may follow), `classes`, `capture`, `arguments`,
#: `comma` (one may follow)
Where = frozenset[str]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        at: what stands at the place; the caret is drawn under its group `word`, or under all of it.
        message: what is wrong; ``{word}`` is what the caret stands under.
        note: what would mend it.
        before: what stands before the place; it is searched at the end of the text there, blanks removed.
        where: what the parser was reading; any where empty.
        start: the kind of rule (or `selector`); any where empty.
    """

    at: re.Pattern[str]
    message: str
    note: str | None = None
    before: re.Pattern[str] | None = None
    where: Where = frozenset()
    start: str = ""


def _mistake(
    at: str, message: str, note: str | None = None, *, before: str = "", where: str = "", start: str = ""
) -> Mistake:
    behind = re.compile(f"(?:{before})\\Z") if before else None
    return Mistake(re.compile(at), message, note, behind, frozenset(where.split()), start)


_ARROW = "->|→"
_NAMED = "a capture has a name: `{i}`; what needs no name is `*`"
_RANGE = "a range does not stand in a key"
_IS_CONDITION = "`layers.{i:int} if 6 <= i <= 11`; for a few, `layers.(6|7)`"
_REGEX = "there are no regular expressions"
_CAPTURES = "`{i}` captures any text of a segment, `{i:int}` digits, `{p:**}` segments; `{i}` puts it back"
_QUOTED = 'a key with unusual characters is quoted: "odd name".weight'

MISTAKES: tuple[Mistake, ...] = (
    # the arrow
    _mistake("=>", "the arrow is `->`", "write `->` or `→`"),
    _mistake(">", "the arrow is `->`, without a blank inside", before="-", where="key"),
    _mistake(_ARROW, "an arrow does not stand here", "a selector stands alone, without a right side", start="selector"),
    _mistake("=|>|:=", "the arrow is `->`", "write `selector -> something`", where="key"),
    _mistake(_ARROW, "nothing stands after `|`", before=r"\|"),
    _mistake(_ARROW, "a key does not end with a dot", before=r"\."),
    _mistake(_ARROW, "a condition is missing before this arrow", before=r"(?<!\S)if"),
    _mistake(_ARROW, "a selector is missing before this arrow", before=r"(?<!\S)except"),
    _mistake(_ARROW, "there is nothing before this arrow", "a selector stands before it", before=r"\A"),
    _mistake(
        _ARROW, "this condition is not complete", before=r"[=<>+*/%-]|(?<!\S)(?:and|or|not|in)", where="expression"
    ),
    _mistake(
        r"\(",
        "a rule needs an arrow before `via`",
        "`key -> key via …`; both keys may be the same",
        before=r"\A(?:(?!->|→)(?s:.))+\svia\s+\w+",
        start="key",
    ),
    _mistake(_ARROW, "there are two arrows in this rule", "a rule has one arrow; rules stand on lines of their own"),
    # attributes
    _mistake(
        r"[\w.\"'+-]+",
        "an attribute is set by its name",
        "`**[BatchNorm2d] -> eps=1e-3`",
        before=r"->|→",
        start="set",
    ),
    _mistake("=", "an attribute is set with one `=`", before="=", start="set"),
    _mistake(":", "an attribute is set with `=`", "`eps=1e-3`", before=r"\w", start="set"),
    _mistake(r"\w+(?=\s*=)", "a comma is missing before `{word}`", before=r"=\s*\S+", start="set"),
    _mistake(r"\.\w+", "an attribute is a name, without a dot", before=r"\w", start="set"),
    # the words of other languages in conditions
    _mistake("=", "this compares with `==`", before=r"==?", where="expression"),
    _mistake("=<", "this compares with `<=`", where="expression"),
    _mistake(">", "this compares with `!=`", before="<", where="expression"),
    _mistake("=(?!=)", "a condition compares with `==`", where="operator", start="condition"),
    _mistake("&&?", "conditions are joined by `and`", where="expression"),
    _mistake(r"\|\|?", "conditions are joined by `or`", where="operator", start="condition"),
    _mistake("!", "a condition is denied by `not`", where="expression"),
    _mistake(r"is\b", "this compares with `==`", where="operator", start="condition"),
    _mistake(r"\*\*?|\^", "there are no powers here", before=r"\*?", where="expression"),
    _mistake(r"\?", "there is no `? :` here", where="expression"),
    _mistake(r"\{(?=\w+\})", "a condition calls a capture by its name alone", "`if i >= 6`", where="expression"),
    # captures
    _mistake(r"\}", "an empty capture", _NAMED, before=r"\{"),
    _mistake(r"\}", "this expression is not complete", before=r"[+*/%-]"),
    _mistake(r"\d+(?=\s*[-,:.]+\s*\d)", _RANGE, _IS_CONDITION, before=r"\{", where="capture"),
    _mistake(r"=(?=\s*\d)", _RANGE, _IS_CONDITION, before=r"\{\w+", where="capture"),
    _mistake(r"\[(?=\d+\s*[-:]\s*\d+\])", _RANGE, _IS_CONDITION, where="key"),
    _mistake(r"\d+", "a capture is not numbered", _NAMED, before=r"\{", where="capture"),
    _mistake(r"[-+*/%]", "arithmetic stands on the right side only", before=r"\{\w+", where="capture"),
    _mistake(r"(?P<word>\\d\+?|\[0-9\]\+?)", _REGEX, "digits are captured by `{i:int}`", before=r"\{\w+:"),
    _mistake(r"\w+", "a colon is missing before `{word}`", "`{i:int}`", before=r"\{\w+", where="capture"),
    # regular expressions
    _mistake(r"\((?=\?|\.[*+]|\\|\[|\^)", _REGEX, _CAPTURES),
    _mistake(r"\\\w?", "a backslash means nothing here", f"{_REGEX}: {_CAPTURES}"),
    _mistake(r"\$\d+|\$(?=\W|$)", "`{word}` means nothing here", _CAPTURES, before=r"(?s:.+)->(?s:.+)"),
    _mistake(r"\^|\$(?=\W|$)|\$\d+", "`{word}` means nothing here", "matching is always anchored, segment by segment"),
    _mistake(r"\?", "`?` means nothing here", "`*` stands for any run of characters, `(a|b)` for alternatives"),
    _mistake(r"\[(?=\d+\])", "an index is a segment of its own", "`layers.0`", where="key"),
    _mistake(r"\d+(?=\])", "an index is a segment of its own", "`layers.0`", before=r"\[", where="classes"),
    _mistake(r"[^\s\]]+-[^\s\]]+", "there are no sets of characters", "`{i:int}` captures digits", before=r"\["),
    # dots
    _mistake(r"\.", "two dots with nothing between them", "a segment is missing, or `**` was meant", before=r"\."),
    _mistake(
        r"\.", "alternatives before a dot are literal text", "`(a|b).c`; a union of patterns stands alone", before=r"\)"
    ),
    _mistake(r"\.", "a key does not begin with a dot", before=r"\A|[\s(\[|,]|->|→", where="key"),
    # groups, classes, joins
    _mistake(r"\|", "there is nothing between `|` and `|`", "`|` stands once between alternatives", before=r"\|"),
    _mistake(r"\|", "there is nothing before this `|`", before=r"\A|[(\[]|->|→|(?<!\S)(?:via|except|if)"),
    _mistake(r"\)", "there is nothing between `|` and `)`", before=r"\|"),
    _mistake(r"\)", "an empty group", "alternatives stand in it: `(q|k|v)`", before=r"\(", where="key"),
    _mistake(r"\]", "there is nothing between `|` and `]`", before=r"\|"),
    _mistake(r"\]", "nothing stands in these brackets", before=r"\["),
    _mistake(r",", "classes are separated by `|`", "`[Conv2d|Linear]`", where="classes"),
    _mistake(r"\S+?(?=[\s\]|]|$)", "a class has no blanks in its name", before=r"\w", where="classes"),
    _mistake(r"\[", "a class stands behind a segment", "`**[Conv2d]`", before=r"\A|[(|]", start="selector"),
    # words of rules
    _mistake(r"(?:if|with|via|except)\Z", "nothing stands after `{word}`"),
    _mistake(
        r"via\b", "`via` stands in `convert` and `copy` only", "tensors are carried over by `with`", start="layer"
    ),
    _mistake(r"with\b", "`with` stands once", before=r"(?s:.*)\bwith\b(?s:.+)", start="layer"),
    _mistake(r"(?:using|from|via)\b", "tensors are carried over by `with`", "`… with old`", start="layer"),
    _mistake(r"\|", "devices are separated by `or`", "`cuda:0 or cpu`", start="device"),
    _mistake(r"\.(?P<word>\w+)", "dtypes stand bare", "without `torch.`", before="torch", start="cast"),
    _mistake(r"[\"'][\w.]*[\"']", "dtypes stand bare", "without quotes", start="cast"),
    _mistake(r"or\b", "one dtype stands here", start="cast"),
    # arguments
    _mistake(r":", "a named argument is given with `=`", "`dim=0`", before=r"\w", where="arguments"),
    _mistake(r"[\w.\"'$]+", "arguments stand in brackets", "`Linear(2048, 10)`", before=r"->\s*[\w.]+", start="layer"),
    _mistake(
        r"[\w.\"'$]+", "arguments stand in brackets", "`chunk(dim=0)`", before=r"(?:via|\|)\s*[\w.]+", start="key"
    ),
    _mistake(r":?\w+", "a device has a kind and a number", "`cuda:0`", before=r"\w", start="device"),
    _mistake(r"\d+", "a device has a kind and a number", "`cuda:0`", before=rf"{_ARROW}|\bor", start="device"),
    _mistake(r"[\w.\"'(\[$]+", "a comma is missing before `{word}`", where="comma"),
    _mistake(r"[\w.\"'(\[$-]+", "`=` is missing before `{word}`", "`eps=1e-3`", before=r"\w", start="set"),
    _mistake(r"[\w.\"']+", "`|` is missing before `{word}`", "operations are joined by `|`", before=r"\)", start="key"),
    # characters
    _mistake(r";", "rules are separated by commas or line ends"),
    _mistake(r"&&?", "`{word}` means nothing here", "`|` joins selectors, `if` adds a condition", where="key"),
    _mistake(r"[!~]", "`{word}` means nothing here", "`except` leaves keys out", where="key"),
    _mistake(r"[^\w\s.*{}()\[\]|\"'/:@+-]+", "`{word}` does not stand in a key as it is", _QUOTED, where="key"),
)
