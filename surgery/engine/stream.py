"""The bytes of laid-out files, moved: ranges are copied, what is computed passes through memory within a budget."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from surgery.diagnostics import Span
from surgery.engine.checksum import combine
from surgery.engine.copying import Copier, write_all
from surgery.engine.leaves import bytes_of_tensor, needs_torch, numpy_bytes
from surgery.engine.pool import Job, run_jobs
from surgery.engine.reading import SourceFiles, damaged
from surgery.engine.scratch import Scratch
from surgery.engine.tasks import tasks_of
from surgery.engine.threads import one_thread_each
from surgery.engine.values import Failure, Values, explain
from surgery.files.failures import output_errors
from surgery.files.writeback import begin_writeback
from surgery.sinks.base import Progress
from surgery.sinks.layout import Block, FileLayout, Placed
from surgery.tensors.expr import ByteRange, Stored

__all__ = ["OpenFile", "write_files"]

#: ranges are copied in parts of this size, so that all threads have something to do
_PART = 32 << 20


@dataclass(slots=True)
class OpenFile:
    """A file that is being written: its layout, and where it is open.

    Attributes:
        path: its name in messages.
    """

    layout: FileLayout
    descriptor: int
    path: Path
    span: Span | None = None


@dataclass(slots=True)
class _Copy:
    """A range on its way to a file: the CRC-32 and the length of its parts, as far as they are done.

    What was shared on disk was not seen, and has no part.
    """

    piece: ByteRange
    to: int
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def checked(self) -> int | None:
        """The CRC-32 of the range, None where its bytes were never seen and it was not known.

        Raises:
            SurgeryError: code ``corrupt-checkpoint``: it is not what it was.
        """
        if sum(length for _, length in self.parts.values()) < self.piece.length:
            return self.piece.crc
        found = combine(crc for _, crc in sorted(self.parts.items())) if len(self.parts) > 1 else self.parts[0][0]
        if self.piece.crc is not None and found != self.piece.crc:
            raise damaged(self.piece)
        return found


class _Means:
    """What all jobs share."""

    def __init__(self, files: SourceFiles, progress: Progress) -> None:
        self.files = files
        self.copier = Copier()
        self._progress = progress
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def report(self, count: int) -> None:
        """Count bytes that were written."""
        with self._lock:
            self._progress(count)

    def scratch(self) -> Scratch:
        """The memory that this thread uses again and again, ready for a task."""
        kept: Scratch | None = getattr(self._of_thread, "scratch", None)
        if kept is None:
            kept = self._of_thread.scratch = Scratch()
        kept.reset()
        return kept


class _Writer:
    """Makes the jobs of one file, and gathers the checksums that they find."""

    def __init__(self, file: OpenFile, means: _Means) -> None:
        self._file = file
        self._means = means
        self._summed = file.layout.closing is not None
        self._copies: list[_Copy] = []
        self._checksums: dict[int, int] = {}
        self._copies_of: dict[int, list[_Copy]] = {}

    def jobs(self) -> Iterator[Job]:
        """Everything but the last blocks, in the order of the file as far as memory allows."""
        tensors = self._file.layout.tensors
        copied = [(n, t) for n, t in enumerate(tensors) if isinstance(t.expr, Stored)]
        made = [(n, t) for n, t in enumerate(tensors) if not isinstance(t.expr, Stored)]
        for task in tasks_of([tensor.expr for _, tensor in made]):
            members = [made[number] for number in task.members]
            yield Job(lambda members=members: self._compute(members), task.memory)  # type: ignore[misc]
        yield Job(lambda: self._blocks(self._file.layout.blocks))
        for copy in self._runs(copied):
            for start in range(0, copy.piece.length, _PART):
                length = min(_PART, copy.piece.length - start)
                yield Job(lambda copy=copy, s=start, n=length: self._copy(copy, s, n))  # type: ignore[misc]

    def finish(self) -> None:
        """Check what was copied, and write the last blocks.

        Raises:
            SurgeryError: a source is damaged, or the file cannot be written.
        """
        for copy in self._copies:
            copy.checked()
        if self._file.layout.closing is not None:
            checksums = [self._checksum(number) for number in range(len(self._file.layout.tensors))]
            self._blocks(self._file.layout.closing(checksums))

    def _checksum(self, number: int) -> int:
        if number in self._checksums:
            return self._checksums[number]
        pieces = []
        for copy in self._copies_of.get(number, ()):
            crc = copy.checked()
            assert crc is not None, "what is shared had a checksum"
            pieces.append((crc, copy.piece.length))
        return pieces[0][0] if len(pieces) == 1 else combine(pieces)

    def _runs(self, tensors: Sequence[tuple[int, Placed]]) -> Iterator[_Copy]:
        """The ranges to copy; neighbours in both files are one, where no checksum is asked for."""
        last: _Copy | None = None
        for number, tensor in tensors:
            to = tensor.offset
            for piece in tensor.expr.ranges:  # type: ignore[attr-defined]
                if last is not None and not self._summed and _follows(last, piece, to):
                    whole = ByteRange(last.piece.path, last.piece.offset, last.piece.length + piece.length)
                    last = _Copy(whole, last.to)
                else:
                    if last is not None:
                        yield self._begun(last)
                    last = _Copy(piece, to)
                    if self._summed:
                        self._copies_of.setdefault(number, []).append(last)
                to += piece.length
        if last is not None:
            yield self._begun(last)

    def _begun(self, copy: _Copy) -> _Copy:
        if copy.piece.crc is not None:
            self._copies.append(copy)
        return copy

    # what jobs do

    def _copy(self, copy: _Copy, start: int, length: int) -> None:
        source = self._means.files.descriptor(copy.piece.path)
        offset, to = copy.piece.offset + start, copy.to + start
        target, path = self._file.descriptor, copy.piece.path
        with output_errors(self._file.path, self._file.span):
            # bytes that are shared are not seen, so that their checksum goes on as it is, or is not there at all
            before, shared = (0, 0)
            if self._summed == (copy.piece.crc is not None):
                before, shared = self._means.copier.share(source, offset, target, to, length)
            if shared:
                self._means.copier.move(source, offset, target, to, before, path)
                after = before + shared
                self._means.copier.move(source, offset + after, target, to + after, length - after, path)
            elif not self._summed and copy.piece.crc is None:
                self._means.copier.move(source, offset, target, to, length, path)
                begin_writeback(target, to, length)
            else:
                copy.parts[start] = (self._means.copier.copy(source, offset, target, to, length, path), length)
                begin_writeback(target, to, length)
        self._means.report(length)

    def _compute(self, members: Sequence[tuple[int, Placed]]) -> None:
        scratch = self._means.scratch()
        values = Values((t.expr for _, t in members if needs_torch(t.expr)), self._means.files, scratch)
        for number, tensor in members:
            try:
                if needs_torch(tensor.expr):
                    content = bytes_of_tensor(values.take(tensor.expr), scratch)
                else:
                    content = numpy_bytes(tensor.expr, self._means.files)
            except Failure as failure:
                raise explain(failure, tensor.key, tensor.trail) from failure.error
            assert len(content) == tensor.expr.spec.nbytes, f"{tensor.key} is as long as planned"
            with output_errors(self._file.path, self._file.span):
                write_all(self._file.descriptor, content, tensor.offset)
                begin_writeback(self._file.descriptor, tensor.offset, len(content))
            if self._summed:
                self._checksums[number] = zlib.crc32(content)
            self._means.report(len(content))

    def _blocks(self, blocks: Iterable[Block]) -> None:
        with output_errors(self._file.path, self._file.span):
            for block in blocks:
                write_all(self._file.descriptor, block.content, block.offset)
                self._means.report(len(block.content))


def _follows(last: _Copy, piece: ByteRange, to: int) -> bool:
    end = last.piece.offset + last.piece.length
    same = last.piece.path == piece.path and end == piece.offset and last.to + last.piece.length == to
    return same and last.piece.crc is None and piece.crc is None


def write_files(open_files: Sequence[OpenFile], files: SourceFiles, progress: Progress) -> None:
    """Write all bytes of some files.

    Args:
        open_files: the files, empty, open for reading and writing.
        files: where stored bytes are read from.
        progress: called with numbers of bytes that were written, by one thread at a time.

    Raises:
        SurgeryError: codes ``source-changed``, ``corrupt-checkpoint``, ``no-space``, ``output``, ``execution``,
            ``no-memory``.
    """
    means = _Means(files, progress)
    writers = [_Writer(file, means) for file in open_files]
    with one_thread_each():
        run_jobs(job for writer in writers for job in writer.jobs())
    for writer in writers:
        writer.finish()
