"""Two models on one input: whether their outputs agree, and if not, the first module whose outputs differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from surgery.diagnostics import Span, fail

__all__ = ["Difference", "distance", "first_difference", "outputs_of", "seeded_input"]

#: where an output belongs: the path of the module, and how often it was called before
_Call: TypeAlias = tuple[str, int]
#: the place of an output, and how far it is off, as a part of the largest value of the reference
Difference: TypeAlias = tuple[str, float]


def seeded_input(shape: tuple[int, ...], seed: int) -> Tensor:
    """Normally distributed values that follow from the seed alone; torch's global generator is untouched."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def outputs_of(model: nn.Module, values: Tensor, called: str, span: Span | None = None) -> list[Tensor]:
    """The tensors that a model in evaluation mode gives for an input, nested containers flattened.

    Raises:
        SurgeryError: code ``check-failed``; the model, named `called` in messages, does not take the input.
    """
    floating = [p for p in model.parameters() if p.is_floating_point()]
    # a parameter on the meta device is brought in by a hook, which moves the input, too
    parameter = next((p for p in floating if not p.is_meta), values.to(floating[0].dtype) if floating else values)
    try:
        with torch.inference_mode():
            return list(_tensors(model.eval()(values.to(parameter.device, parameter.dtype))))
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        message = f"{called} does not run on an input of {list(values.shape)}: {type(error).__name__}: {first_line}"
        raise fail("check-failed", message, span, cause=error) from error


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
        size = float(a.abs().max()) or 1.0
        difference = float((a - b).abs().max()) / size
        # a NaN compares as false with everything, and would pass
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def first_difference(reference: nn.Module, result: nn.Module, values: Tensor, tolerance: float) -> Difference | None:
    """The first module, in the order in which `result` finishes them, whose outputs differ by more than `tolerance`.

    Modules are compared by path and call. None where no module of the same path differs.
    """
    expected: dict[_Call, list[Tensor]] = {}
    with _watched(reference, lambda call, output: expected.setdefault(call, [t.clone() for t in output])):
        outputs_of(reference, values, "the reference")
    found: list[Difference] = []

    def compare(call: _Call, output: list[Tensor]) -> None:
        if not found and call in expected:
            off = distance(expected[call], output)
            if off > tolerance:
                found.append((call[0], off))

    with _watched(result, compare):
        outputs_of(result, values, "the result")
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
