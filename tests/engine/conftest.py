import zlib
from itertools import count, pairwise

import numpy
import pytest
import torch

from surgery.engine.execute import write_targets
from surgery.ops.arithmetic import spec_of
from surgery.sinks.base import Output
from surgery.sinks.target import resolve
from surgery.tensors.expr import ByteRange, Stored, Strided
from surgery.tensors.subject import Entry, Subject


def raw(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""


class Store:
    """Files of tensors, and expressions over them."""

    def __init__(self, directory):
        self.directory = directory
        self._numbers = count()

    def file(self, content):
        path = self.directory / f"source-{next(self._numbers)}.bin"
        path.write_bytes(content)
        return str(path)

    def stored(self, tensor, *, pieces=1, crc=True):
        """A tensor, its bytes in several ranges, in reverse order in the file."""
        data = raw(tensor)
        edges = [len(data) * n // pieces for n in range(pieces + 1)]
        parts = [data[a:b] for a, b in pairwise(edges) if b > a]
        path = self.file(b"head" + b"".join(reversed(parts)))
        ranges, at = [], 4 + len(data)
        for part in parts:
            at -= len(part)
            ranges.append(ByteRange(path, at, len(part), zlib.crc32(part) if crc else None))
        return Stored(spec_of(tensor), tuple(ranges))

    def strided(self, tensor, *, big_endian=False):
        """A tensor as a view of its storage."""
        data = raw(torch.as_strided(tensor, (tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0))
        if big_endian:
            size = tensor.element_size() // (2 if tensor.is_complex() else 1)
            data = numpy.frombuffer(data, f"u{size}").byteswap().tobytes()
        piece = ByteRange(self.file(data), 0, len(data), zlib.crc32(data))
        return Strided(spec_of(tensor), piece, tensor.storage_offset(), tensor.stride(), big_endian)


@pytest.fixture
def store(tmp_path):
    directory = tmp_path / "sources"
    directory.mkdir()
    return Store(directory)


@pytest.fixture
def bits():
    return raw


@pytest.fixture
def save(tmp_path):
    """Write expressions by key to ``out/<path>``; the path."""

    def run(exprs, path="out.safetensors", progress=None, states=None, **options):
        subject = exprs if isinstance(exprs, Subject) else Subject({key: Entry(expr) for key, expr in exprs.items()})
        target = resolve(Output(path, **options), tmp_path / "out")
        target.sink.check(subject, target.request)
        write_targets(subject, [target], progress, states=states)
        return target.path

    return run
