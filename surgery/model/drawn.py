"""Values that prove something: no tensor is left as a fresh layer has it, neither zeros nor ones nor all alike.

A conversion that swaps two biases, or leaves running statistics behind, goes unnoticed where these are zeros and ones.
Each tensor is drawn by itself, from the seed and its key; sizes are those of trained layers, so that the outputs of a
deep model stay finite.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from surgery.model.seeds import derived_seed
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec

__all__ = ["draw_all", "drawn"]

_COUNTER = "num_batches_tracked"


def drawn(key: str, spec: Spec, seed: int) -> Tensor:
    """A tensor for `key` that follows from `seed`.

    Matrices and kernels are normal with a variance of one by their inputs, as layers are initialised; vectors are
    normal, and about one where they are weights (of norms); running variances are positive. Integers are below 100.

    >>> drawn("bn.running_var", Spec((2,), DTYPES["float32"]), 0).gt(0).all()
    tensor(True)
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, key))
    shape, dtype = spec.shape, torch_dtype(spec.dtype.name)
    if spec.dtype.kind == "bool":
        return torch.randint(2, shape, generator=generator).bool()
    if spec.dtype.kind in ("int", "uint"):
        return torch.randint(1, 100, shape, generator=generator).to(dtype)
    name = key.rpartition(".")[2]
    if name == "running_var":
        values = torch.rand(shape, generator=generator) + 0.5
    elif len(shape) < 2:
        values = 0.3 * torch.randn(shape, generator=generator) + (1.0 if name == "weight" else 0.0)
    else:
        values = torch.randn(shape, generator=generator) / max(1, prod(shape[1:])) ** 0.5
    return values.to(dtype)


def draw_all(module: nn.Module, seed: int) -> None:
    """Give every parameter and buffer of a module values as `drawn` makes them, in place.

    Tables of integers, which say where things are, stay as they are; counters of batches do not.
    """
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if not isinstance(tensor, Tensor):
                continue
            dtype = DTYPES.get(str(tensor.dtype).removeprefix("torch."))
            if dtype is not None and (dtype.kind in ("float", "complex") or key.endswith(_COUNTER)):
                tensor.copy_(drawn(key, Spec(tuple(tensor.shape), dtype), seed))
