"""References to modules: those of the module tree, and those that plain attributes hold beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["redirect"]


def redirect(module: nn.Module, new: Mapping[int, nn.Module]) -> list[str]:
    """Let a module hold `new` modules in the place of those whose ids are the keys.

    Children are replaced, and what stands in plain attributes: a module, or lists, tuples and dicts of modules, as of a
    model that keeps its blocks in a list for its `forward`. The names of such attributes are returned.
    """
    changed = []
    for name, value in list(vars(module).items()):
        here = _Redirected(new)
        now = here(value)
        if now is not value:
            vars(module)[name] = now
        if here.found and name != "_modules":
            changed.append(name)
    return changed


class _Redirected:
    """A value with other modules in it; lists and dicts stay the objects that they are."""

    def __init__(self, new: Mapping[int, nn.Module]) -> None:
        self._new = new
        self._seen: set[int] = set()
        self.found = False

    def __call__(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            self.found |= id(value) in self._new
            return self._new.get(id(value), value)
        if type(value) is tuple:
            items = tuple(map(self, value))
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        if isinstance(value, list | dict) and id(value) not in self._seen:
            self._seen.add(id(value))
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                now = self(item)
                if now is not item:
                    value[key] = now
        return value
