import dataclasses
import errno
import hashlib
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file

from surgery.diagnostics import SurgeryError
from surgery.engine import execute, pool, sharing, space, stream
from surgery.engine.cost import cost_in_memory, cost_of_layouts
from surgery.engine.sharing import Sharing
from surgery.files import writer
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.ops.arithmetic import spec_of
from surgery.ops.cast import Cast
from surgery.ops.chunk import Chunk
from surgery.ops.permute import Transpose
from surgery.sinks.base import Output, blank
from surgery.sinks.target import resolve
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Computed, Held, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState
from surgery.tensors.subject import Entry, Subject


def apply(operation, *inputs, outputs=1):
    specs = operation.infer(tuple(i.spec for i in inputs), outputs)
    return tuple(Computed(spec, operation, inputs, n, outputs) for n, spec in enumerate(specs))


def sample(store):
    """Copied, cut, gathered and computed tensors of some size."""
    tensors = [torch.randn(300, 200, generator=torch.Generator().manual_seed(n)) for n in range(6)]
    fused = store.stored(tensors[1])
    transposed = apply(Transpose(0, 1), store.stored(tensors[2]))[0]
    halves = apply(Chunk(dim=1), transposed, outputs=2)
    exprs = {
        "plain": store.stored(tensors[0], pieces=3),
        "unchecked": store.stored(tensors[4], pieces=2, crc=False),
        "fused": fused,
        "tied": fused,
        "left": halves[0],
        "half": apply(Cast(DTYPES["bfloat16"]), store.stored(tensors[3]))[0],
        "right": halves[1],
        "strided": store.strided(tensors[5].t()),
    }
    left, right = tensors[2].t().chunk(2, dim=1)
    wanted = {
        "plain": tensors[0],
        "unchecked": tensors[4],
        "fused": tensors[1],
        "tied": tensors[1],
        "left": left,
        "half": tensors[3].bfloat16(),
        "right": right,
        "strided": tensors[5].t(),
    }
    return exprs, wanted


def load(path):
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("window", [1 << 12, 3 << 12, 1 << 22])
@pytest.mark.parametrize("path", ["a.safetensors", "a.pt"])
def test_all_that_moves_arrives(store, save, bits, path, window, direct, monkeypatch):
    monkeypatch.setattr(stream, "WINDOW", window)
    if direct:
        monkeypatch.setattr(writer, "DIRECT_FILE", 0)
        monkeypatch.setattr(writer, "_DIRECT_PIECE", 1)
    exprs, wanted = sample(store)
    found = load(save(exprs, path))
    for key in found:
        assert bits(found[key]) == bits(wanted[key]), key
    assert set(wanted) - set(found) == ({"tied"} if path.endswith("safetensors") else set())


@pytest.mark.parametrize("path", ["a.safetensors", "a.pt"])
def test_progress_counts_every_byte_once(store, save, path):
    counts = []
    size = save(sample(store)[0], path, counts.append).stat().st_size
    assert sum(counts) == size


@pytest.mark.parametrize("options", [{"path": "a.safetensors"}, {"path": "a.pt"}, {"path": "a", "shard_size": "300kB"}])
def test_the_same_twice_is_the_same_file(store, save, options):
    exprs, _ = sample(store)
    digests = set()
    for _ in range(3):
        path = save(exprs, overwrite=True, **options)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        digests.add(hashlib.sha256(b"".join(f.name.encode() + f.read_bytes() for f in files)).hexdigest())
    assert len(digests) == 1


def test_the_output_may_be_the_input(store, tmp_path, save):
    tensors = {f"t{n}": torch.randn(50, 50) for n in range(4)}
    path = tmp_path / "out" / "a.safetensors"
    path.parent.mkdir()
    save_file(tensors, path)
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    spec = store.stored(tensors["t0"]).spec
    exprs = {
        f"renamed.{key}": Stored(spec, (ByteRange(str(path), start + n * 10000, 10000),))
        for n, key in enumerate(sorted(tensors))
    }
    subject = Subject({key: Entry(expr) for key, expr in exprs.items()})
    outputs = [Output("a.safetensors", overwrite=True), Output("copy.pt")]
    execute.write_targets(subject, [resolve(output, tmp_path / "out") for output in outputs])
    for found in (load_file(path), torch.load(tmp_path / "out" / "copy.pt", weights_only=True)):
        assert all(torch.equal(found[f"renamed.{key}"], tensor) for key, tensor in tensors.items())
    assert sorted(os.listdir(tmp_path / "out")) == ["a.safetensors", "copy.pt"]


def test_all_outputs_or_none(store, tmp_path):
    subject = Subject({"a": Entry(store.stored(torch.zeros(3)))})
    (tmp_path / "there.pt").write_bytes(b"old")
    targets = [resolve(Output(path), tmp_path) for path in ("first.pt", "there.pt")]
    with pytest.raises(SurgeryError, match="output-exists"):
        execute.write_targets(subject, targets)
    assert sorted(os.listdir(tmp_path)) == ["sources", "there.pt"]


# sources that are not what they were


def one(store, tensor, **options):
    return {"a": store.stored(tensor, **options)}


def failure(run):
    with pytest.raises(SurgeryError) as caught:
        run()
    assert caught.value.exit_code == 3
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("path", ["a.safetensors", "a.pt"])
@pytest.mark.parametrize("crc", [True, False])
def test_a_source_that_was_cut(store, save, path, crc, tmp_path):
    exprs = one(store, torch.randn(5000), crc=crc)
    source = exprs["a"].ranges[0].path
    os.truncate(source, 15000)
    assert failure(lambda: save(exprs, path)) == "source-changed"
    before = dataclasses.replace(FileState.of(os.stat(source)), size=20004)
    assert failure(lambda: save(exprs, path, states={source: before})) == "source-changed"
    os.unlink(source)
    assert failure(lambda: save(exprs, path)) == "source-changed"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", [1 << 12, 1 << 22])
@pytest.mark.parametrize("kind", ["stored", "strided"])
@pytest.mark.parametrize("path", ["a.safetensors", "a.pt"])
def test_a_flipped_bit(store, save, kind, path, part, monkeypatch, tmp_path):
    monkeypatch.setattr(stream, "WINDOW", part)
    tensor = torch.randn(100, 50)
    expr = store.stored(tensor) if kind == "stored" else store.strided(tensor.t())
    source = expr.ranges[0].path if kind == "stored" else expr.storage.path
    with open(source, "r+b") as file:
        file.seek(12345)
        byte = file.read(1)
        file.seek(12345)
        file.write(bytes((byte[0] ^ 1,)))
    assert failure(lambda: save({"a": expr}, path)) == "corrupt-checkpoint"
    assert not (tmp_path / "out").exists()


def test_a_wrong_checksum_is_not_carried_on(store, save):
    expr = store.stored(torch.randn(10))
    wrong = dataclasses.replace(expr, ranges=(dataclasses.replace(expr.ranges[0], crc=1),))
    assert failure(lambda: save({"a": wrong}, "a.pt")) == "corrupt-checkpoint"


# outputs that cannot be written


def test_no_space_is_known_before(store, save, monkeypatch, tmp_path):
    class Full:
        f_bavail, f_frsize = 10, 512

    monkeypatch.setattr(space.os, "fstatvfs", lambda descriptor: Full)
    assert failure(lambda: save(one(store, torch.zeros(5000)))) == "no-space"
    assert not (tmp_path / "out").exists()


def child(script, *arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


WRITE = """
import os, sys
from pathlib import Path
from surgery.engine.execute import write_targets
from surgery.sinks.base import Output, blank
from surgery.sinks.target import resolve
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored, Computed
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject

source, target, size = sys.argv[1], sys.argv[2], int(sys.argv[3])

def subject(parts=16, offset=0):
    spec = Spec((size // parts // 4,), DTYPES["float32"])
    return Subject({
        f"t{n}": Entry(Stored(spec, (ByteRange(source, n * spec.nbytes, spec.nbytes),))) for n in range(parts)
    })

def write(subject, progress=None):
    write_targets(subject, [resolve(Output(target, overwrite=True), Path())], progress)
"""


def test_a_file_that_may_not_grow(tmp_path):
    source, target = tmp_path / "source", tmp_path / "a.pt"
    source.write_bytes(bytes(1 << 20))
    target.write_bytes(b"old")
    script = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from surgery.diagnostics import SurgeryError
try:
    write(subject())
except SurgeryError as error:
    print(error.diagnostics[0].code, error.exit_code)
"""
    assert child(WRITE + script, source, target, 1 << 20).stdout == "no-space 3\n"
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.pt", "source"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_interrupted(tmp_path, number, status):
    source, target = tmp_path / "source", tmp_path / "a.pt"
    source.write_bytes(bytes(1 << 20))
    target.write_bytes(b"old")
    script = """
import threading, time
from surgery.engine import stream
stream.WINDOW = 1 << 14
def slowly(count):
    print(flush=True)
    time.sleep(0.2)
try:
    write(subject(), slowly)
except KeyboardInterrupt:
    sys.exit(130)
"""
    command = [sys.executable, "-c", WRITE + script, source, target, str(1 << 20)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(number)
        process.communicate()
    assert process.returncode == status
    assert target.read_bytes() == b"old"
    if number == signal.SIGKILL:
        assert len(os.listdir(tmp_path)) == 3
        assert child(WRITE + "write(subject())", source, target, 1 << 20).returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["a.pt", "source"]


def test_copies_need_no_torch_and_little_memory(tmp_path):
    source = tmp_path / "source"
    size = 300 << 20
    with source.open("wb") as file:
        os.truncate(file.fileno(), size)
    script = """
import resource
from surgery.engine.cost import cost_of_layouts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(subject())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
print([name for name in ("torch", "numpy", "safetensors") if name in sys.modules])
"""
    for name in ("a.safetensors", "a.pt", "shards/"):
        done = child(WRITE + script, source, tmp_path / name if name != "shards/" else f"{tmp_path}/shards/", size)
        grown, modules = done.stdout.splitlines()
        assert int(grown) < 40, name
        assert modules == "[]", name


@pytest.mark.parametrize(
    ("operations", "most"),
    [("[Cast(DTYPES['bfloat16'])]", 40), ("[Reshape((1024, -1)), Transpose(0, 1)]", 120), ("[Scale(0.5)]", 180)],
    ids=["cast", "transpose", "by torch"],
)
def test_computing_is_bounded_by_the_plan(tmp_path, operations, most):
    """Tensors of 40 MB, 8 and 32 of them, on two threads at a time."""
    script = """
import resource
import numpy
from surgery.engine import cost
from surgery.ops.cast import Cast
from surgery.ops.permute import Transpose
from surgery.ops.reshape import Reshape
from surgery.ops.scale import Scale
operations = eval(sys.argv[4])
if isinstance(operations[0], Scale):
    import torch
    torch.ones(10) * 0.5
def computed(expr):
    for operation in operations:
        moved = operation.rearrange((expr,), 1) if isinstance(expr, Stored) else None
        expr = moved[0] if moved else Computed(operation.infer((expr.spec,), 1)[0], operation, (expr,))
    return expr
made = Subject({key: Entry(computed(entry.expr)) for key, entry in subject(size // (40 << 20)).entries.items()})
target_ = resolve(Output(target), Path())
planned = cost.cost_of_layouts([target_.sink.layout(made, target_.request, blank)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(made)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, planned.peak >> 20)
"""
    bounds = []
    for count in (8, 32):
        source, size = tmp_path / "source", count * 40 << 20
        with source.open("wb") as file:
            os.truncate(file.fileno(), size)
        done = child(WRITE + script, source, tmp_path / "a.safetensors", size, operations)
        assert done.returncode == 0, done.stderr
        grown, planned = map(int, done.stdout.split())
        assert grown <= planned + 8
        bounds.append(planned)
    assert bounds[0] == bounds[1] <= most


@pytest.mark.parametrize("leaf", ["stored", "strided"])
def test_more_memory_than_there_is(tmp_path, leaf):
    source, size = tmp_path / "source", 2 << 30
    with source.open("wb") as file:
        os.truncate(file.fileno(), size)
    script = """
import resource
import numpy
from surgery.diagnostics import SurgeryError
from surgery.ops.permute import Transpose
from surgery.tensors.expr import Strided
spec, turn = Spec((1 << 14, 1 << 15), DTYPES["float32"]), Transpose(0, 1)
storage = ByteRange(source, 0, size)
if sys.argv[4] == "stored":
    expr = Computed(turn.infer((spec,), 1)[0], turn, (Stored(spec, (storage,)),))
else:
    expr = Strided(spec, storage, 0, (1, 1 << 14))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    write(Subject({"w": Entry(expr)}))
except SurgeryError as error:
    print(error)
"""
    done = child(WRITE + script, source, tmp_path / "a.safetensors", size, leaf)
    assert done.stderr == ""
    assert "error[no-memory]: `w`: " in done.stdout
    assert "needs more memory than there is" in done.stdout
    assert os.listdir(tmp_path) == ["source"]


# costs


def test_costs_are_exact(store, save, monkeypatch, tmp_path):
    exprs, _ = sample(store)
    read = []

    def counted(real):
        def call(*arguments):
            read.append(real(*arguments))
            return read[-1]

        return call

    subject = Subject({key: Entry(expr) for key, expr in exprs.items()})
    for options in ({"path": "a.safetensors"}, {"path": "a.pt"}, {"path": "shards", "shard_size": "300kB"}):
        target = resolve(Output(**options), tmp_path)
        cost = cost_of_layouts([target.sink.layout(subject, target.request, blank)])
        read.clear()
        monkeypatch.setattr(os, "preadv", counted(os.preadv))
        path = save(exprs, **options)
        monkeypatch.undo()
        files = list(path.iterdir()) if path.is_dir() else [path]
        assert cost.written == sum(file.stat().st_size for file in files)
        if not path.is_dir():
            assert cost.read == sum(read)
        assert cost.peak > 0


def test_the_cost_of_a_result_in_memory():
    tensor = torch.zeros(1000, 10)
    given = Held(spec_of(tensor), tensor)
    assert cost_in_memory([given]).peak == 40_000
    cast = apply(Cast(DTYPES["float64"]), given)[0]
    assert 80_000 <= cost_in_memory([cast]).peak <= 160_000


# blocks that are shared on the disk


def fake_ioctl(shared):
    """What a file system does that can share blocks: the range must lie on blocks of both files."""

    def ioctl(target, request, argument):
        assert request == 0x4020940D
        source, offset, length, to = struct.unpack("qQQQ", argument)
        if offset % 4096 or length % 4096 or to % 4096:
            raise OSError(errno.EINVAL, "unaligned")
        os.pwrite(target, os.pread(source, length, offset), to)
        shared.append(length)

    return ioctl


@pytest.mark.parametrize("path", ["a.safetensors", "a.pt", "a/"])
@pytest.mark.parametrize("source", ["safetensors", "pt"])
def test_large_tensors_are_laid_out_to_be_shared(tmp_path, save, bits, source, path, monkeypatch):
    shared = []
    monkeypatch.setattr(sharing.fcntl, "ioctl", fake_ioctl(shared))
    tensors = {f"w{n}": torch.randn(300_000 + 64 * n) for n in range(4)}
    given = tmp_path / f"in.{source}"
    (save_file if source == "safetensors" else torch.save)(tensors, given)
    state = choose(read(given))
    written = save(Subject({f"x.{key}": Entry(tensor) for key, tensor in state.tensors.items()}), path)
    found = load(written / "model.safetensors" if path == "a/" else written)
    assert {key: bits(t) for key, t in found.items()} == {f"x.{key}": bits(t) for key, t in tensors.items()}
    if (source == "pt") == (path == "a.pt"):
        assert sum(shared) > 0.9 * sum(t.nbytes for t in tensors.values())
    assert path != "a.pt" or not zipfile.ZipFile(written).testzip()


def test_what_is_shared_needs_no_room(store, save, monkeypatch):
    class Full:
        f_bavail, f_frsize = 20, 512

    monkeypatch.setattr(space.os, "fstatvfs", lambda descriptor: Full)
    monkeypatch.setattr(sharing.fcntl, "ioctl", fake_ioctl([]))
    tensor = torch.randn(500_000)
    path = store.file(bytes(4096) + load_bytes(store.stored(tensor)).numpy().tobytes())
    expr = Stored(spec_of(tensor), (ByteRange(path, 4096, tensor.nbytes),))
    assert torch.equal(load_file(save({"a": expr}))["a"], tensor)


def test_a_checksum_that_ends_here_is_looked_at_though_blocks_are_shared(store, save, monkeypatch):
    monkeypatch.setattr(sharing.fcntl, "ioctl", fake_ioctl([]))
    content = os.urandom(1 << 21)
    piece = ByteRange(store.file(content), 0, len(content), zlib.crc32(content) ^ 1)
    expr = Stored(Spec((len(content),), DTYPES["uint8"]), (piece,))
    assert failure(lambda: save({"a": expr})) == "corrupt-checkpoint"


# the parts


@pytest.mark.parametrize("call", ["pwrite", "preadv"])
def test_calls_that_do_less_than_they_were_asked(store, save, bits, monkeypatch, call):
    real = getattr(os, call)
    short = {
        "pwrite": lambda fd, data, offset: real(fd, data[:1000], offset),
        "preadv": lambda fd, buffers, offset: real(fd, [buffers[0][:1000]], offset),
    }
    monkeypatch.setattr(os, call, short[call])
    exprs, wanted = sample(store)
    for path in ("a.safetensors", "a.pt"):
        found = load(save(exprs, path))
        assert all(bits(found[key]) == bits(wanted[key]) for key in found)


def test_sharing_is_tried_once_and_copies_go_on(tmp_path, store, save, monkeypatch):
    tried = []
    real = Sharing.share

    def share(self, *arguments):
        tried.append(real(self, *arguments))
        return tried[-1]

    monkeypatch.setattr(Sharing, "share", share)
    exprs = {f"t{n}": store.stored(torch.randn(50_000), crc=False) for n in range(3)}
    found = load_file(save(exprs))
    assert tried
    assert all(torch.equal(found[key], load_bytes(expr)) for key, expr in exprs.items())


def load_bytes(expr):
    content = b""
    for piece in expr.ranges:
        with open(piece.path, "rb") as file:
            file.seek(piece.offset)
            content += file.read(piece.length)
    return torch.frombuffer(bytearray(content), dtype=torch.float32)


def test_jobs_stay_within_the_budget():
    running, most = [0], [0]

    def work():
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.01)
        running[0] -= 1

    pool.run_jobs((pool.Job(work, 60) for _ in range(6)), budget=100)
    assert most == [1]
    pool.run_jobs((pool.Job(work, 300) for _ in range(3)), budget=100)
    assert most == [1]
    pool.run_jobs((pool.Job(work, 50) for _ in range(6)), budget=100)
    assert most == [2]


def test_the_first_failure_stops_the_rest():
    done = []

    def job(number):
        if number == 3:
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="3"):
        pool.run_jobs(pool.Job(lambda n=number: job(n)) for number in range(1000))
    assert len(done) < 100


def test_checksums_of_parts():
    from surgery.engine.checksum import combine

    content = os.urandom(10_000)
    edges = [0, 0, 1, 17, 5000, 9999, 10_000]
    parts = [content[a:b] for a, b in pairwise(edges)]
    assert combine((zlib.crc32(part), len(part)) for part in parts) == zlib.crc32(content)
