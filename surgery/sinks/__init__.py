"""Sinks: the formats in which a result is written. One small file each."""

from surgery.sinks.base import SINKS

__all__ = ["SINKS"]
