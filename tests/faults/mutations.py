"""Files changed by chance: bytes, and what the bytes mean (headers, pickles, directories of archives)."""

from __future__ import annotations

import copy
import io
import json
import pickletools
import random
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

__all__ = ["mutate_bytes", "mutate_meaning"]

#: values that somebody wrote to do harm, or by mistake
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308),
    *("", "F32", "BF16", "F4", "../../x", "/etc/passwd", "a\0b", "\x1b[31m", "\u202e", "a" * 300, "💥"),
    *([], [[]], [0], [1, 2, 3], [-1, 8], [0, 2**63], {}, {"a": {}}),
]
#: opcodes of pickles that matter, with arguments
SNIPPETS = [
    *(b"cos\nsystem\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"ctorch\nTensor\n"),
    *(b"R", b"b", b"Q", b"0", b"2", b"(", b"t", b")", b"]", b"}", b"e", b"u", b"s", b"a", b"N", b"\x81", b"\x85", b"."),
    *(b"K\x00", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"h\x00", b"q\x00"),
    *(b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"X\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"\x95" + b"\xff" * 8),
]


def mutate_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Some bytes replaced, removed, inserted, moved."""
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if not changed:
            break
        at = chance.randrange(len(changed))
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at : at + chance.randrange(1, 40)]
            case 3:
                changed[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 4:
                other = chance.randrange(len(changed))
                changed[at : at + 16] = changed[other : other + 16]
            case 5:
                changed[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
    return bytes(changed)


def mutate_meaning(raw: bytes, chance: random.Random) -> bytes:
    """What a file says, changed so that it is still a file of its format, or nearly."""
    return _mutator(raw)(raw, chance)


def _mutator(raw: bytes) -> Callable[[bytes, random.Random], bytes]:
    if raw.startswith(b"PK"):
        return _mutate_zip
    if raw.startswith(b"\x93NUMPY"):
        return _mutate_npy
    if raw.startswith(b"{"):
        return _mutate_json
    if raw[8:9] == b"{":
        return _mutate_safetensors
    return _mutate_pickles if _opcodes(raw) else mutate_bytes


def _mutate_json(raw: bytes, chance: random.Random) -> bytes:
    """One value replaced, removed, renamed, or named twice."""
    tree = json.loads(raw)
    holders = [node for node in _nodes(tree) if node]
    if not holders:
        return mutate_bytes(raw, chance)
    holder = chance.choice(holders)
    place = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match chance.randrange(5):
        case 0 | 1:
            holder[place] = copy.deepcopy(chance.choice(ODD))
        case 2:
            del holder[place]
        case 3:
            other = chance.choice(holders)
            holder[place] = copy.deepcopy(chance.choice(list(other.values()) if isinstance(other, dict) else other))
        case 4:
            text = json.dumps(tree)
            member = json.dumps(str(place)) + ": " + json.dumps(chance.choice(ODD))
            at = chance.choice([n for n, letter in enumerate(text) if letter == "{"]) + 1
            return (text[:at] + member + (", " if text[at] != "}" else "") + text[at:]).encode()
    return json.dumps(tree).encode(errors="surrogatepass")


def _nodes(tree: Any) -> list[Any]:
    """All lists and mappings of a tree."""
    if not isinstance(tree, list | dict):
        return []
    children = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(node for child in children for node in _nodes(child))]


def _mutate_safetensors(raw: bytes, chance: random.Random) -> bytes:
    end = 8 + int.from_bytes(raw[:8], "little")
    header, data = _mutate_json(raw[8:end], chance), raw[end:]
    match chance.randrange(6):
        case 0:
            data = data[: chance.randrange(len(data) + 1)]
        case 1:
            data += bytes(chance.randrange(1, 9))
    length = len(header) if chance.randrange(8) else chance.choice((0, 1, len(header) + 1, 2**32, 2**63, 2**64 - 1))
    return length.to_bytes(8, "little") + header + data


def _opcodes(raw: bytes) -> list[tuple[int, int]]:
    """Where each opcode of the pickles at the front begins and ends."""
    found: list[tuple[int, int]] = []
    stream = io.BytesIO(raw)
    try:
        while stream.tell() < len(raw):
            places = [place for _, _, place in pickletools.genops(stream) if place is not None]
            found += zip(places, [*places[1:], stream.tell()], strict=True)
    except Exception:
        # what follows is no pickle
        return found
    return found


def _mutate_pickles(raw: bytes, chance: random.Random) -> bytes:
    """Opcodes removed, repeated, moved, changed, put in; what follows the pickles stays, or is cut."""
    places = _opcodes(raw)
    pieces = [raw[start:end] for start, end in places]
    rest = raw[places[-1][1] :]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        match chance.randrange(7):
            case 0:
                del pieces[at]
            case 1:
                pieces.insert(at, pieces[other])
            case 2:
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case 3 | 4:
                pieces.insert(at, chance.choice(SNIPPETS))
            case 5:
                pieces[at] = pieces[at][:1] + mutate_bytes(pieces[at][1:], chance)
            case 6:
                pieces[at] = chance.choice(SNIPPETS)
        if not pieces:
            break
    if rest and not chance.randrange(6):
        rest = rest[: chance.randrange(len(rest))]
    return b"".join(pieces) + rest


def _mutate_npy(raw: bytes, chance: random.Random) -> bytes:
    """Words of the header replaced; its length made right again."""
    end = 10 + int.from_bytes(raw[8:10], "little")
    words = [
        "(",
        ")",
        "'<f4'",
        "'|O'",
        "'>c16'",
        "True",
        "False",
        ",",
        "-1",
        "2",
        "9" * 20,
        "'descr':",
        "'shape':",
        "__",
    ]
    header = raw[10:end].decode("latin1").split(" ")
    at = chance.randrange(len(header))
    header[at : at + chance.randrange(2)] = [chance.choice(words)]
    text = " ".join(header).encode("latin1")
    return raw[:8] + len(text).to_bytes(2, "little") + text + raw[end:]


def _mutate_zip(raw: bytes, chance: random.Random) -> bytes:
    """Entries removed, repeated, renamed, cut, compressed, changed inside; all checksums are right."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        entries = [(name, archive.read(name), zipfile.ZIP_STORED) for name in archive.namelist()]
    for _ in range(chance.choice((1, 1, 2))):
        at, other = chance.randrange(len(entries)), chance.randrange(len(entries))
        name, content, method = entries[at]
        match chance.randrange(10):
            case 0:
                entries[at] = (entries[other][0], content, method)
            case 1:
                del entries[at]
            case 2:
                entries.insert(at, entries[other])
            case 3:
                entries[at] = (name, content[: chance.randrange(len(content) + 1)], method)
            case 4:
                entries[at] = (name, content + bytes(chance.randrange(1, 70)), method)
            case 5:
                entries[at] = (name, content, zipfile.ZIP_DEFLATED)
            case 6:
                names = ("x", name + "/", name.replace("/", "/../"), "/" + name, name.upper(), name.split("/")[-1])
                entries[at] = (chance.choice(names), content, method)
            case _:
                # what says most is changed most
                large = max(range(len(entries)), key=lambda n: entries[n][0].endswith((".pkl", ".npy")))
                at = chance.choice((at, large))
                name, content, method = entries[at]
                entries[at] = (name, mutate_meaning(content, chance), method)
        if not entries:
            break
    return _packed(entries)


def _packed(entries: list[tuple[str, bytes, int]]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)
        for name, content, method in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()
