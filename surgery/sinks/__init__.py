"""Sinks: the formats in which a result is written. One small file each."""

from surgery.registry import Registry
from surgery.sinks.base import Sink

__all__ = ["SINKS"]

#: format in a recipe -> sink
SINKS: Registry[type[Sink]] = Registry("surgery.sinks")
