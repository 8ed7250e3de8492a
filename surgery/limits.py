"""Limits: what a file, a recipe or a model may cost before it is refused. Each has a name, and each can be raised.

All are far above real use. They are the caller's: no recipe and no file can set one. Those in force are known to the
whole call (as numpy's ``errstate`` is), so that what checks one has only to name it.

>>> with limited({"tensor": "1TB"}):
...     limits().tensor
1000000000000
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from surgery.diagnostics import Span, SurgeryError, escape, fail
from surgery.suggest import did_you_mean
from surgery.tensors.spec import format_bytes, parse_bytes

__all__ = ["NAMES", "Limits", "about", "exceeded", "in_force", "limit_note", "limited", "limits", "shown_limit"]

_KILO, _MEGA, _GIGA, _TERA, _PETA = 10**3, 10**6, 10**9, 10**12, 10**15


def _limit(default: int, about: str, *, unit: str = "", most: int | None = None) -> int:
    made: int = field(default=default, metadata={"about": about, "unit": unit, "most": most})
    return made


def _size(default: int, about: str) -> int:
    return _limit(default, about, unit="bytes")


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit, and its default: sizes in bytes, all else counted. `about` says what each is for."""

    tensor: int = _size(300 * _GIGA, "one tensor that a recipe makes")
    model: int = _size(2 * _TERA, "the tensors of a new layer or model together, and a file with a pickled module")
    tensors: int = _limit(200_000, "how many tensors a new layer or model may have")
    header: int = _size(100 * _MEGA, "the header of a safetensors file, and an index of shards")
    pickle: int = _size(500 * _MEGA, "a pickle, tensor data apart, and the code of a TorchScript class")
    entries: int = _limit(1_000_000, "the entries of a zip archive")
    inflated: int = _size(2 * _GIGA, "what the compressed entries of an archive grow to, all together")
    expanded: int = _size(16 * _GIGA, "a stored tensor that repeats elements, and so is larger than its storage")
    depth: int = _limit(200, "containers inside each other in a checkpoint", most=300)
    download: int = _size(2 * _TERA, "a file that is fetched over https")
    config: int = _size(16 * _MEGA, "a JSON file that a parameter is read from")
    recipe: int = _size(1 * _MEGA, "the text of a recipe")
    recipes: int = _limit(1_000, "the recipes that a recipe brings in, and those that they do, all together")
    record: int = _size(16 * _MEGA, "what a file says of what made it")
    nodes: int = _limit(50_000, "the scalars, lists and mappings of a recipe, those that aliases repeat included")
    nesting: int = _limit(100, "lists, mappings, and recipes that bring in others, inside each other", most=150)
    aliases: int = _limit(100, "the aliases (`*name`) of a recipe")
    rule: int = _limit(100_000, "a rule or a selector", unit="characters")
    segments: int = _limit(1_000, "the segments of a key in a rule")
    tries: int = _limit(100_000, "ways to match one key that are tried, where a capture stands twice")


#: the names of all limits
NAMES = tuple(f.name for f in dataclasses.fields(Limits))
_DEFAULTS = Limits()
_IN_FORCE: ContextVar[Limits] = ContextVar("surgery_limits", default=_DEFAULTS)


def limits() -> Limits:
    """The limits that are in force."""
    return _IN_FORCE.get()


def about(name: str) -> Mapping[str, Any]:
    """What a limit is for: ``about`` in words, ``unit``, and the ``most`` that it can be raised to."""
    return next(f.metadata for f in dataclasses.fields(Limits) if f.name == name)


@contextmanager
def limited(values: Mapping[str, Any]) -> Iterator[None]:
    """Put other limits in force for a while: numbers, or sizes such as ``1TB``. Those that are not named stay.

    Raises:
        SurgeryError: ``usage``: there is no such limit, or no such value for it.
    """
    changed = {name: _value(name, value) for name, value in values.items()}
    with in_force(dataclasses.replace(limits(), **changed)):
        yield


@contextmanager
def in_force(values: Limits) -> Iterator[None]:
    """Put these limits in force for a while."""
    token = _IN_FORCE.set(values)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def _value(name: str, given: Any) -> int:
    if name not in NAMES:
        note = did_you_mean(name, NAMES) or f"limits: {', '.join(NAMES)}"
        raise fail("usage", f"there is no limit `{escape(str(name))}`", notes=(note,))
    value = parse_bytes(given if isinstance(given, int) else str(given))
    if value is None or value <= 0:
        example = "1TB" if about(name)["unit"] == "bytes" else "1000000"
        message = f"the limit `{name}` is a number: `{escape(str(given))}` is none"
        raise fail("usage", message, notes=(f"such as `{name}={example}`",))
    most = about(name)["most"]
    if most is not None and value > most:
        raise fail("usage", f"the limit `{name}` cannot be {value}: {most} is what Python's stack can hold")
    return value


def exceeded(name: str, message: str, span: Span | None = None, *, needed: int | None = None) -> SurgeryError:
    """The error about something beyond the limit `name`; `needed` is how much it would take, where that is known."""
    return fail("too-large", message, span, (limit_note(name, needed),))


def limit_note(name: str, needed: int | None = None) -> str:
    """What the limit is, and how it is raised.

    >>> limit_note("tensor", 374_500_000_000)
    "the limit `tensor` is 300.0 GB: `--limit tensor=400GB`, or `limits={'tensor': '400GB'}` in Python, raises it"
    """
    known, current = about(name), getattr(limits(), name)
    shown = shown_limit(name)
    wanted = _rounded(max(needed or 2 * current, current + 1))
    if known["most"] is not None:
        wanted = min(wanted, known["most"])
    if wanted <= current or (needed is not None and wanted < needed):
        return f"the limit `{name}` is {shown}, and cannot be raised so far"
    value = _short(wanted) if known["unit"] == "bytes" else str(wanted)
    python = f"limits={{'{name}': {value if value.isdigit() else repr(value)}}}"
    return f"the limit `{name}` is {shown}: `--limit {name}={value}`, or `{python}` in Python, raises it"


def shown_limit(name: str) -> str:
    """The value of a limit, as it is in force, for people: ``300.0 GB``."""
    unit, value = about(name)["unit"], getattr(limits(), name)
    return format_bytes(value) if unit == "bytes" else f"{value:,} {unit}".rstrip()


def _rounded(count: int) -> int:
    """The next number that has one digit and noughts."""
    step: int = 10 ** (len(str(count)) - 1)
    return step * -(-count // step)


def _short(size: int) -> str:
    """A rounded number of bytes as it is typed: ``400GB``."""
    for factor, unit in ((_PETA, "PB"), (_TERA, "TB"), (_GIGA, "GB"), (_MEGA, "MB"), (_KILO, "kB")):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
