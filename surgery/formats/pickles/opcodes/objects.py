"""Classes, functions and objects: names and descriptions, never the things themselves."""

from __future__ import annotations

from surgery.formats.pickles.machine import Machine, Malformed
from surgery.formats.pickles.opcodes.table import opcode


@opcode("c")
def _global(machine: Machine) -> None:
    module = machine.line().decode()
    machine.stack.append(machine.name(module, machine.line().decode()))


@opcode("\x93")
def _stack_global(machine: Machine) -> None:
    name = machine.stack.pop()
    module = machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Malformed("the name of a class is not a string")
    machine.stack.append(machine.name(module, name))


@opcode("\x81")
def _newobj(machine: Machine) -> None:
    args = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], args, new=True)


@opcode("\x92")
def _newobj_ex(machine: Machine) -> None:
    kwargs = machine.stack.pop()
    args = machine.stack.pop()
    if type(kwargs) is not dict:
        raise Malformed("keyword arguments are no mapping")
    machine.stack[-1] = machine.call(machine.stack[-1], args, new=True, kwargs=kwargs)


@opcode("i")
def _inst(machine: Machine) -> None:
    module = machine.line().decode()
    name = machine.line().decode()
    args = tuple(machine.pop_mark())
    machine.stack.append(machine.call(machine.name(module, name), args))


@opcode("o")
def _obj(machine: Machine) -> None:
    function, *args = machine.pop_mark()
    machine.stack.append(machine.call(function, tuple(args)))


@opcode("b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(state)


@opcode("Q")
def _binpersid(machine: Machine) -> None:
    machine.stack[-1] = machine.persistent(machine.stack[-1])


@opcode("P")
def _persid(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.line().decode()))
