"""``replace``: pairs of texts, each a `str.replace` over every key, as conversion scripts have them."""

from __future__ import annotations

import re
from typing import ClassVar

from surgery.foreign.data import read_data
from surgery.importers.base import IMPORTERS, Imported, Importer, one_way
from surgery.importers.revise_keys import substitution_step, text_pairs

__all__ = ["Replace"]


@IMPORTERS.register("replace")
class Replace(Importer):
    """Pairs of texts for `key.replace(old, new)`, one after the other, as conversion scripts have them.

    ``null`` in place of a new text drops the tensors whose keys have the old one in them.
    """

    example: ClassVar[str] = "replace:renames.json"

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        one_way(reverse, "replace")
        pairs = text_pairs(read_data(words), "a mapping from old to new texts, or a list of pairs")
        steps = tuple(substitution_step(re.escape(old), new and new.replace("\\", r"\\")) for old, new in pairs)
        return Imported("replaced-keys", "Keys with pieces of text replaced, one after the other.", steps)
