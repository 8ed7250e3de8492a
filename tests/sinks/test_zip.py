import os
import zipfile

import pytest
import torch

from surgery.sinks.base import Request, blank
from surgery.sinks.pickles.zip import Member, directory, local_header
from surgery.sinks.torch import TorchSink
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject

HUGE = (1 << 32) + 4096


def laid_out(subject, path, checksums):
    """The file of a layout, holes where its tensors would be."""
    (file,) = TorchSink().layout(subject, Request(), blank).files
    with path.open("wb") as out:
        os.truncate(out.fileno(), file.size)
        for block in (*file.blocks, *file.closing(checksums)):
            out.seek(block.offset)
            out.write(block.content)
    return file


def test_files_beyond_four_gigabytes(tmp_path):
    size = {"first": 64, "huge": HUGE, "far": 64}
    subject = Subject(
        {key: Entry(Stored(Spec((n,), DTYPES["uint8"]), (ByteRange("source", 0, n, 7),))) for key, n in size.items()}
    )
    path = tmp_path / "huge.pt"
    file = laid_out(subject, path, [1, 2, 3])
    with path.open("r+b") as out:
        out.seek(file.tensors[2].offset)
        out.write(bytes(range(64)))
    with zipfile.ZipFile(path) as archive:
        found = {info.filename: info for info in archive.infolist()}
        assert [found[f"archive/data/{n}"].file_size for n in range(3)] == list(size.values())
        assert [found[f"archive/data/{n}"].CRC for n in range(3)] == [1, 2, 3]
        assert archive.read("archive/version") == b"3\n"
    loaded = torch.load(path, weights_only=True, mmap=True)
    assert {key: t.numel() for key, t in loaded.items()} == size
    assert loaded["far"].tolist() == list(range(64))


def test_many_entries():
    members, at = [], 0
    for number in range(70_000):
        members.append(Member(f"{number}", at, 1, 64))
        at = members[-1].end
    assert directory(members).count(b"PK\x06\x06") == 1


@pytest.mark.parametrize("size", [0, 1, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 40])
@pytest.mark.parametrize("name", ["a", "a" * 63, "archive/data/123"])
def test_headers_end_where_the_content_begins(name, size):
    for offset in range(64):
        member = Member(name, offset, size, 64)
        assert member.start % 64 == 0
        assert len(local_header(member)) == member.start - offset
