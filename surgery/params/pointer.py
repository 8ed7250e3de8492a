"""One value of a JSON file, found by a JSON pointer (RFC 6901)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surgery.diagnostics import fail
from surgery.formats.file import open_file
from surgery.formats.strict_json import NotStrict, parse
from surgery.suggest import did_you_mean

__all__ = ["NotThere", "find", "read_pointer"]


class NotThere(Exception):
    """A pointer leads to nothing; `notes` say what is there instead."""

    def __init__(self, message: str, *notes: str) -> None:
        super().__init__(message)
        self.notes = notes


def read_pointer(path: Path, pointer: str) -> Any:
    """The value in the JSON file `path` that `pointer` leads to.

    Raises:
        NotThere: the file has no such value.
        SurgeryError: `no-file`, or `parameter-file` for a file that is not JSON.
    """
    if pointer and not pointer.startswith("/"):
        note = f"a JSON pointer begins with a slash: `#/{pointer}`"
        raise fail("parameter-file", f"`{pointer}` is no JSON pointer", notes=(note,))
    with open_file(path) as file:
        content = file.whole("config")
    try:
        value = parse(content)
    except NotStrict as error:
        raise fail("parameter-file", f"`{path.name}` cannot be read as JSON: {error}") from error
    return find(value, pointer, path.name)


def find(value: Any, pointer: str, name: str) -> Any:
    """What `pointer` leads to inside `value`.

    Raises:
        NotThere: nothing.

    >>> find({"a": [1, {"b/c": 2}]}, "/a/1/b~1c", "config.json")
    2
    """
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for number, step in enumerate(steps):
        so_far = pointer.split("/")[1 : number + 1]
        where = f"`{name}`" + (f" has at `/{'/'.join(so_far)}`" if so_far else " has")
        if isinstance(value, dict):
            if step not in value:
                near = did_you_mean(step, value) or f"there: {', '.join(list(value)[:12])}"
                raise NotThere(f"{where} no `{step}`", near)
            value = value[step]
        elif isinstance(value, list):
            if not step.isdecimal() or int(step) >= len(value):
                raise NotThere(f"{where} a list of {len(value)}, without `{step}`")
            value = value[int(step)]
        else:
            raise NotThere(f"{where} nothing below it: no `{step}`")
    return value
