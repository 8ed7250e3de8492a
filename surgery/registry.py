"""Registries: what a recipe may name. Adding a thing is adding one file.

A registry belongs to a package (``surgery.ops``); importing it imports each module of that package, and the modules
register what they define with the registry's decorator.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and what they stand for, found by importing the modules of `package` at first use."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._found: dict[str, T] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates as `name`."""

        def decorate(thing: T) -> T:
            if self._found.get(name, thing) is not thing:
                raise ValueError(f"{name!r} is registered twice in {self._package}")
            self._found[name] = thing
            return thing

        return decorate

    def __getitem__(self, name: str) -> T:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def get(self, name: str) -> T | None:
        """What `name` stands for, or None.

        A module of that very name is looked at first, so that a command imports what its recipe names and no more.
        """
        if name not in self._found and not self._complete and name.isidentifier():
            module = f"{self._package}.{name}"
            if importlib.util.find_spec(module) is not None:
                importlib.import_module(module)
        return self._found.get(name) or self._all().get(name)

    def _all(self) -> dict[str, T]:
        if not self._complete:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._complete = True
        return self._found
