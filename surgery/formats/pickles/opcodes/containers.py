"""Tuples, lists, dicts and sets."""

from __future__ import annotations

from typing import Any

from surgery.formats.pickles.machine import Machine, Malformed, check_key
from surgery.formats.pickles.opcodes.table import opcode


@opcode("\x85")
def _tuple1(machine: Machine) -> None:
    machine.stack[-1] = (machine.stack[-1],)


@opcode("\x87")
def _tuple3(machine: Machine) -> None:
    third = machine.stack.pop()
    second = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], second, third)


@opcode("]")
def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


@opcode("l")
def _list(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(items)


@opcode("a")
def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    machine.extend(machine.stack[-1], (item,))


@opcode("e")
def _appends(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.extend(machine.stack[-1], items)


@opcode("}")
def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


@opcode("d")
def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    made: dict[Any, Any] = {}
    machine.set_items(made, items)
    machine.stack.append(made)


@opcode("s")
def _setitem(machine: Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


@opcode("u")
def _setitems(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.set_items(machine.stack[-1], items)


@opcode("\x8f")
def _empty_set(machine: Machine) -> None:
    machine.stack.append(set())


@opcode("\x90")
def _additems(machine: Machine) -> None:
    items = machine.pop_mark()
    for item in items:
        check_key(item)
    if type(machine.stack[-1]) is not set:
        raise Malformed("items are added to something that is no set")
    machine.stack[-1].update(items)


@opcode("\x91")
def _frozenset(machine: Machine) -> None:
    items = machine.pop_mark()
    for item in items:
        check_key(item)
    machine.stack.append(frozenset(items))
