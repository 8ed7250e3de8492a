"""The operations of transformers' converters as operations of `via`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.foreign.remarks import Inexpressible

__all__ = ["Via", "via_of"]


@dataclass(frozen=True, slots=True)
class Via:
    """Operations behind ``via``, and the condition under which they apply.

    Attributes:
        text: the operations.
        condition: a guard; where it does not hold, tensors keep their values under the new key.
        permuted: the patterns, of sources or of targets, whose tensors alone are permuted.
        after: the operations on those targets, after they were made.
        before: the operations on those sources, before anything else.
    """

    text: str
    condition: str = ""
    permuted: tuple[str, ...] = ()
    after: str = ""
    before: str = ""


def via_of(converter: Any, model: Any) -> Via:
    """The operations of one converter.

    Raises:
        Inexpressible: it holds an operation, or a row of them, that has no form here.
    """
    operations = converter.operations
    names = [type(operation).__name__ for operation in operations]
    sources, targets = converter.source_patterns, converter.target_patterns
    match names:
        case ["MergeModulelist", "Concatenate"] if operations[0].dim == 0 and operations[1].dim == 1:
            return Via(f'stack | rearrange("(e n) a ... -> e (n a) ...", n={len(sources)})')
        case ["Chunk", "SplitModulelist"] if operations[0].dim == 1 and operations[1].dim == 0:
            return Via(f'rearrange("e (n a) ... -> (e n) a ...", n={len(targets)}) | unstack')
        case ["Chunk", "PermuteForRope"] if len(targets) > 1:
            return Via(_one(operations[0], converter, model), "", *_permuted(operations[1], targets, model))
        case ["PermuteForRope", "Concatenate"] if len(sources) > 1:
            chosen, before = _permuted(operations[0], sources, model)
            return Via(_one(operations[1], converter, model), permuted=chosen, before=before)
        case ["Transpose"] if operations[0].check_dims:
            return Via(_one(operations[0], converter, model), _other_shape(converter, model))
        case ["Conv3dToLinear"]:
            return Via("flatten(start=1)", "ndim == 5")
    if len(sources) > 1 and names[0] != "Concatenate":
        raise Inexpressible(_unknown(names))
    return Via(" | ".join(_one(operation, converter, model) for operation in operations))


def _one(operation: Any, converter: Any, model: Any) -> str:
    name, dim = type(operation).__name__, getattr(operation, "dim", 0)
    match name:
        case "Chunk" if operation.num_shards_attribute is None:
            return f"chunk(dim={dim})"
        case "Concatenate":
            return f"concat(dim={dim})"
        case "MergeModulelist":
            return f"stack(dim={dim})" if dim else "stack"
        case "SplitModulelist":
            return f"unstack(dim={dim})" if dim else "unstack"
        case "Transpose":
            return f"transpose({operation.dim0}, {operation.dim1})"
        case "Split":
            return f"split({_sizes(converter, model, dim)}, dim={dim})"
        case "Interleave":
            before = "".join(f"{axis} " for axis in "abcd"[:dim])
            two, one = ("(two i)", "(i two)") if operation.inverse else ("(i two)", "(two i)")
            return f'rearrange("{before}{two} ... -> {before}{one} ...", two=2)'
        case "PermuteForRope" if operation.permute_layer_names is None:
            return _permutation(operation, model)
        case "LinearToConv3d":
            sizes = ", ".join(map(str, (operation.in_channels, *operation.kernel_size)))
            return f"reshape(-1, {sizes})"
    raise Inexpressible(_unknown([name]))


def _unknown(names: Sequence[str]) -> str:
    return f"an operation of transformers that has no form here, `{', '.join(names)}`"


def _permutation(operation: Any, model: Any) -> str:
    config = model.config
    if operation.subconfig_key is not None:
        config = getattr(config, operation.subconfig_key, config)
    heads = getattr(config, "num_attention_heads", 1)
    pairs, halves = "(h i two)", "(h two i)"
    before, after = (halves, pairs) if operation.inverse else (pairs, halves)
    return f'rearrange("{before} ... -> {after} ...", h={heads}, two=2)'


def _permuted(operation: Any, patterns: Sequence[str], model: Any) -> tuple[tuple[str, ...], str]:
    names = operation.permute_layer_names
    chosen = tuple(pattern for pattern in patterns if names is None or any(name in pattern for name in names))
    return chosen, _permutation(operation, model)


def _sizes(converter: Any, model: Any, dim: int) -> list[int]:
    """The sizes of the pieces, which those parameters of the model give that they are for."""
    found = set()
    first = converter.target_patterns[0]
    for name, parameter in _parameters(converter, model):
        if first in name and parameter.ndim > dim:
            others = [name.replace(first, target) for target in converter.target_patterns]
            found.add(tuple(model.get_parameter(other).shape[dim] for other in others))
    if len(found) != 1:
        raise Inexpressible("a split whose sizes are not the same in all layers of the model")
    return list(found.pop())


def _parameters(converter: Any, model: Any) -> Iterator[tuple[str, Any]]:
    """The parameters below the part of the model that the converter is for."""
    prefixes = [converter.scope_prefix] if converter.scope_prefix else []
    prefixes += [f"{converter.base_model_prefix}.{prefix}" for prefix in prefixes if converter.base_model_prefix]
    below = tuple(f"{prefix}." for prefix in prefixes)
    return ((name, value) for name, value in model.named_parameters() if not below or name.startswith(below))


def _other_shape(converter: Any, model: Any) -> str:
    """The guard for tensors that have not the shape of the parameters they are for."""
    target = converter.target_patterns[0]
    shapes = {tuple(parameter.shape) for name, parameter in _parameters(converter, model) if target in name}
    if len(shapes) != 1:
        raise Inexpressible("a transposition where the shape is not that of the model, and layers have several")
    return f"shape != {list(shapes.pop())}"
