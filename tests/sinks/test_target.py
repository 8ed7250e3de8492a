from pathlib import Path

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.planning.context import Context
from surgery.sinks.base import Output
from surgery.sinks.target import check_outputs, resolve
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.expr import Held
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject


@pytest.mark.parametrize(
    ("output", "form", "directory"),
    [
        (Output("a.safetensors"), "safetensors", False),
        (Output("a.SAFETENSORS"), "safetensors", False),
        (Output("a.pt"), "torch", False),
        (Output("a.pth"), "torch", False),
        (Output("a.bin"), "torch", False),
        (Output("a.ckpt"), "torch", False),
        (Output("a.tar"), "torch", False),
        (Output("a"), "safetensors", True),
        (Output("a", format="torch"), "torch", False),
        (Output("a", format="safetensors"), "safetensors", True),
        (Output("a.weights", format="torch-legacy"), "torch-legacy", False),
        (Output("a.weights", format="safetensors"), "safetensors", False),
        (Output("llama-2.7/"), "safetensors", True),
        (Output("llama-2.7", shard_size="5GB"), "safetensors", True),
        (Output("llama-2.7", shard_size="5GB", format="safetensors"), "safetensors", True),
    ],
)
def test_formats_and_directories(output, form, directory):
    target = resolve(output, Path("/base"))
    assert (target.format, target.request.directory) == (form, directory)
    assert target.path.parent == Path("/base")


def test_relative_to_what():
    assert resolve(Output("a.pt", base="/caller"), Path("/recipe")).path == Path("/caller/a.pt")
    assert resolve(Output("/abs/a.pt", base="/caller"), Path("/recipe")).path == Path("/abs/a.pt")
    assert resolve(Output("~/a.pt"), Path("/recipe")).path == Path.home() / "a.pt"


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("5 gb", 5 * 10**9), ("1.5M", 1500000), ("12", 12), (7, 7), ("3kB", 3000)]
)
def test_sizes(text, size):
    assert resolve(Output("a/", shard_size=text), Path()).request.shard_size == size


@pytest.mark.parametrize("text", ["", "5 gigabytes", "-1", 0, True, 1.5, "GB", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(SurgeryError, match="output-format"):
        resolve(Output("a/", shard_size=text), Path())


def failing(output):
    with pytest.raises(SurgeryError) as caught:
        resolve(output, Path())
    return str(caught.value)


def test_errors(golden):
    outputs = [
        Output("model.safetensor"),
        Output("model.xyz"),
        Output("model.pt", shard_size="5GB"),
        Output("model/", format="torch"),
        Output("out/model.safetensors", shard_size="5GB"),
        Output("a.safetensors", metadata=["a"]),
        Output("a.safetensors", metadata={"a": {}}),
        Output("model/", shard_size="5 gigabytes"),
    ]
    golden("sinks/output-errors", "\n\n".join(map(failing, outputs)))


def test_outputs_are_checked_together(tmp_path):
    (tmp_path / "there.pt").write_bytes(b"")
    context = Context(directory=tmp_path)
    outputs = [
        Output("there.pt"),
        Output("a.pt"),
        Output("sub/../a.pt"),
        Output("model/"),
        Output("model/inner.pt"),
        Output("there.pt/below.pt"),
        Output("."),
    ]
    check_outputs(outputs, Subject({}), context)
    found = "\n\n".join(str(d) for d in context.diagnostics).replace(str(tmp_path), "…")
    codes = [d.code for d in context.diagnostics]
    assert codes == ["output-exists", "output", "output", "output", "output-exists", "output"], found
    assert [d.severity for d in context.diagnostics] == ["warning", "error", "error", "error", "warning", "error"], (
        found
    )
    assert not (tmp_path / "a.pt").exists()


@pytest.mark.parametrize("path", ["a.safetensors", "a.pt"])
@pytest.mark.parametrize("dtype", ["float32", "quantised"])
def test_tensors_without_bytes(tmp_path, path, dtype):
    tensor = torch.empty(2, device="meta" if dtype == "float32" else "cpu")
    spec = Spec((2,), DTYPES.get(dtype) or DType(dtype, 1, "opaque", 0))
    context = Context(directory=tmp_path)
    check_outputs([Output(path)], Subject({"w\x1b": Entry(Held(spec, tensor))}), context)
    (found,) = context.diagnostics
    assert found.code == "not-in-this-format"
    assert found.message.startswith(r"`w\x1b` is ")


@pytest.mark.parametrize("path", ["/", "x" * 300 + ".pth", "x/" * 3000 + "x.pth", "https://example.org/x.pth"])
def test_what_no_file_can_be_called(path, tmp_path):
    context = Context(directory=tmp_path)
    check_outputs([Output(path)], Subject({}), context)
    codes = [diagnostic.code for diagnostic in context.diagnostics]
    assert codes == (["output-exists"] if path == "/" else ["output"])
    assert not any(tmp_path.iterdir())
