"""Constants and numbers."""

from __future__ import annotations

import struct
from typing import Any

from surgery.formats.pickles.machine import Machine, Malformed
from surgery.formats.pickles.opcodes.table import OPCODES, byte, length4, opcode

_int32 = struct.Struct("<i").unpack_from
_uint16 = struct.Struct("<H").unpack_from
_double = struct.Struct(">d").unpack_from
#: in bytes; Python does not print much longer ones
_LONGEST_INTEGER = 1024


def _constant(code: str, value: Any) -> None:
    OPCODES[ord(code)] = lambda machine: machine.stack.append(value)


_constant("N", None)
_constant("\x88", True)


@opcode("M")
def _binint2(machine: Machine) -> None:
    machine.stack.append(_uint16(machine.data, machine.at)[0])
    machine.at += 2


@opcode("J")
def _binint(machine: Machine) -> None:
    machine.stack.append(_int32(machine.data, machine.at)[0])
    machine.at += 4


@opcode("\x8a")
def _long1(machine: Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(byte(machine)), "little", signed=True))


@opcode("\x8b")
def _long4(machine: Machine) -> None:
    length = length4(machine)
    if length > _LONGEST_INTEGER:
        raise Malformed(f"the pickle holds an integer of {length} bytes")
    machine.stack.append(int.from_bytes(machine.take(length), "little", signed=True))


@opcode("I")
def _int(machine: Machine) -> None:
    text = machine.line()
    machine.stack.append({b"00": False, b"01": True}[text] if text in (b"00", b"01") else int(text))


@opcode("L")
def _long(machine: Machine) -> None:
    machine.stack.append(int(machine.line().removesuffix(b"L")))


@opcode("F")
def _float(machine: Machine) -> None:
    machine.stack.append(float(machine.line()))


@opcode("G")
def _binfloat(machine: Machine) -> None:
    machine.stack.append(_double(machine.data, machine.at)[0])
    machine.at += 8
