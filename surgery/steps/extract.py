"""``extract``: a part becomes the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import key, main
from surgery.planning.context import Context
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.subtrees import prefixes
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Extract"]


@STEPS.register("extract")
@dataclass(frozen=True, slots=True)
class Extract(Step):
    """A submodule of the model, or a subtree of the state dict, becomes the subject, and its prefix goes."""

    example: ClassVar[str] = "extract: features"

    path: str = main(key, help="the path of the submodule: `encoder.layer4`")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """What stands below the path, under its own names."""
        prefix = f"{self.path}."
        entries: dict[str, Entry] = {}
        for name, entry in subject.entries.items():
            if name.startswith(prefix):
                new = name.removeprefix(prefix)
                entries[new] = entry.touched(Touch("extract", f"{name} -> {new}", context.here))
            else:
                context.drop(entry, Touch("extract", f"{name} is not below {self.path}", context.here))
        if subject.skeleton is not None:
            return subject.replace(entries=entries, skeleton=subject.skeleton.at(self.path))
        if not entries:
            self._report(subject, context)
        return subject.replace(entries=entries)

    def _report(self, subject: Subject, context: Context) -> None:
        if self.path in subject.entries:
            message, note = f"`{self.path}` is a tensor, and nothing stands below it", None
        else:
            modules = {prefix for key in subject.entries for prefix in prefixes(key)}
            message, note = f"no key begins with `{self.path}.`", did_you_mean(self.path, modules)
        context.report("unused-rule", message, notes=(note,) if note else ())
