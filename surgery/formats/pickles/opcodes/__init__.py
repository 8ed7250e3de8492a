"""The opcodes of pickle, protocols 0 to 5, as functions of the machine.

Named and numbered as in the standard library's ``pickle`` and ``pickletools``. Three groups are refused: the extension
registry (``EXT1``, ``EXT2``, ``EXT4``), which is state of the process and not of the file; buffers out of band
(``NEXT_BUFFER``, ``READONLY_BUFFER``), which a file does not have; and whatever is no opcode. The most frequent
ones are executed by the machine itself: ``MARK``, ``TUPLE``, ``TUPLE2``, ``EMPTY_TUPLE``, ``NEWFALSE``, ``REDUCE``,
``LONG_BINPUT``, ``BINGET``, ``BININT1``, ``STOP``, and ``BINUNICODE`` where the text is in memory.
"""

from surgery.formats.pickles.opcodes import containers, numbers, objects, stack, strings
from surgery.formats.pickles.opcodes.table import OPCODES

__all__ = ["OPCODES", "containers", "numbers", "objects", "stack", "strings"]
