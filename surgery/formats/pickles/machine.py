"""A pickle machine that can call nothing.

Python's own unpickler is a small computer: a pickle may import any function and call it. This one executes the same
opcodes (protocols 0 to 5, after ``pickletools`` in the standard library) over plain data. It is safe by construction:

- A global is never imported. It becomes a `Placeholder` that carries two strings.
- "Calling" a placeholder looks its name up in `builders`, a table of the reader's own functions, which make
  descriptions of tensors; what is not in that table becomes another placeholder that keeps the arguments.
- No attribute of any object is set or looked up by a name from the pickle, and no method such as ``__setstate__``,
  ``append`` or ``__reduce__`` of an object from the pickle is called: there are no such objects.
- What grows is bounded by the bytes that were read: the memo is a dictionary (CPython's is an array as long as the
  largest index, which five bytes can make 16 GB long), long byte strings stay in the file, and keys whose hash would
  take long are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from surgery.diagnostics import fail
from surgery.formats.contents import Blob, Ordered, Placeholder
from surgery.formats.file import File, corrupt
from surgery.formats.pickles.stream import Stream
from surgery.limits import exceeded, limits
from surgery.tensors.expr import ByteRange

__all__ = [
    "Builder",
    "Finisher",
    "LocatedBytes",
    "LocatedText",
    "Machine",
    "Malformed",
    "Persistent",
    "Unsupported",
    "check_key",
    "reading",
]

#: what stands for a call: it takes the arguments
Builder: TypeAlias = Callable[..., Any]
#: what stands for setting the state of an object that a call left as a placeholder: it takes the two
Finisher: TypeAlias = Callable[[Placeholder, Any], Any]
Persistent: TypeAlias = Callable[[Any], Any]

_WINDOW = 1 << 20
#: the longest opcode with operands of a fixed size, and of a size that one byte gives
_LOOK_AHEAD = 300
#: byte strings longer than this stay in the file
LONG_BYTES = 1 << 16
_STOP, _MARK, _TUPLE, _TUPLE2, _EMPTY_TUPLE, _NEWFALSE, _REDUCE = b".(t\x86)\x89R"
_LONG_BINPUT, _BINGET, _BININT1, _BINUNICODE = b"rhKX"
_KEY_PARTS = 1000
_BUILTINS = ("__builtin__", "builtins")
_uint32 = struct.Struct("<I").unpack_from


class Malformed(Exception):
    """The pickle is damaged, or does what no pickler does."""


class _TooLong(Exception):
    """The pickle is longer than the limit."""


class Unsupported(Exception):
    """The pickle is sound, and does something whose result cannot be described."""


class LocatedBytes(bytes):
    """Bytes that know where they stand."""

    range: ByteRange | None = None


class LocatedText(str):
    """A string of Python 2, which may have been bytes: it knows where it stands."""

    range: ByteRange | None = None


class Machine:
    """Executes one pickle after the other from a stream.

    Attributes:
        position: where the next pickle begins.
        globals: every class and function that was named, in order.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        builders: Mapping[tuple[str, str], Builder],
        finishers: Mapping[tuple[str, str], Finisher],
        persistent: Persistent,
        start: int = 0,
    ) -> None:
        self._stream = stream
        self._builders = builders
        self._finishers = finishers
        self.persistent = persistent
        self._base = start
        self._budget = limits().pickle
        self._safe = -1
        self.data = b""
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._memo_index: dict[Placeholder, int] = {}
        self.globals: dict[tuple[str, str], Placeholder] = {}

    @property
    def position(self) -> int:
        return self._base + self.at

    def load(self) -> Any:
        """The object of the next pickle.

        Raises:
            Malformed: it is broken.
        """
        from surgery.formats.pickles.opcodes import OPCODES

        self.stack, self.marks, self.memo, self._memo_index = [], [], {}, {}
        try:
            self._run(OPCODES)
            return self._result()
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise Malformed(f"the pickle is damaged at byte {self.position}") from error

    def load_last(self) -> Any:
        """The object of the next pickle, behind which nothing stands.

        Raises:
            Malformed: it is broken, or something stands there.
        """
        found = self.load()
        if self.position != self._stream.size:
            raise Malformed("bytes follow the pickle")
        return found

    def _run(self, opcodes: Sequence[Callable[[Machine], None]]) -> None:
        """Execute opcodes up to the end of the pickle.

        Nine tenths of the opcodes in a file of torch are of the kinds that are executed here, and not by the table:
        that makes reading a checkpoint of ten thousand tensors three times as fast.
        """
        data, at, safe, stack, memo, marks = self.data, self.at, self._safe, self.stack, self.memo, self.marks
        while True:
            if at > safe:
                self.at = at
                self._refill(0)
                data, at, safe = self.data, self.at, self._safe
            op = data[at]
            at += 1
            if op == _LONG_BINPUT:
                (index,) = _uint32(data, at)
                at += 4
                memo[index] = top = stack[-1]
                if type(top) is Placeholder:
                    self._memo_index[top] = index
            elif op == _BININT1:
                stack.append(data[at])
                at += 1
            elif op == _BINGET:
                stack.append(memo[data[at]])
                at += 1
            elif op == _MARK:
                marks.append(stack)
                self.stack = stack = []
            elif op == _BINUNICODE and (end := at + 4 + _uint32(data, at)[0]) <= safe:
                stack.append(data[at + 4 : end].decode())
                at = end
            elif op == _REDUCE:
                args = stack.pop()
                stack[-1] = self.call(stack[-1], args)
            elif op == _TUPLE:
                items = tuple(stack)
                self.stack = stack = marks.pop()
                stack.append(items)
            elif op == _TUPLE2:
                stack[-2:] = ((stack[-2], stack[-1]),)
            elif op == _EMPTY_TUPLE:
                stack.append(())
            elif op == _NEWFALSE:
                stack.append(False)
            elif op == _STOP:
                self.at = at
                return
            else:
                self.at = at
                opcodes[op](self)
                data, at, safe, stack = self.data, self.at, self._safe, self.stack

    def _result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise Malformed("the pickle ends with something left over")
        return self.stack.pop()

    # reading

    def _refill(self, need: int) -> None:
        """See to it that `need` bytes, and a whole opcode of a fixed size behind them, are in memory.

        Behind the end of the stream stand zeros, which are no opcode: so no opcode has to ask whether its operand is
        there, and a pickle that was cut off ends with an unknown opcode and not with an exception.
        """
        position = self.position
        wanted = max(need + _LOOK_AHEAD, _WINDOW)
        data = self._stream.read(position, wanted)
        if len(data) < need or not data:
            raise Malformed("the pickle is cut off")
        self.spend(self.at)
        self._base, self.at = position, 0
        self.data = data if len(data) == wanted else data + bytes(_LOOK_AHEAD)
        self._safe = len(self.data) - _LOOK_AHEAD

    def spend(self, count: int) -> None:
        """Count bytes that were read into memory against the limit."""
        self._budget -= count
        if self._budget < 0:
            raise _TooLong

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self.at + length
        if end > len(self.data) - _LOOK_AHEAD:
            self._refill(length)
            end = length
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def take_located(self, length: int) -> LocatedBytes | Blob:
        """The next `length` bytes, with their place; left in the file if they are many."""
        where = self._stream.locate(self.position, length)
        if length > LONG_BYTES and where is not None:
            if self.position + length > self._stream.size:
                raise Malformed("the pickle is cut off")
            self._skip(length)
            return Blob(where)
        piece = LocatedBytes(self.take(length))
        piece.range = where
        return piece

    def _skip(self, length: int) -> None:
        if self.at + length <= self._safe:
            self.at += length
            self._budget += length
        else:
            self.spend(self.at)
            self._base, self.at = self.position + length, 0
            self.data, self._safe = b"", -1

    def line(self) -> bytes:
        """The bytes up to the next line end, without it."""
        end = self.data.find(b"\n", self.at)
        while end < 0:
            have = len(self.data) - self.at
            if self.position + have >= self._stream.size:
                raise Malformed("the pickle is cut off")
            self._refill(min(2 * have + _WINDOW, self._stream.size - self.position))
            end = self.data.find(b"\n", self.at)
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece

    # the stack

    def pop_mark(self) -> list[Any]:
        """What stands above the topmost mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def put(self, index: int) -> None:
        """Remember the topmost object."""
        top = self.stack[-1]
        self.memo[index] = top
        if type(top) is Placeholder:
            self._memo_index[top] = index

    # objects

    def name(self, module: str, name: str) -> Placeholder:
        """The class or function of that name: one placeholder for all its mentions."""
        found = self.globals.get((module, name))
        if found is None:
            found = self.globals[module, name] = Placeholder(module, name)
        return found

    def call(self, function: Any, args: Any, *, new: bool = False, kwargs: Mapping[str, Any] | None = None) -> Any:
        """What stands for ``function(*args)``, or for ``function.__new__(function, *args)``."""
        if type(function) is not Placeholder or type(args) is not tuple:
            raise Malformed("something is called that is neither a class nor a function")
        builder = self._builders.get((function.module, function.name)) if function.args is None else None
        if builder is not None and not new and not kwargs:
            return builder(*args)
        if function.args is not None:
            raise Malformed("something is called that is neither a class nor a function")
        if function.name == "getattr" and function.module in _BUILTINS and _names_a_part(args):
            return self.name(args[0].module, f"{args[0].name}.{args[1]}")
        return Placeholder(function.module, function.name, args, new=new, kwargs=kwargs)

    def build(self, state: Any) -> None:
        """Give the topmost object its state."""
        top = self.stack[-1]
        if type(top) is Ordered and isinstance(state, dict):
            top.attributes = state
        elif type(top) is Placeholder:
            finisher = self._finishers.get((top.module, top.name))
            done = finisher(top, state) if finisher else None
            if done is None:
                # placeholders are immutable for everybody else; a pickle can refer to one before it is complete
                object.__setattr__(top, "state", state)
            else:
                self.stack[-1] = done
                if top in self._memo_index:
                    self.memo[self._memo_index[top]] = done

    def extend(self, target: Any, items: Iterable[Any]) -> None:
        """Append `items` to a list, or to what stands for an object that is like one."""
        if type(target) is list:
            target.extend(items)
        else:
            self._grown(target, mapping=False).extend(items)

    def set_items(self, target: Any, items: list[Any]) -> None:
        """Set the pairs of `items` in a dict, or in what stands for an object that is like one."""
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values):
            raise Malformed("a key has no value")
        for number, key in enumerate(keys):
            if type(key) is LocatedText:
                keys[number] = str(key)
            elif type(key) is not str:
                check_key(key)
        if isinstance(target, dict):
            target.update(zip(keys, values, strict=True))
        else:
            self._grown(target, mapping=True).extend(zip(keys, values, strict=True))

    def _grown(self, target: Any, *, mapping: bool) -> list[Any]:
        if type(target) is not Placeholder:
            raise Malformed("items are added to something that has none")
        if not target.items:
            object.__setattr__(target, "items", [])
            object.__setattr__(target, "mapping", mapping)
        if target.mapping is not mapping:
            raise Malformed("an object is both a list and a mapping")
        return target.items  # type: ignore[return-value]


def _names_a_part(args: tuple[Any, ...]) -> bool:
    """Whether these are a class and a name: so a class within a class, or a method, is named before protocol 4."""
    return len(args) == 2 and type(args[0]) is Placeholder and args[0].args is None and type(args[1]) is str


@contextmanager
def reading(file: File) -> Iterator[None]:
    """Turn what a machine says of a pickle into errors about the file that it stands in."""
    try:
        yield
    except Malformed as error:
        raise corrupt(file, str(error), cause=error) from error
    except _TooLong as error:
        raise exceeded("pickle", f"`{file.name}`: the pickle in it is longer than the limit") from error
    except Unsupported as error:
        raise fail("unsupported-checkpoint", f"`{file.name}`: {error}", cause=error) from error


def check_key(key: Any) -> None:
    """Refuse a key that cannot be one, or that was built so that its hash takes for ever or overflows the C stack."""
    waiting, seen = [key], 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > _KEY_PARTS or isinstance(part, list | dict | set):
            raise Malformed("something is a key that cannot be one")
        if isinstance(part, tuple | frozenset):
            waiting.extend(part)
