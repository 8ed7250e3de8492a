"""Finding the state dicts in a checkpoint.

A mapping counts as a state dict if more tensors stand directly in it than further down. The state of optimizers,
schedulers, callbacks and the like is never a candidate; neither is a mapping with nothing but single numbers in it,
unless there is no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from surgery.formats.contents import Placeholder
from surgery.formats.modules import module_tensors
from surgery.formats.nodes import children, is_container, is_mapping, is_module, is_optimizer
from surgery.formats.unread import is_unread
from surgery.limits import exceeded, limits
from surgery.tensors.expr import TensorExpr

__all__ = ["ROOT", "Candidate", "Survey", "candidates"]

#: parts of the names of what is no model, whatever tensors stand in it
_NO_MODEL = re.compile(
    r"^optim|optimi[sz]er|scheduler|scaler|callback|^loops$|message_hub|(^|_)rng|random_state|hyper_?param|hparams"
    r"|^meta$|^args$|config|^cfg$|history|metrics?$|(^|_)loss(es)?$|^criterion|(^|\.)_extra_state$",
    re.IGNORECASE,
)
#: the entry that stands for the whole checkpoint
ROOT = "."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A state dict in a checkpoint: the path of containers to it, the number of tensors, whether all are numbers."""

    entry: tuple[str, ...]
    tensors: int
    only_numbers: bool = False

    def __str__(self) -> str:
        return f"`{'.'.join(self.entry) or ROOT}` ({self.tensors} tensor{'s' if self.tensors != 1 else ''})"


def candidates(tree: Any) -> list[Candidate]:
    """The state dicts in a tree of containers, outermost first."""
    found = list(Survey().candidates(tree, ()))
    real = [candidate for candidate in found if not candidate.only_numbers]
    return real or found


class Survey:
    """Counts tensors and finds state dicts. Each container is visited once, however often it is referred to.

    What lies deeper than the limit is not searched, since a pickled object may be a chain of any length; where the name
    of a checkpoint is given, everything in it counts, and it is an error.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._counts: dict[int, int] = {}
        self._visited: set[int] = set()

    def count(self, node: Any, depth: int = 0) -> int:
        """How many tensors stand in a node and below it, what is no model left out.

        Raises:
            SurgeryError: ``too-large``: containers lie deeper than the limit, in a checkpoint with a name.
        """
        if isinstance(node, TensorExpr) or is_unread(node):
            return 1
        if not is_container(node):
            return 0
        if depth >= limits().depth:
            if self._name is None:
                return 0
            raise exceeded("depth", f"`{self._name}`: containers lie more than {depth} deep in the state dict")
        if id(node) not in self._counts:
            self._counts[id(node)] = 0  # a container that holds itself is counted once
            if is_module(node):
                self._counts[id(node)] = sum(1 for _ in module_tensors(node))
            else:
                self._counts[id(node)] = sum(self.count(child, depth + 1) for _, child in children(node))
        return self._counts[id(node)]

    def candidates(self, node: Any, path: tuple[str, ...]) -> Iterator[Candidate]:
        """The state dicts in a node and below it."""
        if not is_container(node) or id(node) in self._visited or len(path) >= limits().depth:
            return
        self._visited.add(id(node))
        if _is_optimizer(node):
            return
        if is_module(node):
            yield Candidate(path, self.count(node))
            return
        direct = [child for _, child in children(node) if isinstance(child, TensorExpr) or is_unread(child)]
        inner = [
            (name, child)
            for name, child in children(node)
            if is_container(child) and not is_unread(child) and not _NO_MODEL.search(name)
        ]
        below = sum(self.count(child) for _, child in inner if not _is_optimizer(child))
        if is_mapping(node) and len(direct) > below:
            numbers = (isinstance(tensor, TensorExpr) and tensor.spec.numel == 1 for tensor in direct)
            only_numbers = all(numbers) and not below
            yield Candidate(path, len(direct) + below, only_numbers)
            return
        for name, child in inner:
            yield from self.candidates(child, (*path, name))


def _is_optimizer(node: Any) -> bool:
    """Whether the node is the state of an optimizer, or a pickled optimizer itself."""
    return is_optimizer(node) or (isinstance(node, Placeholder) and is_optimizer(node.state))
