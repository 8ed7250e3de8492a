"""Seeds of single things: drawn from the recipe's seed and a name alone, so that the order of steps changes nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["derived_seed", "seeded"]

_one_at_a_time = threading.RLock()


def derived_seed(seed: int, name: str) -> int:
    """A seed of 63 bits for `name`: the leading bits of the SHA-256 of the recipe's seed, a line end, and the name.

    >>> derived_seed(0, "fc") == derived_seed(0, "fc"), derived_seed(0, "fc") == derived_seed(1, "fc")
    (True, False)
    """
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """torch's generator of the CPU, seeded for `name` and put back afterwards.

    Initialisers draw from that generator, which is one for the process; so one thread at a time.
    """
    with _one_at_a_time, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, name))
        yield
