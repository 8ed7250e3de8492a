"""Weights that a `forward` takes before a hook has brought them in from the disk.

Such a weight is on the meta device, and torch may compute with it without a word: the result is what stood in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, fx, nn

from surgery.diagnostics import Diagnostic
from surgery.model.parts import devices_inside
from surgery.model.seeds import seeded
from surgery.model.skeleton import Skeleton, copied
from surgery.wording import listed

__all__ = ["reaching_in", "too_late"]


def reaching_in(skeleton: Skeleton, placed: Mapping[str, str]) -> set[str]:
    """The classes of modules on the disk that take weights of layers inside without calling these.

    ``torch.fx`` shows that, for those whose `forward` it can follow. The model is left alone: a copy is followed.
    """
    inside = devices_inside(placed)
    modules = Skeleton(copied(skeleton.module, {})).modules
    with seeded(0, ""):
        return {
            type(module).__name__
            for path, module in modules.items()
            if "disk" in inside.get(path, ()) and module._modules and _takes_inner_weights(module)
        }


class _OneLevel(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _takes_inner_weights(module: nn.Module) -> bool:
    try:
        graph = _OneLevel().trace(module)
    except Exception:  # whatever its `forward` raises, given what stands for a tensor
        return False
    return any(node.op == "get_attr" and "." in str(node.target) for node in graph.nodes)


def too_late(skeleton: Skeleton, placed: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Errors for modules on the disk that compute a tensor in a hook before their `forward`: `nn.utils.weight_norm`."""
    on_disk = {key.rpartition(".")[0] for key, device in placed.items() if device == "disk"}
    for path, module in skeleton.modules.items():
        computed = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
        if path in on_disk and computed and module._forward_pre_hooks:
            message = f"`{path}` computes its {listed(computed)} in a hook, before it is brought in from the disk"
            note = "`torch.nn.utils.parametrizations` has such norms for the disk, too"
            yield Diagnostic("device", message, notes=(note,))
