"""``given``: a model or a state dict that the caller holds in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import escape, fail
from surgery.fields import main, string
from surgery.formats.contents import Rest
from surgery.planning.context import Context, Opened
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Held, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject

__all__ = ["Given"]


@SOURCES.register("given")
@dataclass(frozen=True, slots=True)
class Given(Source):
    """A model or a state dict that the caller passes from Python: ``recipe.run(model=my_model)``.

    It is never changed, and the result shares no storage with it. A recipe without a source takes what is given: the
    model, else the state dict. Other names are passed as ``recipe.run(given={"teacher": net})``, for ``load``, ``like``
    and ``parity``.
    """

    example: ClassVar[str] = "{given: model}"

    given: str = main(string, help="the name of the keyword argument")

    def open(self, context: Context) -> Subject:
        """The subject of the object; its tensors are not copied yet."""
        if self.given not in context.given:
            how = f"{self.given}=…" if self.given in ("model", "state_dict") else f"given={{'{self.given}': …}}"
            note = f"from Python: `recipe.run({how})`; from the command line a recipe needs a `source`"
            raise fail("not-given", f"nothing is given as `{self.given}`", context.here, (note,))
        context.taken.add(self.given)
        thing = context.given[self.given]
        if isinstance(thing, Mapping):
            subject = _subject_of_mapping(thing, self.given, context)
        else:
            from surgery.model.given import subject_of_module

            subject = subject_of_module(thing, self.given, context)
        specs = {key: entry.spec for key, entry in subject.entries.items()}
        context.opened.append(Opened(self.describe(), specs=specs))
        return subject

    def describe(self) -> str:
        """``the given model``."""
        return f"the given {self.given}"


def _subject_of_mapping(state: Mapping[Any, Any], name: str, context: Context) -> Subject:
    """A subject of a plain dict of tensors. Entries that are one tensor are tied."""
    exprs: dict[Any, TensorExpr] = {}
    entries: dict[str, Entry] = {}
    for key, tensor in state.items():
        if not isinstance(key, str):
            raise fail("not-given", f"a key of the state dict is not text: {escape(repr(key))}")
        spec, identity = _examined(key, tensor)
        expr = exprs.setdefault(identity, Held(spec, tensor))
        origin = Origin(context.named(name), key)
        context.inventory[origin] = spec
        device = str(getattr(tensor, "device", "cpu"))
        entries[key] = Entry(expr, (origin,), device=None if device in ("cpu", "meta") else device)
    return Subject(entries, rest=_rest(state, context.named(name), entries))


def _rest(state: Mapping[Any, Any], name: str, entries: Mapping[str, Entry]) -> Rest | None:
    """The versions of modules that a state dict of torch carries; what else stands there is not known to stay true."""
    metadata = getattr(state, "_metadata", None)
    if not isinstance(metadata, Mapping):
        return None
    versions = {path: {"version": known["version"]} for path, known in metadata.items() if "version" in known}
    tensors = {key: entry.expr for key, entry in entries.items()}
    return Rest(tensors, state_metadata=versions, source=name, tensors=tensors)


def _examined(key: str, tensor: Any) -> tuple[Spec, Any]:
    """Shape and dtype of a tensor (or an array), and what two names of one tensor share."""
    if hasattr(tensor, "untyped_storage"):
        from surgery.model.tensors import identity, spec_of

        try:
            return spec_of(tensor), identity(tensor)
        except RuntimeError as error:
            message = f"`{key}` has no shape: {str(error).splitlines()[0]}"
            raise fail("not-given", message, cause=error) from error
    dtype = DTYPES.get(str(getattr(tensor, "dtype", "")))
    if dtype is None or not hasattr(tensor, "shape"):
        what = f"of {tensor.dtype}" if hasattr(tensor, "dtype") else type(tensor).__name__
        note = "a state dict maps keys to tensors; nested containers: pass the inner one"
        if key.rpartition(".")[2] == "_extra_state":
            note = "pass the tensors alone; what modules keep beside them goes along from a file, not from a given dict"
        raise fail("not-given", f"`{key}` is no tensor that can be operated on: it is {what}", notes=(note,))
    return Spec(tuple(int(size) for size in tensor.shape), dtype), id(tensor)
