"""The models of torchvision as subjects: built without weights, with a note of which tensor of a file goes where.

torchvision's builders decide by themselves what becomes of the weights they load: auxiliary heads are loaded and then
taken away, old names of DenseNet are mended, numbers of classes follow the weights. So the builder is called with its
weights, as a user would; what it gets to load are marked tensors without data, and which of them it copies into which
parameter says what the file's tensors are for.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import list_models
from torchvision.models._api import BUILTIN_MODELS, WeightsEnum

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.fields.words import span_of
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.model.building import Build
from surgery.model.hub import cached_file, named_weights
from surgery.model.initial import ModuleProducer
from surgery.model.skeleton import Skeleton
from surgery.model.tensors import spec_of
from surgery.ops.arithmetic import torch_dtype
from surgery.ops.cast import Cast
from surgery.planning.context import Context, Opened
from surgery.suggest import did_you_mean
from surgery.tensors.expr import Computed, Held, Initial, TensorExpr, detach
from surgery.tensors.subject import Entry, Origin, Subject

__all__ = ["find_builder", "vision_subject"]

_OURS = ("weights", "progress", "pretrained", "pretrained_backbone")


def find_builder(name: str, span: Span | None) -> Callable[..., nn.Module]:
    """The builder of that name.

    Raises:
        SurgeryError: code ``unknown-model``.
    """
    found: Callable[..., nn.Module] | None = BUILTIN_MODELS.get(name)
    if found is None:
        near = did_you_mean(name, list_models(), most=3)
        note = near or "`torchvision.models.list_models()` lists them"
        raise fail("unknown-model", f"torchvision has no model `{name}`", span, (note,))
    return found


def vision_subject(name: str, weights: str | None, kwargs: Mapping[str, Any], context: Context) -> Subject:
    """The subject of a model: with published `weights`, or with initial values where there are none.

    Raises:
        SurgeryError: unknown names, arguments that the builder does not take, weights that are not there.
    """
    span = span_of(name) or context.here
    builder = find_builder(name, span)
    arguments = _arguments(builder, name, kwargs, span)
    loading = _Loading(context, span_of(weights) or span)
    published = None if weights is None else named_weights(builder, weights, arguments, span_of(weights) or span)

    def make() -> nn.Module:
        return builder(weights=published, progress=False, **arguments)

    with _published_weights_from(loading):
        skeleton = _without_weights(make, loading.build, builder, kwargs, span)
    plain = {key: value for key, value in arguments.items() if key != "weights_backbone"}
    if published is not None and "categories" in published.meta:
        plain.setdefault("num_classes", len(published.meta["categories"]))
    if "weights_backbone" in inspect.signature(builder).parameters:
        plain["weights_backbone"] = None
    producer = ModuleProducer(lambda: _quietly(lambda: builder(weights=None, **plain)), name, context.seed, name)
    return Subject(_entries(skeleton, loading, producer), skeleton)


def _arguments(
    builder: Callable[..., nn.Module], name: str, kwargs: Mapping[str, Any], span: Span | None
) -> dict[str, Any]:
    for word in _OURS:
        if word in kwargs:
            place = span_of(kwargs, word) or span
            raise fail("builder-arguments", f"`{word}` does not stand in `kwargs`", place, ("`weights: …` beside it",))
    if kwargs.get("quantize"):
        message = f"`{name}` with `quantize: true` has packed weights, which cannot be taken apart"
        place = span_of(kwargs, "quantize") or span
        raise fail("builder-arguments", message, place, ("without it the model is the one to be quantised",))
    arguments = dict(kwargs)
    if "weights_backbone" in inspect.signature(builder).parameters:
        arguments.setdefault("weights_backbone", None)
    return arguments


def _quietly(make: Callable[[], nn.Module]) -> nn.Module:
    """torchvision warns of initialisers that take long; here they are left out, or wanted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def _without_weights(
    make: Callable[[], nn.Module],
    current: Build,
    builder: Callable[..., nn.Module],
    kwargs: Mapping[str, Any],
    span: Span | None,
) -> Skeleton:
    try:
        return Skeleton.build(lambda: _quietly(make), current)
    except SurgeryError as error:
        raise SurgeryError(d if d.span else dataclasses.replace(d, span=span) for d in error.diagnostics) from error
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        wrong = next((name for name in kwargs if f"'{name}'" in text), None)
        near = did_you_mean(wrong, _parameters(builder)) if wrong else None
        if wrong in _parameters(builder):
            near = "published weights fix it: `replace_layer` changes a head" if wrong == "num_classes" else None
        message = f"`{builder.__name__}` cannot be built like this: {text}"
        raise fail(
            "builder-arguments", message, span_of(kwargs, wrong) or span, (near,) if near else (), error
        ) from error


def _parameters(builder: Callable[..., nn.Module]) -> list[str]:
    """The arguments of a builder, and of the class that it makes, to which it hands on what it does not know."""
    made = typing.get_type_hints(builder).get("return")
    functions: list[Any] = [builder, *([made] if isinstance(made, type) else [])]
    return [name for function in functions for name in inspect.signature(function).parameters if name not in _OURS]


class _Loading:
    """What a builder loads while it builds: marked tensors, by the file of their weights."""

    def __init__(self, context: Context, span: Span | None) -> None:
        self.build = Build()
        self._context, self._span = context, span

    def state_dict(self, weights: WeightsEnum) -> dict[str, Tensor]:
        """The state dict of published weights, without data, its tensors marked with where they come from."""
        file = cached_file(weights, self._context, self._span)
        found = read(file, name=str(file))
        state = choose(found, None, None)
        self._context.files.update(found.files)
        self._context.opened.append(Opened(str(weights), found, pinned_as=str(weights)))
        marked: OrderedDict[str, Tensor] = OrderedDict()
        for key, expr in state.tensors.items():
            origin = Origin(self._context.named(str(weights)), key)
            self._context.inventory[origin] = expr.spec
            dtype = torch_dtype(expr.spec.dtype.name)
            marked[key] = self.build.mark(torch.empty(expr.spec.shape, dtype=dtype, device="meta"), (origin, expr))
        if state.metadata is not None:
            marked._metadata = state.metadata  # type: ignore[attr-defined]
        return marked


_loading: ContextVar[_Loading | None] = ContextVar("surgery_weights", default=None)
_torchvision_own = WeightsEnum.get_state_dict


def _get_state_dict(self: WeightsEnum, *args: Any, **kwargs: Any) -> Any:
    current = _loading.get()
    return _torchvision_own(self, *args, **kwargs) if current is None else current.state_dict(self)


@contextmanager
def _published_weights_from(loading: _Loading) -> Iterator[None]:
    """In this thread, let torchvision's builders load marked tensors. Elsewhere the method does what it always did."""
    WeightsEnum.get_state_dict = _get_state_dict
    token = _loading.set(loading)
    try:
        yield
    finally:
        _loading.reset(token)


def _entries(skeleton: Skeleton, loading: _Loading, producer: ModuleProducer) -> dict[str, Entry]:
    """The entries of the model: tensors of a file where the builder loaded any, else initial values."""
    made: dict[int, Entry] = {}
    taken: set[int] = set()
    entries: dict[str, Entry] = {}
    for slot in skeleton.slots():
        entry = made.get(id(slot.tensor))
        if entry is None:
            trained = slot.tensor.requires_grad if slot.kind == "parameter" else None
            expr, origins = _expression(slot.key, slot.tensor, loading, producer)
            if id(expr) in taken:
                expr = detach(expr)
            taken.add(id(expr))
            entry = made[id(slot.tensor)] = Entry(expr, origins, kind=slot.kind, requires_grad=trained)
        entries[slot.key] = entry
    return entries


def _expression(
    key: str, tensor: Tensor, loading: _Loading, producer: ModuleProducer
) -> tuple[TensorExpr, tuple[Origin, ...]]:
    spec = spec_of(tensor)
    source = loading.build.source(tensor)
    if source is not None:
        origin, expr = source
        if expr.spec.dtype != spec.dtype:
            expr = Computed(spec, Cast(spec.dtype), (expr,))
        return expr, (origin,)
    value = loading.build.value(tensor)
    if value is not None and loading.build.loaded:
        # a counter that old weights lack, say: the builder's own value stays
        return Held(spec, value), ()
    return Initial(spec, producer, key), ()
