"""The state of optimizers in a training checkpoint, which follows the parameters through an operation by name."""

from __future__ import annotations

from surgery.optimizers.follow import follow_optimizers

__all__ = ["follow_optimizers"]
