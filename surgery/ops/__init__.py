"""The operations behind ``via``: what becomes of tensors, as a shape rule and a function. One small file each."""

from surgery.ops.base import Op
from surgery.registry import Registry

__all__ = ["OPS"]

#: name in a recipe -> operation
OPS: Registry[type[Op]] = Registry("surgery.ops")
