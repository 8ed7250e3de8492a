"""The stack, the memo and the framing."""

from __future__ import annotations

import struct

from surgery.formats.pickles.machine import Machine, Malformed
from surgery.formats.pickles.opcodes.table import byte, opcode

_uint32 = struct.Struct("<I").unpack_from


@opcode("0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


@opcode("1")
def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


@opcode("2")
def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


@opcode("p")
def _put(machine: Machine) -> None:
    machine.put(int(machine.line()))


@opcode("q")
def _binput(machine: Machine) -> None:
    machine.put(byte(machine))


@opcode("\x94")
def _memoize(machine: Machine) -> None:
    machine.put(len(machine.memo))


@opcode("j")
def _long_binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[_uint32(machine.data, machine.at)[0]])
    machine.at += 4


@opcode("g")
def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[int(machine.line())])


@opcode("\x80")
def _proto(machine: Machine) -> None:
    protocol = machine.data[machine.at]
    if protocol > 5:
        raise Malformed(f"the pickle is of protocol {protocol}, and there are 0 to 5")
    machine.at += 1


@opcode("\x95")
def _frame(machine: Machine) -> None:
    # frames only tell how much to read at once
    machine.at += 8
