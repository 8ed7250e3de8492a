"""Strings: those of Python 3 are UTF-8, those of Python 2 are bytes."""

from __future__ import annotations

import codecs

from surgery.formats.contents import Blob, Placeholder
from surgery.formats.pickles.machine import LocatedText, Machine, Malformed
from surgery.formats.pickles.opcodes.table import byte, length4, length8, opcode


@opcode("X")
def _binunicode(machine: Machine) -> None:
    machine.stack.append(machine.take(length4(machine, signed=False)).decode())


@opcode("\x8c")
def _short_binunicode(machine: Machine) -> None:
    machine.stack.append(machine.take(byte(machine)).decode())


@opcode("\x8d")
def _binunicode8(machine: Machine) -> None:
    machine.stack.append(machine.take(length8(machine)).decode())


@opcode("V")
def _unicode(machine: Machine) -> None:
    machine.stack.append(machine.line().decode("raw-unicode-escape"))


@opcode("U")
def _short_binstring(machine: Machine) -> None:
    _push_text(machine, byte(machine))


@opcode("T")
def _binstring(machine: Machine) -> None:
    _push_text(machine, length4(machine))


@opcode("S")
def _string(machine: Machine) -> None:
    text = machine.line().strip()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in b"\"'":
        raise Malformed(f"the pickle is damaged at byte {machine.position}: a string has no quotes")
    machine.stack.append(_text(codecs.escape_decode(text[1:-1])[0]))


def _push_text(machine: Machine, length: int) -> None:
    piece = machine.take_located(length)
    if not isinstance(piece, Blob):
        where, piece = piece.range, _text(piece)  # type: ignore[assignment]
        piece.range = where
    machine.stack.append(piece)


def _text(raw: bytes) -> LocatedText:
    """A string of Python 2 as one of Python 3; what is not UTF-8 is taken byte by byte, so that nothing is lost."""
    try:
        return LocatedText(raw.decode())
    except UnicodeDecodeError:
        return LocatedText(raw.decode("latin-1"))


@opcode("C")
def _short_binbytes(machine: Machine) -> None:
    machine.stack.append(machine.take_located(byte(machine)))


@opcode("B")
def _binbytes(machine: Machine) -> None:
    machine.stack.append(machine.take_located(length4(machine, signed=False)))


@opcode("\x8e")
def _binbytes8(machine: Machine) -> None:
    machine.stack.append(machine.take_located(length8(machine)))


@opcode("\x96")
def _bytearray8(machine: Machine) -> None:
    # as earlier protocols have it: by a call
    machine.stack.append(Placeholder("__builtin__", "bytearray", (machine.take_located(length8(machine)),)))
