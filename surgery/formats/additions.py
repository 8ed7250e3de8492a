"""What Surgery adds to files of formats that others made: the names under which it stands.

A reader that does not know them passes over them. `surgery.provenance` says what is in a record.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALIASES", "CHECKSUMS", "MEMBER", "PREFIX", "RECORD", "UNASKED"]

#: how the names of all metadata pairs of Surgery begin
PREFIX: Final = "surgery."
#: the metadata pair with tied names of safetensors: JSON, ``{alias: name of the stored tensor}``
ALIASES: Final = "surgery.aliases"
#: the metadata pair with the record of what made a checkpoint; one that has a record has this pair in its `metadata`,
#: whatever the format
RECORD: Final = "surgery.provenance"
#: the file that holds the record: in the folder of a torch zip, or in a distributed checkpoint
MEMBER: Final = "surgery.json"
#: the metadata pair of a safetensors file with the CRC-32 of its tensors, eight hexadecimal digits each, in the order
#: of the header; the format itself has no checksums
CHECKSUMS: Final = "surgery.crc32"
#: bytes of which checksums and digests are taken without being asked: a fraction of a second's worth
UNASKED: Final = 200_000_000
