"""The limits that readers of files keep to; they are `surgery.limits`."""

from surgery.limits import Limits

__all__ = ["Limits"]
