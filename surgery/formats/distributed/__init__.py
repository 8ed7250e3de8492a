"""The parts of a directory that ``torch.distributed.checkpoint`` writes, each read by itself."""

from typing import Final

__all__ = ["METADATA", "SUFFIX"]

#: what the name of the file that says what is where ends with, and is where all ranks save together
METADATA: Final = ".metadata"
#: what the names of its data files end with
SUFFIX: Final = ".distcp"
