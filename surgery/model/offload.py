"""Weights that are brought in from the disk when a layer needs them, by accelerate's hooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor, nn

from surgery.model.skeleton import Skeleton
from surgery.model.whole import is_whole

__all__ = ["bring_in"]


def bring_in(
    model: nn.Module, keys: Collection[str], weights: Mapping[str, Tensor], whole: Collection[str], device: str
) -> None:
    """Attach accelerate's hooks to the modules that have tensors on the disk. They compute on `device`.

    Args:
        model: what is changed.
        keys: the keys on the disk; the tensors there are on the meta device.
        weights: key -> tensor, for these keys.
        whole: the names of classes whose modules take the tensors of those inside, too.
        device: where the tensors go for the time of a `forward`.
    """
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module
    from accelerate.utils import PrefixedDataset

    inside = {key.rpartition(".")[0] for key in keys}
    taken: list[str] = []
    hooked: set[int] = set()
    for path, module in Skeleton(model).modules.items():
        prefix = f"{path}." if path else ""
        if any(path.startswith(other) for other in taken) or id(module) in hooked:
            continue
        entire = is_whole(module, whole) and any(other == path or other.startswith(prefix) for other in inside)
        if not entire and path not in inside:
            continue
        if entire:
            taken.append(prefix)
        hooked.add(id(module))
        hook = AlignDevicesHook(
            execution_device=device,
            offload=True,
            weights_map=PrefixedDataset(weights, prefix),
            offload_buffers=True,
            place_submodules=entire,
        )
        add_hook_to_module(module, hook)
