"""What wrappers of modules call the module that they wrap, which puts a prefix before its keys."""

from __future__ import annotations

__all__ = ["COUNTER", "WRAPPERS"]

#: DataParallel, DistributedDataParallel, AveragedModel and timm's ModelEmaV2 and V3; torch.compile; FSDP, in
#: `named_parameters`; activation checkpointing; the strategies of Lightning
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")

#: the counter that ``torch.optim.swa_utils.AveragedModel`` puts beside the module that it wraps
COUNTER = "n_averaged"
