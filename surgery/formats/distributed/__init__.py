"""The parts of a directory that ``torch.distributed.checkpoint`` writes, each read by itself."""

from typing import Final

__all__ = ["SUFFIX"]

#: what the names of its data files end with
SUFFIX: Final = ".distcp"
