"""What a file that is no checkpoint seems to be, from its first bytes."""

from __future__ import annotations

import re

from surgery.formats.file import File

__all__ = ["what_it_seems"]

#: the beginning of a file -> what it seems to be
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a Git LFS pointer: the file itself was not fetched (`git lfs pull` does that)"),
    (b"\x1f\x8b", "it is compressed with gzip: unpack it first"),
    (b"BZh", "it is compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\x00", "it is compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive: unpack it first"),
    (b"PK\x05\x06", "it is an empty zip archive"),
    (b"PK\x03\x04", "it is a zip archive with neither a torch checkpoint nor numpy arrays in it"),
    (b"GGUF", "it is a GGUF file, as llama.cpp writes them; that format is not read"),
    (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras writes them; that format is not read"),
    (b"\x89PNG", "it is a picture"),
    (b"\xff\xd8\xff", "it is a picture"),
    (b"%PDF", "it is a PDF document"),
    (b"\x7fELF", "it is a program"),
)


#: members of the tar archives that torch wrote in its first months
_OF_OLD_TORCH = (b"sys_info", b"pickle", b"storages", b"tensors")


def what_it_seems(file: File) -> str:
    """In a few words, what the file seems to be."""
    if not file.size:
        return "it is empty"
    head = file.head
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            return what
    if head[257:262] == b"ustar" and head[:100].rstrip(b"\0") in _OF_OLD_TORCH:
        return (
            "it was written by torch before 0.1.10; `torch.load` of torch 2 still reads it, with `weights_only=False`"
        )
    if head[257:262] == b"ustar":
        return "it is a tar archive: unpack it first"
    if b"tfl3" in head[4:8].lower():
        return "it is a TensorFlow Lite model; that format is not read"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "it is a web page: a download that was answered with a page, as a rule of an error or a login"
    if not any(head[:1024]):
        return "it begins with zeros: a download or a save that broke off"
    if text.startswith(b"{"):
        return "it is JSON, and not the index of a sharded checkpoint"
    if re.fullmatch(rb"[\x09\x0a\x0d\x20-\x7e\x80-\xff]+", head):
        first = head.split(b"\n", 1)[0][:60].decode("utf-8", "replace")
        return f"it is text, and begins with `{first}`"
    return f"its first bytes, {head[:8].hex(' ')}, are those of no format that is known"
