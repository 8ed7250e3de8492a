"""Quantised, sparse and other tensors of a file: renamed, dropped, written back to a torch file, and nothing else."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner

import surgery
from surgery.cli.main import command
from surgery.diagnostics import SurgeryError

pytestmark = pytest.mark.filterwarnings("ignore")

MAKERS = {
    "quantised": lambda: torch.quantize_per_tensor(torch.arange(6.0).reshape(2, 3), 0.1, 0, torch.qint8),
    "by channel": lambda: torch.quantize_per_channel(
        torch.arange(6.0).reshape(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.quint8
    ),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "conjugated": lambda: torch.tensor([1 + 2j, 3j]).conj(),
    "meta": lambda: torch.ones(2, 3, device="meta"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(odd, step, output):
        torch.save({"state_dict": {"w": torch.ones(2), "q": odd}, "epoch": 3}, "a.pt")
        text = f"surgery: 1\nsource: {{checkpoint: a.pt}}\nsteps: [{step}]\noutput: {output}\n"
        (tmp_path / "r.yaml").write_text(text)
        return surgery.load("r.yaml").run()

    return run


@pytest.mark.parametrize("container", ["bare", "keep"])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_torch_file_takes_it_back_as_it_stood(kind, container, run):
    odd = MAKERS[kind]()
    run(odd, "{rename: 'q -> z'}", f"{{path: b.pt, container: {container}}}")
    written = torch.load("b.pt", weights_only=True)
    state = written["state_dict"] if container == "keep" else written
    assert list(state) == ["w", "z"]
    found = state["z"]
    assert (found.dtype, found.layout, found.device, found.shape) == (odd.dtype, odd.layout, odd.device, odd.shape)
    assert found.is_conj() == odd.is_conj()
    assert repr(found) == repr(odd)


def test_a_quantised_tensor_has_its_bytes(run):
    odd = MAKERS["by channel"]()
    run(odd, "{rename: 'q -> z'}", "b.pt")
    found = torch.load("b.pt", weights_only=True)["z"]
    assert torch.equal(found.int_repr(), odd.int_repr())
    assert torch.equal(found.q_per_channel_scales(), odd.q_per_channel_scales())


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("output", ["b.safetensors", "b.pt"])
def test_what_is_dropped_is_no_obstacle(kind, output, run):
    result = run(MAKERS[kind](), "{filter: {drop: q}}", output)
    assert torch.equal(result.state_dict["w"], torch.ones(2))


@pytest.mark.parametrize("output", ["b.safetensors", "{path: b.pt, format: torch-legacy}", "{path: b/, format: dcp}"])
def test_other_formats_name_it_and_say_what_to_do(output, run, tmp_path):
    with pytest.raises(SurgeryError) as error:
        run(MAKERS["quantised"](), "{rename: 'q -> z'}", output)
    (found,) = error.value.diagnostics
    assert found.code == "not-in-this-format"
    assert found.message == "`z` (qint8 [2, 3]) is quantised"
    assert found.notes[0] == "leave it out: `filter: {drop: z}`"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "r.yaml"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("{convert: 'q -> q via scale(2)'}", "`scale` takes plain tensors, and `q` is qint8 [2, 3]"),
        ("{convert: '[q, w] -> q via concat(0)'}", "`concat` takes plain tensors, and `q` is qint8 [2, 3]"),
    ],
)
def test_operations_name_it(step, words, run):
    with pytest.raises(SurgeryError) as error:
        run(MAKERS["quantised"](), step, "b.pt")
    assert words in str(error.value)
    assert error.value.diagnostics[0].code == "operation"


def test_it_is_not_loaded_into_a_place_for_plain_tensors(run):
    step = "{create: 'x -> zeros([3, 3])'}, {load: {from: {checkpoint: a.pt}}}"
    with pytest.raises(SurgeryError):
        run(MAKERS["sparse"](), step, "b.safetensors")


def test_it_is_not_read_into_memory(run, tmp_path):
    result = run(MAKERS["quantised"](), "{rename: 'q -> z'}", "b.pt")
    with pytest.raises(SurgeryError, match=r"`z` \(qint8 \[2, 3\]\) is not read into memory: it is quantised"):
        _ = result.state_dict


def test_inspect_lists_it_without_a_size(run):
    run(MAKERS["quantised"](), "{filter: {drop: q}}", "b.pt")
    done = CliRunner().invoke(command, ["inspect", "a.pt"])
    assert done.exit_code == 0
    assert ["q", "qint8", "[2,", "3]"] in [line.split() for line in done.output.splitlines()]
