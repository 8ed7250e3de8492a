"""A small checkpoint of every format, written by the libraries that the formats belong to."""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy
import safetensors.torch
import torch

__all__ = ["CHECKPOINTS", "single_file"]

#: files by name; one of the name ``""`` is no directory
Files = dict[str, bytes]


def _tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"a": torch.randn(3, 2), "b.c": torch.arange(5), "d": torch.randn(2, 3).t()}


def _arrays() -> dict[str, numpy.ndarray]:
    return {key: value.numpy() for key, value in _tensors().items()}


def _saved(save: Callable[[io.BytesIO], None]) -> Files:
    file = io.BytesIO()
    save(file)
    return {"": file.getvalue()}


def _torch_zip() -> Files:
    return _saved(lambda file: torch.save({"epoch": 3, "state_dict": _tensors(), "args": {1: "x"}}, file))


def _torch_zip_without_checksums() -> Files:
    torch.serialization.set_crc32_options(False)
    try:
        return _torch_zip()
    finally:
        torch.serialization.set_crc32_options(True)


def _legacy() -> Files:
    what = {"epoch": 3, "state_dict": _tensors()}
    return _saved(lambda file: torch.save(what, file, _use_new_zipfile_serialization=False))


def _module() -> Files:
    return _saved(lambda f: torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), f))


def _torchscript() -> Files:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2)))
        return _saved(lambda file: torch.jit.save(script, file))


def _safetensors() -> Files:
    return {"": safetensors.torch.save({key: t.contiguous() for key, t in _tensors().items()}, {"a": "b"})}


def _sharded() -> Files:
    names = {key: f"model-0000{n}-of-00003.safetensors" for n, key in enumerate(_tensors(), 1)}
    shards = {names[key]: safetensors.torch.save({key: t.contiguous()}) for key, t in _tensors().items()}
    index = json.dumps({"metadata": {"total_size": 88}, "weight_map": names}).encode()
    return {"model.safetensors.index.json": index, **shards}


def _distributed() -> Files:
    import torch.distributed.checkpoint as dcp

    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"model": {key: t.contiguous() for key, t in _tensors().items()}, "step": 3}, checkpoint_id=directory)
        return {path.name: path.read_bytes() for path in sorted(Path(directory).iterdir())}


CHECKPOINTS: dict[str, Callable[[], Files]] = {
    "safetensors": _safetensors,
    "sharded": _sharded,
    "torch zip": _torch_zip,
    "torch zip without checksums": _torch_zip_without_checksums,
    "legacy": _legacy,
    "module": _module,
    "torchscript": _torchscript,
    "distributed": _distributed,
    "npz": lambda: _saved(lambda file: numpy.savez(file, **_arrays())),
    "npz, compressed": lambda: _saved(lambda file: numpy.savez_compressed(file, **_arrays())),
    "pickle of arrays": lambda: {"": pickle.dumps({"model": _arrays(), "author": "x"}, 4)},
    "pickle of arrays, as text": lambda: {"": pickle.dumps(_arrays(), 0)},
    "pickle of tensors": lambda: {"": pickle.dumps(_tensors(), 4)},
}


def single_file(name: str) -> bytes:
    """The checkpoint of a format that has one file."""
    (content,) = CHECKPOINTS[name]().values()
    return content
