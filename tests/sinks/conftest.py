import json
import zlib
from pathlib import Path

import pytest
import torch

from surgery.engine.execute import write_targets
from surgery.ops.arithmetic import spec_of
from surgery.sinks.base import Output
from surgery.sinks.target import resolve
from surgery.tensors.expr import ByteRange, Held, Stored
from surgery.tensors.subject import Entry, Subject

DTYPES = [
    *("float64", "float32", "float16", "bfloat16"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
    *("bool", "complex128", "complex64", "complex32"),
]


def raw(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""


def random_tensor(dtype, shape, seed=0):
    """Random bits: whatever they mean, they have to come through."""
    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, dtype)
    count = torch.Size(shape).numel() * dtype.itemsize
    bits = torch.randint(0, 2 if dtype == torch.bool else 256, (count,), dtype=torch.uint8, generator=generator)
    return bits.view(dtype).reshape(shape)


def assert_same(found, wanted):
    assert list(found) == list(wanted) or set(found) == set(wanted)
    for key, tensor in wanted.items():
        assert found[key].dtype == tensor.dtype, key
        assert found[key].shape == tensor.shape, key
        assert raw(found[key]) == raw(tensor), key


@pytest.fixture
def all_dtypes():
    """One tensor of every dtype, a 0-dimensional and an empty one of each."""
    made = {}
    for seed, name in enumerate(DTYPES):
        made[f"{name}.matrix"] = random_tensor(name, (3, 5), seed)
        made[f"{name}.scalar"] = random_tensor(name, (), seed + 100)
        made[f"{name}.empty"] = random_tensor(name, (0, 4))
    return made


@pytest.fixture
def same():
    return assert_same


@pytest.fixture
def make():
    return random_tensor


@pytest.fixture
def held():
    """A subject of tensors in memory; a tensor under two keys is tied."""

    def build(tensors, **more):
        exprs = {}
        entries = {
            key: Entry(exprs.setdefault(id(tensor), Held(spec_of(tensor), tensor))) for key, tensor in tensors.items()
        }
        return Subject(entries, **more)

    return build


@pytest.fixture
def stored(tmp_path):
    """A subject of tensors in a file, with or without checksums."""

    def build(tensors, *, crc=True, name="source.bin", **more):
        path = tmp_path / name
        exprs, content = {}, b"head"
        for tensor in tensors.values():
            if id(tensor) not in exprs:
                data = raw(tensor)
                where = ByteRange(str(path), len(content), len(data), zlib.crc32(data) if crc else None)
                exprs[id(tensor)] = Stored(spec_of(tensor), (where,) if data else ())
                content += data
        path.write_bytes(content)
        return Subject({key: Entry(exprs[id(tensor)]) for key, tensor in tensors.items()}, **more)

    return build


@pytest.fixture
def write(tmp_path):
    """Write a subject to a path below a fresh directory; the path."""

    def run(subject, path, *, provenance="", **options):
        target = resolve(Output(str(path), **options), tmp_path / "out", provenance)
        target.sink.check(subject, target.request)
        (written,) = write_targets(subject, [target])
        assert {
            name: (written.path / name if target.request.directory else written.path).stat().st_size
            for name in written.files
        } == dict(written.files)
        return Path(written.path)

    return run


@pytest.fixture
def header():
    """The header of a safetensors file."""

    def read(path):
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        assert length % 8 == 0
        return json.loads(content[8 : 8 + length])

    return read
