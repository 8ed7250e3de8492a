"""The parts of a directory that ``torch.distributed.checkpoint`` writes, each read by itself."""
