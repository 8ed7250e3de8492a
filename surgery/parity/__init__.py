"""``expect: parity``: the result computes what a reference model computes."""

from surgery.parity.declared import Parity, parity

__all__ = ["Parity", "parity"]
