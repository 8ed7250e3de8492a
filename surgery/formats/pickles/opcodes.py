"""The opcodes of pickle, protocols 0 to 5, as functions of the machine.

Named and numbered as in the standard library's ``pickle`` and ``pickletools``. Three groups are refused: the extension
registry (``EXT1``, ``EXT2``, ``EXT4``), which is state of the process and not of the file; buffers out of band
(``NEXT_BUFFER``, ``READONLY_BUFFER``), which a file does not have; and whatever is no opcode. Five are executed by the
machine itself: ``BINPUT``, ``LONG_BINPUT``, ``BINGET``, ``BININT1`` and ``STOP``.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from surgery.formats.contents import Blob
from surgery.formats.pickles.machine import LocatedText, Machine, Malformed, check_key

__all__ = ["OPCODES"]

Opcode: TypeAlias = Callable[[Machine], None]

_int32 = struct.Struct("<i").unpack_from
_uint32 = struct.Struct("<I").unpack_from
_uint16 = struct.Struct("<H").unpack_from
_uint64 = struct.Struct("<Q").unpack_from
_double = struct.Struct(">d").unpack_from
#: in bytes; Python does not print much longer ones
_LONGEST_INTEGER = 1024


def _unknown(machine: Machine) -> None:
    code = machine.data[machine.at - 1]
    raise Malformed(
        f"the pickle is damaged or cut off at byte {machine.position - 1}: no opcode {code:#04x} stands there"
    )


OPCODES: list[Opcode] = [_unknown] * 256


def _opcode(code: str) -> Callable[[Opcode], Opcode]:
    def register(function: Opcode) -> Opcode:
        OPCODES[ord(code)] = function
        return function

    return register


# constants and numbers


def _constant(code: str, value: Any) -> None:
    OPCODES[ord(code)] = lambda machine: machine.stack.append(value)


_constant("N", None)
_constant("\x88", True)
_constant("\x89", False)
_constant(")", ())


@_opcode("M")
def _binint2(machine: Machine) -> None:
    machine.stack.append(_uint16(machine.data, machine.at)[0])
    machine.at += 2


@_opcode("J")
def _binint(machine: Machine) -> None:
    machine.stack.append(_int32(machine.data, machine.at)[0])
    machine.at += 4


@_opcode("\x8a")
def _long1(machine: Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(_byte(machine)), "little", signed=True))


@_opcode("\x8b")
def _long4(machine: Machine) -> None:
    length = _length4(machine)
    if length > _LONGEST_INTEGER:
        raise Malformed(f"the pickle holds an integer of {length} bytes")
    machine.stack.append(int.from_bytes(machine.take(length), "little", signed=True))


@_opcode("I")
def _int(machine: Machine) -> None:
    text = machine.line()
    machine.stack.append({b"00": False, b"01": True}[text] if text in (b"00", b"01") else int(text))


@_opcode("L")
def _long(machine: Machine) -> None:
    machine.stack.append(int(machine.line().removesuffix(b"L")))


@_opcode("F")
def _float(machine: Machine) -> None:
    machine.stack.append(float(machine.line()))


@_opcode("G")
def _binfloat(machine: Machine) -> None:
    machine.stack.append(_double(machine.data, machine.at)[0])
    machine.at += 8


# strings: those of Python 3 are UTF-8, those of Python 2 are bytes


@_opcode("X")
def _binunicode(machine: Machine) -> None:
    machine.stack.append(machine.take(_length4(machine, signed=False)).decode())


@_opcode("\x8c")
def _short_binunicode(machine: Machine) -> None:
    machine.stack.append(machine.take(_byte(machine)).decode())


@_opcode("\x8d")
def _binunicode8(machine: Machine) -> None:
    machine.stack.append(machine.take(_length8(machine)).decode())


@_opcode("V")
def _unicode(machine: Machine) -> None:
    machine.stack.append(machine.line().decode("raw-unicode-escape"))


@_opcode("U")
def _short_binstring(machine: Machine) -> None:
    _push_text(machine, _byte(machine))


@_opcode("T")
def _binstring(machine: Machine) -> None:
    _push_text(machine, _length4(machine))


@_opcode("S")
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


@_opcode("C")
def _short_binbytes(machine: Machine) -> None:
    machine.stack.append(machine.take_located(_byte(machine)))


@_opcode("B")
def _binbytes(machine: Machine) -> None:
    machine.stack.append(machine.take_located(_length4(machine, signed=False)))


@_opcode("\x8e")
@_opcode("\x96")
def _binbytes8(machine: Machine) -> None:
    machine.stack.append(machine.take_located(_length8(machine)))


# containers


@_opcode("(")
def _mark(machine: Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


@_opcode("t")
def _tuple(machine: Machine) -> None:
    items = tuple(machine.stack)
    machine.stack = machine.marks.pop()
    machine.stack.append(items)


@_opcode("\x85")
def _tuple1(machine: Machine) -> None:
    machine.stack[-1] = (machine.stack[-1],)


@_opcode("\x86")
def _tuple2(machine: Machine) -> None:
    last = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], last)


@_opcode("\x87")
def _tuple3(machine: Machine) -> None:
    third = machine.stack.pop()
    second = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], second, third)


@_opcode("]")
def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


@_opcode("l")
def _list(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(items)


@_opcode("a")
def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    machine.extend(machine.stack[-1], (item,))


@_opcode("e")
def _appends(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.extend(machine.stack[-1], items)


@_opcode("}")
def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


@_opcode("d")
def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    made: dict[Any, Any] = {}
    machine.set_items(made, items)
    machine.stack.append(made)


@_opcode("s")
def _setitem(machine: Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


@_opcode("u")
def _setitems(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.set_items(machine.stack[-1], items)


@_opcode("\x8f")
def _empty_set(machine: Machine) -> None:
    machine.stack.append(set())


@_opcode("\x90")
def _additems(machine: Machine) -> None:
    items = machine.pop_mark()
    for item in items:
        check_key(item)
    if type(machine.stack[-1]) is not set:
        raise Malformed("items are added to something that is no set")
    machine.stack[-1].update(items)


@_opcode("\x91")
def _frozenset(machine: Machine) -> None:
    items = machine.pop_mark()
    for item in items:
        check_key(item)
    machine.stack.append(frozenset(items))


# the stack and the memo


@_opcode("0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


@_opcode("1")
def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


@_opcode("2")
def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


@_opcode("p")
def _put(machine: Machine) -> None:
    machine.put(int(machine.line()))


@_opcode("\x94")
def _memoize(machine: Machine) -> None:
    machine.put(len(machine.memo))


@_opcode("j")
def _long_binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[_uint32(machine.data, machine.at)[0]])
    machine.at += 4


@_opcode("g")
def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[int(machine.line())])


# classes, functions and objects: names and descriptions, never the things themselves


@_opcode("c")
def _global(machine: Machine) -> None:
    module = machine.line().decode()
    machine.stack.append(machine.name(module, machine.line().decode()))


@_opcode("\x93")
def _stack_global(machine: Machine) -> None:
    name = machine.stack.pop()
    module = machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Malformed("the name of a class is not a string")
    machine.stack.append(machine.name(module, name))


@_opcode("R")
def _reduce(machine: Machine) -> None:
    args = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], args)


@_opcode("\x81")
def _newobj(machine: Machine) -> None:
    args = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], args, new=True)


@_opcode("\x92")
def _newobj_ex(machine: Machine) -> None:
    kwargs = machine.stack.pop()
    args = machine.stack.pop()
    if type(kwargs) is not dict:
        raise Malformed("keyword arguments are no mapping")
    machine.stack[-1] = machine.call(machine.stack[-1], args, new=True, kwargs=kwargs)


@_opcode("i")
def _inst(machine: Machine) -> None:
    module = machine.line().decode()
    name = machine.line().decode()
    args = tuple(machine.pop_mark())
    machine.stack.append(machine.call(machine.name(module, name), args))


@_opcode("o")
def _obj(machine: Machine) -> None:
    function, *args = machine.pop_mark()
    machine.stack.append(machine.call(function, tuple(args)))


@_opcode("b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(state)


@_opcode("Q")
def _binpersid(machine: Machine) -> None:
    machine.stack[-1] = machine.persistent(machine.stack[-1])


@_opcode("P")
def _persid(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.line().decode()))


# framing


@_opcode("\x80")
def _proto(machine: Machine) -> None:
    protocol = machine.data[machine.at]
    if protocol > 5:
        raise Malformed(f"the pickle is of protocol {protocol}, and there are 0 to 5")
    machine.at += 1


@_opcode("\x95")
def _frame(machine: Machine) -> None:
    # frames only tell how much to read at once
    machine.at += 8


# lengths


def _byte(machine: Machine) -> int:
    value = machine.data[machine.at]
    machine.at += 1
    return value


def _length4(machine: Machine, *, signed: bool = True) -> int:
    length: int = (_int32 if signed else _uint32)(machine.data, machine.at)[0]
    machine.at += 4
    if length < 0:
        raise Malformed(f"the pickle is damaged at byte {machine.position}: a length is negative")
    return length


def _length8(machine: Machine) -> int:
    length: int = _uint64(machine.data, machine.at)[0]
    machine.at += 8
    return length
