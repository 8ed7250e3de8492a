"""The steps of a plan on the screen: each rule with its count, and below it what it does to which tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surgery.report.edits import Change, RuleEdits, StepEdits
from surgery.report.lines import Line, line, piece, width
from surgery.report.sentences import Sentence
from surgery.report.table import Cell, table, table_rows
from surgery.wording import counted

__all__ = ["change_words", "sentence_lines", "step_lines"]

#: so many lines of detail fit a screen; longer plans show the first few of each rule
_BUDGET = 30
#: of what is dropped
_DROPS = 3
_CAPS = (12, 8, 5, 3, 2, 1, 0)
_INDENT = 4
#: the width of ``12 × ``
_TIMES = 8
_LONG_RULE = 76
#: what is not shown on a terminal is laid out for this many columns
_WIDE = 120


def step_lines(steps: Sequence[StepEdits], file: str, *, full: bool = False, columns: int | None = None) -> list[Line]:
    """The steps. With `full`, every sentence of every rule is shown; `file` is one whose name goes without saying."""
    cap = None if full else _cap([len(rule.sentences) for step in steps for rule in step.rules])
    found: list[Line] = []
    for number, step in zip(_numbers(steps), steps, strict=True):
        found += _step(number, step, file, cap, full, columns)
    return found


def _cap(lengths: Sequence[int]) -> int | None:
    """How many sentences of a rule are shown, so that all of them fit a screen."""
    if sum(lengths) <= _BUDGET:
        return None
    return next((cap for cap in _CAPS if sum(min(cap, length) + (length > cap) for length in lengths) <= _BUDGET), 0)


def _numbers(steps: Sequence[StepEdits]) -> Iterator[str]:
    """``1``, ``2``, ``2.1``: steps inside steps are numbered inside them."""
    counts: list[int] = []
    for step in steps:
        counts = [*counts[: step.depth + 1], *[0] * (step.depth + 1 - len(counts))]
        counts[step.depth] += 1
        yield ".".join(map(str, counts))


def _step(number: str, step: StepEdits, file: str, cap: int | None, full: bool, columns: int | None) -> list[Line]:
    here = step.span is not None and step.span.file == file
    place = "" if step.span is None else f"line {step.span.line}" if here else step.span.place
    name = piece(step.name, "head")
    head = [piece(f"{number:<4}", "quiet"), name, piece(f"  {place}", "quiet")]
    if step.note:
        head.append(piece(f"  {step.note}", "quiet"))
    if not step.rules and step.span:
        words = _without_brackets_of_others(step.span.excerpt[step.span.column - 1 + len(step.name) :]).strip(" :|\"'")
        head[2:2] = [piece(f"  {words}")] if words else []
    found = [line(*head)]
    for header, rule in zip(_rule_heads(step.rules, columns), step.rules, strict=True):
        found += header
        if len(rule.sentences) != 1 or not _says_nothing_new(rule):
            found += sentence_lines(rule, cap=_drops_cap(rule, cap, full), columns=columns)
    return found


def _without_brackets_of_others(words: str) -> str:
    """The rest of a line, without the brackets at its end that were opened before it."""
    words = words.rstrip()
    while words.endswith("}") and words.count("}") > words.count("{"):
        words = words[:-1].rstrip()
    return words


def _rule_heads(rules: Sequence[RuleEdits], columns: int | None) -> list[list[Line]]:
    """Rules with their counts: in a column where they are short, else behind each, a very long one on two lines."""
    counts = [piece(_count(rule), "quiet") for rule in rules]
    if all(len(rule.text) <= _LONG_RULE for rule in rules):
        rows = [[piece(rule.text), count] if rule.text else [count] for rule, count in zip(rules, counts, strict=True)]
        return table_rows(rows, "ll", indent=4, columns=columns)
    found: list[list[Line]] = []
    for rule, count in zip(rules, counts, strict=True):
        left, arrow, right = rule.text.partition(" -> ") if len(rule.text) > _WIDE else ("", "", rule.text)
        lines = [line("    ", left)] if arrow else []
        found.append([*lines, line("    ", f"  -> {right}" if arrow else right, "  ", count)])
    return found


def _drops(rule: RuleEdits) -> bool:
    return all(isinstance(one.label, Change) and one.label.dropped for one in rule.sentences)


def _count(rule: RuleEdits) -> str:
    """``2 modules, 4 tensors, drops 4 tensors``: what there is of it."""
    modules, touched, dropped = rule.count(module=True), rule.count(), rule.count(dropped=True)
    words = [counted(modules, "module") if modules else "", counted(touched, "tensor") if touched else ""]
    told = [word for word in (*words, f"drops {counted(dropped, 'tensor')}" if dropped else "") if word]
    return ", ".join(told) if told else "changes nothing"


def _drops_cap(rule: RuleEdits, cap: int | None, full: bool) -> int | None:
    """What is dropped stands again, by subtrees, in the account below the steps: a few lines do."""
    if full or not _drops(rule):
        return cap
    return _DROPS if cap is None else min(cap, _DROPS)


def sentence_lines(rule: RuleEdits, *, cap: int | None = None, columns: int | None = None) -> list[Line]:
    """What a rule does, line by line; with `cap`, the first so many."""
    telling = [one for one in rule.sentences if one.text]
    shown = telling if cap is None else telling[:cap]
    found = _aligned([_Row.of(sentence, rule) for sentence in shown], columns)
    rest = len(telling) - len(shown)
    if rest and shown:
        found.append(line(" " * _INDENT, piece(f"{'':{_TIMES}}… and {rest} more such lines", "quiet")))
    return found


def _aligned(rows: Sequence[_Row], columns: int | None) -> list[Line]:
    """Rows with their arrows one below the other; those too long for that on lines of their own."""
    most = columns or _WIDE
    short = [row for row in rows if (row.right or row.change) and width(row.on_one_line) <= most]
    lines = table([row.cells for row in short], "lll", indent=_INDENT, gap=1)
    if any(width(one) > most for one in lines):
        short, lines = [], []
    waiting = iter(lines)
    return [one for row in rows for one in ([next(waiting)] if row in short else row.broken(columns))]


@dataclass(frozen=True, slots=True)
class _Row:
    """A sentence in parts: how many times, what stands before the arrow, the arrow and the rest, what changes."""

    times: str
    left: str
    right: str
    change: str
    style: str

    @classmethod
    def of(cls, sentence: Sentence, rule: RuleEdits) -> _Row:
        text, change = sentence.text, sentence.label
        words = change_words(change)
        if " via " in rule.text:
            text = text.rsplit(" via ", 1)[0]
        if words and text.endswith(f": {words}"):
            # of a cast the sentence says just this
            text = text.removesuffix(f": {words}")
        left, right = _halves(text)
        times = f"{sentence.count} × " if sentence.count > 1 else ""
        style = "gone" if isinstance(change, Change) and change.dropped else ""
        return cls(f"{times:>{_TIMES}}", left, right, words, style)

    @property
    def cells(self) -> list[Cell]:
        left = line(piece(self.times, "quiet"), piece(self.left, self.style))
        return [left, piece(self.right, self.style), piece(f" {self.change}" if self.change else "", "changed")]

    @property
    def on_one_line(self) -> Line:
        """The row by itself."""
        both = f"{self.left} {self.right}".rstrip()
        change = piece(f"  {self.change}" if self.change else "", "changed")
        return line(" " * _INDENT, piece(self.times, "quiet"), piece(both, self.style), change)

    def broken(self, columns: int | None) -> list[Line]:
        """The row on as many lines as it takes to keep to `columns`."""
        if columns is None or width(self.on_one_line) <= columns:
            return [self.on_one_line]
        blank = " " * (_INDENT + _TIMES)
        both = f"{self.left} {self.right}".rstrip()
        old, arrow, new = self.right.partition(" -> ")
        texts = [both] if len(blank) + len(both) <= columns else [self.left, f"  {old}", f"  {arrow.strip()} {new}"]
        first, *more = (piece(text, self.style) for text in texts if text.strip())
        found = [line(" " * _INDENT, piece(self.times, "quiet"), first), *(line(blank, one) for one in more)]
        return [*found, line(blank, piece(f"  {self.change}", "changed"))] if self.change else found


def _halves(text: str) -> tuple[str, str]:
    """A sentence before and after its arrow; one about a module, after its path: ``fc: Linear(…) -> Linear(…)``."""
    left, arrow, right = text.partition(" -> ")
    path, colon, old = left.partition(": ")
    if colon:
        return f"{path} ", f"{old}{arrow}{right}"
    return left, f"{arrow.strip()} {right}".strip()


def _says_nothing_new(rule: RuleEdits) -> bool:
    """Whether the only sentence repeats the rule: ``a.weight -> b.weight``."""
    sentence = rule.sentences[0]
    return sentence.text == rule.text and not change_words(sentence.label)


def change_words(change: object) -> str:
    """What changes in shape and dtype, in as few words as say it exactly; nothing where nothing does.

    >>> change_words(Change("float32 [4, 2]", "float32 [2]")), change_words(Change("float32 [4]", "float16 [4]"))
    ('[4, 2] -> [2]', 'float32 -> float16')
    >>> change_words(Change("float32 [4, 1], 5 × float32 [4]", "float32 [4]"))
    'float32 [4, 1], 5 × float32 [4] -> float32 [4]'
    """
    if not isinstance(change, Change) or change.before == change.after or change.dropped:
        return ""
    if not change.before:
        return change.after
    before, after = change.before.rsplit(" [", 1), change.after.rsplit(" [", 1)
    several = ", " in before[0]
    if not several and before[0].split()[-1] == after[0]:
        times = change.before.removesuffix(f"{after[0]} [{before[1]}")
        return f"{times}[{before[1]} -> [{after[1]}"
    if not several and before[1:] == after[1:]:
        return f"{before[0]} -> {after[0]}"
    return f"{change.before} -> {change.after}"
