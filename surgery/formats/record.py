"""The record of what made a file, as text: where each format keeps it. `surgery.provenance` says what is in it."""

from __future__ import annotations

from typing import Final

__all__ = ["CHECKSUMS", "MEMBER", "RECORD"]

#: the metadata pair that holds it; a checkpoint that has a record has this pair in its `metadata`, whatever the format
RECORD: Final = "surgery.provenance"
#: the file that holds it, in the folder of a torch zip
MEMBER: Final = "surgery.json"
#: the metadata pair of a safetensors file with the CRC-32 of its tensors, eight hexadecimal digits each, in the order of
#: the header; the format itself has no checksums
CHECKSUMS: Final = "surgery.crc32"
