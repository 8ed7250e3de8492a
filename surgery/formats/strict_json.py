"""JSON, read strictly: UTF-8, no name twice in an object, no lone surrogates, no numbers that JSON does not have."""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["NotStrict", "parse"]


class NotStrict(Exception):
    """The text is not JSON, or is JSON that two readers could understand differently."""


def parse(raw: bytes) -> Any:
    """The value of a JSON text.

    >>> parse(b'{"a": [1, 2]}')
    {'a': [1, 2]}

    Raises:
        NotStrict: it is damaged, nested too deeply, or names one thing twice.
    """
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise NotStrict("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise NotStrict("it is not UTF-8") from error
    except ValueError as error:
        raise NotStrict(str(error)) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotStrict(f"`{twice}` stands in it twice")
    for name in found:
        if not name.isascii() and not _is_text(name):
            raise NotStrict("a name in it is no text")
    return found


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is no number of JSON")
