"""Names of devices: ``cpu``, ``cuda:1``, ``meta``; and ``disk``, from where weights are brought in as they are used."""

from __future__ import annotations

import re

__all__ = ["DEVICE_KINDS", "is_device", "numbered"]

#: what torch calls devices, without their number
DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "npu", "mtia", "privateuseone", "meta")

_DEVICE = re.compile(rf"cpu|meta|({'|'.join(DEVICE_KINDS[1:-1])})(:\d{{1,4}})?")


def is_device(word: str) -> bool:
    """Whether torch may call a device so, on whatever machine. (``disk`` is none.)

    >>> [is_device(word) for word in ("cuda:1", "mps", "gpu", "disk")]
    [True, True, False, False]
    """
    return _DEVICE.fullmatch(word) is not None


def numbered(device: str) -> str:
    """The device with its number: what is said without one is the first of its kind.

    >>> [numbered(device) for device in ("cuda", "cuda:1", "cpu", "disk")]
    ['cuda:0', 'cuda:1', 'cpu', 'disk']
    """
    return device if ":" in device or device in ("cpu", "meta", "disk") else f"{device}:0"
