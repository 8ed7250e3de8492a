"""Two models on one input: whether their outputs agree, and if not, the first module whose outputs differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from surgery.diagnostics import Span, fail
from surgery.suggest import did_you_mean

__all__ = [
    "Difference",
    "apart",
    "distance",
    "first_difference",
    "outputs_of",
    "seeded_inputs",
    "submodule",
]

#: where an output belongs: the path of the module, and how often it was called before
_Call: TypeAlias = tuple[str, int]
#: the place of an output, and how far it is off, as a part of the largest value of the reference
Difference: TypeAlias = tuple[str, float]


def seeded_inputs(wanted: Iterable[tuple[tuple[int, ...], int | None]], seed: int) -> list[Tensor]:
    """Tensors that follow from the seed alone; torch's global generator is untouched.

    Args:
        wanted: the shape of each, and None for normally distributed values, or what integers are to stay below.
        seed: of them all.
    """
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator) if below is None else torch.randint(below, shape, generator=generator)
        for shape, below in wanted
    ]


def outputs_of(
    model: nn.Module,
    values: Sequence[Tensor],
    called: str,
    span: Span | None = None,
    *,
    names: Sequence[str | None] = (),
    at: str | None = None,
    output: str | None = None,
) -> list[Tensor]:
    """The tensors that a model in evaluation mode gives for its inputs, nested containers flattened.

    Args:
        model: what is run.
        values: its arguments.
        called: what messages call it.
        span: their place.
        names: those of the arguments; None, or none, for positional ones.
        at: the path of the inner module whose output is wanted; None for the model's own.
        output: what of the output is wanted: keys, names and indices joined by dots; None for all. An output that is
            one tensor has no parts, and is that.

    Raises:
        SurgeryError: code ``check-failed``; the model does not take the inputs, or has no such output.
    """
    floating = [p for p in model.parameters() if p.is_floating_point()]
    # a parameter on the meta device is brought in by a hook, which moves the input, too
    parameter = next((p for p in floating if not p.is_meta), None)
    dtype = floating[0].dtype if floating else None
    placed = [_placed(value, parameter.device if parameter is not None else None, dtype) for value in values]
    called_by = list(names) or [None] * len(placed)
    positional = [value for name, value in zip(called_by, placed, strict=True) if name is None]
    keywords = {name: value for name, value in zip(called_by, placed, strict=True) if name is not None}
    inner = model if at is None else submodule(model, at, called, span)
    try:
        with torch.inference_mode(), _last_output(inner) as seen:
            model.eval()(*positional, **keywords)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        shapes = " and ".join(str(list(value.shape)) for value in values)
        message = f"{called} does not run on an input of {shapes}: {type(error).__name__}: {first_line}"
        raise fail("check-failed", message, span, cause=error) from error
    if not seen:
        raise fail("check-failed", f"{called} does not call its `{at}`", span)
    found = list(_tensors(_chosen(seen[0], output, called, span)))
    if not found:
        raise fail("check-failed", f"{called} gives no tensor that could be compared", span)
    return found


@contextmanager
def _last_output(module: nn.Module) -> Iterator[list[Any]]:
    """A list that holds, once `module` was called, what it gave the last time."""
    seen: list[Any] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        seen[:] = [output]

    handle = module.register_forward_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


def submodule(model: nn.Module, path: str, called: str, span: Span | None) -> nn.Module:
    """The module at a path inside a model that messages call `called`.

    Raises:
        SurgeryError: code ``check-failed``; there is none.
    """
    known: dict[str, nn.Module] = dict(model.named_modules())
    if path not in known:
        near = did_you_mean(path, known)
        raise fail("check-failed", f"{called} has no module `{path}`", span, (near,) if near else ())
    return known[path]


def _placed(value: Tensor, device: torch.device | None, dtype: torch.dtype | None) -> Tensor:
    """An input where the parameters are; where it is no integer, in their dtype."""
    return value.to(device, dtype if value.is_floating_point() else None)


def _chosen(given: Any, output: str | None, called: str, span: Span | None) -> Any:
    """A part of a model's output."""
    if output is None or isinstance(given, Tensor):
        return given
    for word in output.split("."):
        parts = _parts(given)
        if word not in parts:
            names = ", ".join(f"`{name}`" for name in parts)
            raise fail("check-failed", f"{called} has no output `{word}`", span, (f"its outputs: {names}",))
        given = parts[word]
    return given


def _parts(given: Any) -> dict[str, Any]:
    """What an output is made of, by name or index."""
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    if isinstance(given, list | tuple):
        named = {name: getattr(given, name) for name in getattr(given, "_fields", ())}
        return {**{str(index): value for index, value in enumerate(given)}, **named}
    if dataclasses.is_dataclass(given):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    return {}


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference of two outputs, as a part of the largest value of the first; infinite if shapes differ."""
    if [tensor.shape for tensor in one] != [tensor.shape for tensor in other]:
        return float("inf")
    worst = 0.0
    for reference, result in zip(one, other, strict=True):
        a, b = reference.double().cpu(), result.double().cpu()
        if not a.numel():
            continue
        # what is equal is no difference, infinities of masks included, of which no size can be told
        size = float(a.abs().nan_to_num(posinf=0.0).max()) or 1.0
        difference = float((a - b).masked_fill(a == b, 0.0).abs().max()) / size
        # a NaN compares as false with everything, and would pass
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def apart(expected: list[Tensor], found: list[Tensor], off: float) -> str:
    """How far outputs are apart, in words: their `distance` `off`, or their shapes."""
    shapes, others = ([list(tensor.shape) for tensor in tensors] for tensors in (expected, found))
    if shapes == others:
        return f"they differ by {off:.2g}"
    return f"they are of shape {', '.join(map(str, others))} instead of {', '.join(map(str, shapes))}"


def first_difference(
    reference: nn.Module,
    result: nn.Module,
    values: Sequence[Tensor],
    tolerance: float,
    names: Sequence[str | None] = (),
) -> Difference | None:
    """The first module, in the order in which `result` finishes them, whose outputs differ by more than `tolerance`.

    Modules are compared by path and call. None where no module of the same path differs.
    """
    expected: dict[_Call, list[Tensor]] = {}
    with _watched(reference, lambda call, output: expected.setdefault(call, [t.clone() for t in output])):
        outputs_of(reference, values, "the reference", names=names)
    found: list[Difference] = []

    def compare(call: _Call, output: list[Tensor]) -> None:
        if not found and call in expected:
            off = distance(expected[call], output)
            if off > tolerance:
                found.append((call[0], off))

    with _watched(result, compare):
        outputs_of(result, values, "the result", names=names)
    return found[0] if found else None


class _watched:
    """While this is open, `note` is told the outputs of every module but the root."""

    def __init__(self, model: nn.Module, note: Callable[[_Call, list[Tensor]], Any]) -> None:
        self._model, self._note = model, note
        self._calls: dict[str, int] = {}

    def __enter__(self) -> None:
        self._handles = [
            module.register_forward_hook(self._hook(path)) for path, module in self._model.named_modules() if path
        ]

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            number = self._calls[path] = self._calls.get(path, -1) + 1
            self._note((path, number), list(_tensors(output)))

        return hook
