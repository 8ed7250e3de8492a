"""The steps of a recipe: what a subject becomes. One small file each."""

from surgery.registry import Registry
from surgery.steps.base import Step

__all__ = ["STEPS"]

#: name in a recipe -> step
STEPS: Registry[type[Step]] = Registry("surgery.steps")
