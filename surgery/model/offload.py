"""Weights that are brought in from the disk when a layer needs them, by accelerate's hooks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.model.skeleton import Skeleton
from surgery.model.whole import is_whole

__all__ = ["OnDisk", "bring_in"]


class OnDisk(Mapping[str, Tensor]):
    """Key -> tensor, read from its safetensors file each time that it is asked for, and not kept.

    accelerate's `OffloadedWeightsLoader`, which reads, notices no change of a file; this one does.

    Args:
        places: key -> the safetensors file, and the tensor's name there.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        from accelerate.utils import OffloadedWeightsLoader

        index = {key: {"safetensors_file": file, "weight_name": name} for key, (file, name) in places.items()}
        self._loader = OffloadedWeightsLoader(index=index)
        self._files = {file: _state(file) for file, _ in places.values()}
        self.places = dict(places)

    def __getitem__(self, key: str) -> Tensor:
        file = self.places[key][0]
        if _state(file) != self._files[file]:
            note = "the model brings its weights in from there: build it again"
            raise fail("source-changed", f"`{file}` is not what it was when the model was built", notes=(note,))
        # as a copy it begins where torch lets tensors begin, so that kernels give the very values they give in memory
        tensor: Tensor = self._loader[key].clone()
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _state(file: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


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
