"""The table of opcodes, and what reads the lengths that stand behind them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from surgery.formats.pickles.machine import Machine, Malformed

__all__ = ["OPCODES", "Opcode", "byte", "length4", "length8", "opcode"]

Opcode: TypeAlias = Callable[[Machine], None]

_int32 = struct.Struct("<i").unpack_from
_uint32 = struct.Struct("<I").unpack_from
_uint64 = struct.Struct("<Q").unpack_from


def _unknown(machine: Machine) -> None:
    code = machine.data[machine.at - 1]
    raise Malformed(
        f"the pickle is damaged or cut off at byte {machine.position - 1}: no opcode {code:#04x} stands there"
    )


#: what each byte does
OPCODES: list[Opcode] = [_unknown] * 256


def opcode(code: str) -> Callable[[Opcode], Opcode]:
    """A decorator that puts a function into the table."""

    def register(function: Opcode) -> Opcode:
        OPCODES[ord(code)] = function
        return function

    return register


def byte(machine: Machine) -> int:
    """The next byte."""
    value = machine.data[machine.at]
    machine.at += 1
    return value


def length4(machine: Machine, *, signed: bool = True) -> int:
    """A length in four bytes."""
    length: int = (_int32 if signed else _uint32)(machine.data, machine.at)[0]
    machine.at += 4
    if length < 0:
        raise Malformed(f"the pickle is damaged at byte {machine.position}: a length is negative")
    return length


def length8(machine: Machine) -> int:
    """A length in eight bytes."""
    length: int = _uint64(machine.data, machine.at)[0]
    machine.at += 8
    return length
