"""The bytes of laid-out files, moved: ranges are shared or copied, what is computed passes through memory in budget."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from surgery.engine.checksum import combine
from surgery.engine.evaluation import Failure
from surgery.engine.flow import contents, needs_torch, through
from surgery.engine.leaves import bytes_of_tensor
from surgery.engine.pages import give_back
from surgery.engine.parts import Copy, Part, windows
from surgery.engine.pool import Job, run_jobs
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch, Scratches
from surgery.engine.series import Series
from surgery.engine.sharing import Sharing
from surgery.engine.space import OpenFile, check_space
from surgery.engine.tasks import Task, tasks_of
from surgery.engine.threads import one_thread_each
from surgery.engine.values import Values, explain
from surgery.engine.window import WINDOW, Window
from surgery.files.failures import output_errors
from surgery.files.writer import FileWriter
from surgery.sinks.base import Progress
from surgery.sinks.layout import Placed
from surgery.tensors.expr import ByteRange, Stored, TensorExpr

__all__ = ["write_files"]

#: what is smaller than this leaves little behind
_LARGE = 1 << 20
#: how many windows ahead the disk is told what will be read
_AHEAD = 6


class _Means:
    """What all jobs share."""

    def __init__(self, files: SourceFiles, progress: Progress) -> None:
        self.files = files
        self.sharing = Sharing()
        self.scratches = Scratches()
        self._progress = progress
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def report(self, count: int) -> None:
        """Count bytes that were written."""
        with self._lock:
            self._progress(count)

    def window(self) -> Window:
        """The memory from which this thread writes."""
        kept: Window | None = getattr(self._of_thread, "window", None)
        if kept is None:
            kept = self._of_thread.window = Window()
        return kept


class _Writer:
    """Makes the jobs of one file, and gathers the checksums that they find."""

    def __init__(self, file: OpenFile, means: _Means) -> None:
        self._file = file
        self._means = means
        self._to = FileWriter(file.descriptor, file.layout.size)
        self._summed = file.layout.closing is not None
        self._copies: dict[int, list[Copy]] = {}
        self._checksums: dict[int, int] = {}
        self._shared: list[Part] = []
        self._parts = sorted(self._divide(), key=lambda part: part.to)

    @property
    def left(self) -> int:
        """How many bytes have to be written, after as much as can be was shared on the disk."""
        return self._file.layout.size - sum(part.length for part in self._shared)

    def jobs(self) -> Iterator[Job]:
        """Everything but the last blocks, in the order of the file as far as memory allows."""
        made = [(n, t) for n, t in enumerate(self._file.layout.tensors) if not isinstance(t.expr, Stored)]
        for task in tasks_of([tensor.expr for _, tensor in made]):
            members = [made[number] for number in task.members]
            yield Job(partial(self._compute, task, members), task.memory)
        for whole in self._wholes():
            yield Job(partial(self._means.files.check, whole))
        gathered = list(windows(self._parts, WINDOW))
        for number, window in enumerate(gathered):
            coming = gathered[number + _AHEAD] if number + _AHEAD < len(gathered) else ()
            yield Job(partial(self._gather, window, coming))
        for window in windows(self._shared, WINDOW):
            yield Job(partial(self._read_shared, window))

    def _wholes(self) -> set[ByteRange]:
        """The ranges with a checksum of which parts are copied."""
        stored = (tensor.expr for tensor in self._file.layout.tensors if isinstance(tensor.expr, Stored))
        return {piece.whole for expr in stored for piece in expr.ranges if piece.whole is not None}

    def finish(self) -> None:
        """Check what was copied, and write the last blocks.

        Raises:
            SurgeryError: a source is damaged, or the file cannot be written.
        """
        for copies in self._copies.values():
            for copy in copies:
                copy.checked()
        if self._file.layout.closing is not None:
            checksums = [self._checksum(number) for number in range(len(self._file.layout.tensors))]
            for block in self._file.layout.closing(checksums):
                self._write(block.content, block.offset)

    def close(self) -> None:
        """Close what was opened for writing."""
        self._to.close()

    def _checksum(self, number: int) -> int:
        if number in self._checksums:
            return self._checksums[number]
        pieces = []
        for copy in self._copies.get(number, ()):
            crc = copy.checked()
            assert crc is not None, "what is shared had a checksum"
            pieces.append((crc, copy.piece.length))
        return pieces[0][0] if len(pieces) == 1 else combine(pieces)

    def _divide(self) -> Iterator[Part]:
        """Everything that is known or stored; what can be shared on the disk is shared now, and is not among it."""
        for block in self._file.layout.blocks:
            yield Part(block.offset, len(block.content), block.content)
        for number, tensor in enumerate(self._file.layout.tensors):
            if isinstance(tensor.expr, Stored):
                to = tensor.offset
                for piece in tensor.expr.ranges:
                    copy = Copy(piece, to)
                    if self._summed or piece.crc is not None:
                        self._copies.setdefault(number, []).append(copy)
                    yield from self._left_of(copy)
                    to += piece.length

    def _left_of(self, copy: Copy) -> Iterator[Part]:
        """What is left to copy of a range after as much as can be was shared."""
        piece, to = copy.piece, copy.to
        source, target = self._means.files.descriptor(piece.path), self._file.descriptor
        with output_errors(self._file.path, self._file.span):
            before, shared = self._means.sharing.share(source, piece.offset, target, to, piece.length)
        behind = before + shared
        if shared:
            self._shared.append(Part(to + before, shared, copy, before))
            yield Part(to, before, copy)
        yield Part(to + behind, piece.length - behind, copy, behind)

    # what jobs do

    def _gather(self, parts: Sequence[Part], coming: Sequence[Part]) -> None:
        """Write neighbours together; what is `coming` may be read from the disk meanwhile."""
        for part in coming:
            if isinstance(part.source, Copy):
                self._means.files.expect(part.source.piece, part.start, part.length)
        first = parts[0].to
        memory = self._means.window().at(first, parts[-1].to + parts[-1].length - first)
        for part in parts:
            view = memory[part.to - first : part.to - first + part.length]
            if isinstance(part.source, Copy):
                self._read(part.source, part.start, view)
            else:
                view[:] = part.source[part.start : part.start + part.length]
        self._write(memory, first)

    def _read_shared(self, parts: Sequence[Part]) -> None:
        """Read what was shared if it has a checksum that ends here, or needs one; a checksum that goes on may do so."""
        for part in parts:
            assert isinstance(part.source, Copy), "only ranges are shared"
            if self._summed != (part.source.piece.crc is not None):
                self._read(part.source, part.start, self._means.window().at(part.to, part.length))
            self._means.report(part.length)

    def _read(self, copy: Copy, start: int, view: memoryview) -> None:
        """Read a part of a range, and note its checksum if anybody needs it."""
        wanted = self._summed or copy.piece.crc is not None
        crc = self._means.files.read_part(copy.piece, start, view, summed=wanted)
        if wanted:
            copy.parts[start] = (crc, len(view))

    def _compute(self, task: Task, members: Sequence[tuple[int, Placed]]) -> None:
        if any(needs_torch(tensor.expr) for _, tensor in members):
            # before memory is lent: exceptions that are left of an import keep the frames that it was called from
            import torch  # noqa: F401
        if task.series is not None:
            ((number, tensor),) = members
            with _explained(tensor):
                self._checksums[number] = self._put(self._in_parts(task.series), tensor)
        else:
            self._compute_whole(task, members)

    def _compute_whole(self, task: Task, members: Sequence[tuple[int, Placed]]) -> None:
        exprs = [tensor.expr for _, tensor in members]
        with self._means.scratches.lend(task.memory) as scratch:
            made = self._contents(exprs, scratch)
            for number, tensor in members:
                with _explained(tensor):
                    self._checksums[number] = self._put(next(made), tensor)

    def _in_parts(self, series: Series) -> Iterator[memoryview]:
        """The bytes of a result, one part of it in memory at a time."""

        def before() -> Iterator[memoryview]:
            for part in series.parts:
                with self._means.scratches.lend(series.memory) as scratch:
                    yield from next(self._contents([part], scratch))

        return through(before(), series.stages)

    def _contents(self, exprs: Sequence[TensorExpr], scratch: Scratch) -> Iterator[Iterator[memoryview]]:
        """The bytes of expressions, each of them without torch if it can be."""
        by_torch = {expr for expr in exprs if needs_torch(expr)}
        flows = contents((expr for expr in exprs if expr not in by_torch), self._means.files, scratch)
        values = Values((expr for expr in exprs if expr in by_torch), self._means.files, scratch)
        for expr in exprs:
            yield _content(values, expr, scratch) if expr in by_torch else next(flows)

    def _put(self, chunks: Iterable[memoryview], tensor: Placed) -> int:
        """Write what is computed by way of the window; its checksum if it is needed, else 0."""
        length = tensor.expr.spec.nbytes
        crc = at = begin = 0
        memory = memoryview(b"")
        for chunk in chunks:
            while chunk:
                if at == len(memory):
                    # up to where the next window of the file begins, so that all between is whole blocks
                    room = WINDOW - (tensor.offset + begin) % WINDOW
                    memory = self._means.window().at(tensor.offset + begin, min(room, length - begin))
                    at = 0
                piece = chunk[: len(memory) - at]
                memory[at : at + len(piece)] = piece
                if self._summed:
                    crc = zlib.crc32(piece, crc)
                at, chunk = at + len(piece), chunk[len(piece) :]
                if at == len(memory):
                    self._write(memory, tensor.offset + begin)
                    begin += at
            # what has been written is let go of before more is computed
            chunk = piece = memoryview(b"")
        assert begin == length, f"{tensor.key} is as long as planned"
        return crc

    def _write(self, content: memoryview | bytes, offset: int) -> None:
        with output_errors(self._file.path, self._file.span):
            self._to.write(content, offset)
        self._means.report(len(content))


def _content(values: Values, expr: TensorExpr, scratch: Scratch) -> Iterator[memoryview]:
    """The bytes of a value, in one piece; when it is not needed any more, its memory goes back to the system."""
    yield bytes_of_tensor(values.take(expr), scratch)
    if expr.spec.nbytes >= _LARGE:
        give_back()


@contextmanager
def _explained(tensor: Placed) -> Iterator[None]:
    """The failure of an operation as an error about a tensor."""
    try:
        yield
    except Failure as failure:
        raise explain(failure, tensor.key, tensor.trail) from failure.error


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
    with ExitStack() as stack:
        writers = []
        for file in open_files:
            writers.append(_Writer(file, means))
            stack.callback(writers[-1].close)
        check_space((file, writer.left) for file, writer in zip(open_files, writers, strict=True))
        with one_thread_each():
            run_jobs(job for writer in writers for job in writer.jobs())
        for writer in writers:
            writer.finish()
