"""Pattern 6, across devices: beside `torch.load(map_location=…)`, and accelerate's own maps and offloading."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.serialization
from accelerate import cpu_offload, disk_offload, dispatch_model, init_empty_weights, load_checkpoint_and_dispatch
from accelerate.utils import get_balanced_memory, get_max_memory, infer_auto_device_map
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model import devices


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.a = nn.Linear(8, 16)
        self.b = nn.Linear(16, 8)
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("hidden", torch.ones(8), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(torch.relu(self.a(self.norm(x)))) * self.scale * self.hidden


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(8))
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.token
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = Net()
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                nn.init.normal_(buffer)
    return model.eval()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Net) -> Path:
    monkeypatch.chdir(tmp_path)
    save_file(net.state_dict(), "net.safetensors")
    return tmp_path


X = torch.linspace(-2, 2, 40).reshape(5, 8)


def build(*steps: dict[str, Any], **options: Any) -> surgery.Result:
    """The model built without weights, those of the file loaded into it."""
    with init_empty_weights():
        empty = Net()
    recipe = [{"load": {"from": {"checkpoint": "net.safetensors"}}}, *steps, {"mode": "eval"}]
    return surgery.load(recipe).run(model=empty, **options)


def tagged(state: dict[str, Tensor], locations: dict[str, str], path: str, **options: Any) -> None:
    """Save tensors as if they had been on other devices."""
    known = {state[key].untyped_storage().data_ptr(): location for key, location in locations.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: known.get(storage.data_ptr(), "cpu"))
        torch.save(state, path, **options)


class TestMapLocation:
    @pytest.fixture(params=[True, False], ids=["zip", "legacy"])
    def saved(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
        monkeypatch.chdir(tmp_path)
        state = {"a": torch.rand(2), "b": torch.rand(3), "c": torch.rand(4)}
        where = {"a": "cuda:1", "b": "cuda:0"}
        tagged(state, where, "saved.pt", _use_new_zipfile_serialization=request.param)
        return "saved.pt"

    @pytest.mark.parametrize(
        "location", ["cpu", "meta", {"cuda:1": "cpu", "cuda:0": "cpu"}, {"cuda:1": "meta", "cuda:0": "cpu"}]
    )
    def test_as_torch_has_it(self, saved: str, location: Any) -> None:
        plain = torch.load(saved, map_location=location)
        made = surgery.load({"source": {"checkpoint": {"path": saved, "map_location": location}}, "steps": []})
        found = made.run().state_dict
        assert {key: str(t.device) for key, t in found.items()} == {key: str(t.device) for key, t in plain.items()}
        assert all(found[key].is_meta or torch.equal(found[key], plain[key]) for key in plain)

    def test_without_it_everything_is_on_the_cpu(self, saved: str) -> None:
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(saved)
        state = surgery.load({"source": {"checkpoint": saved}, "steps": []}).run().state_dict
        assert {str(t.device) for t in state.values()} == {"cpu"}

    def test_what_a_mapping_does_not_name_stays(self, saved: str) -> None:
        source = {"checkpoint": {"path": saved, "map_location": {"cuda:1": "cuda"}}}
        plan = surgery.load({"source": source, "steps": []}).plan()
        assert [entry.device for entry in plan.subject.entries.values()] == ["cuda:0", "cuda:0", None]
        with pytest.raises(SurgeryError, match=r"error\[device\]: there is no cuda:0 here"):
            plan.execute()

    def test_other_formats(self, here: Path) -> None:
        for location in ("meta", {"cpu": "meta"}):
            source = {"checkpoint": {"path": "net.safetensors", "map_location": location}}
            state = surgery.load({"source": source, "steps": []}).run().state_dict
            assert all(tensor.is_meta for tensor in state.values())


class TestWithoutTheDevices:
    def test_a_plan_has_bytes_for_each_device(self, net: Net) -> None:
        recipe = surgery.load([{"device_map": "blocks.(0|1) -> cuda:0, blocks -> cuda:1, ** -> cpu"}])
        plan = recipe.plan(model=net)
        half = sum(t.nbytes for key, t in net.state_dict().items() if key.startswith(("blocks.0.", "blocks.1.")))
        rest = sum(t.nbytes for key, t in net.state_dict().items() if not key.startswith("blocks."))
        from surgery.report.json import plan_document

        assert plan_document(plan)["devices"] == {"cpu": rest, "cuda:0": half, "cuda:1": half}
        assert plan.remarks == (
            "there is no cuda:0 here: this can be planned, not loaded",
            "there is no cuda:1 here: this can be planned, not loaded",
        )
        with pytest.raises(SurgeryError, match="there is no cuda:0 here") as caught:
            plan.execute()
        first, second = caught.value.diagnostics
        assert (first.code, second.code) == ("device", "device")
        assert "blocks.(0|1) -> cuda:0" in first.span.excerpt

    def test_a_file_is_written_without_them(self, here: Path, net: Net) -> None:
        surgery.load({"steps": [{"device_map": "** -> cuda:5"}], "output": "out.safetensors"}).plan(model=net)
        source = {"checkpoint": "net.safetensors"}
        surgery.run({"source": source, "steps": [{"device_map": "** -> cuda:5"}], "output": "out.safetensors"})
        assert all(torch.equal(t, net.state_dict()[key]) for key, t in load_file("out.safetensors").items())

    def test_they_are_those_of_the_machine_where_it_runs(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        recipe = surgery.load([{"device_map": "head -> cuda:1 or cuda:0 or cpu, ** -> cuda or cpu"}])
        assert {e.device for e in recipe.plan(model=net).subject.entries.values()} == {None}
        monkeypatch.setattr(devices, "devices_here", lambda: ("cpu", "cuda:0", "meta"))
        assert {e.device for e in recipe.plan(model=net).subject.entries.values()} == {"cuda:0"}


POLICIES = [
    {"cuda:0": 1000, "cuda:1": 1500, "cpu": 100_000},
    {"cuda:0": 3000, "cuda:1": 3000},
    {"cuda:0": "2KB", "cpu": "2KB"},
    {"cpu": 1500},
]


@pytest.mark.parametrize("memory", POLICIES)
@pytest.mark.parametrize("policy", ["auto", "balanced", "sequential"])
@pytest.mark.parametrize("whole", [[], ["Block"]])
def test_policies_are_accelerates(
    net: Net, memory: dict[str, Any], policy: str, whole: list[str], tmp_path: Path
) -> None:
    step = {"policy": policy, "max_memory": memory, "no_split": whole, "offload_dir": str(tmp_path / "off")}
    plan = surgery.load([{"device_map": step}]).plan(model=net)
    limits = {int(name[5:]) if name.startswith("cuda") else name: size for name, size in memory.items()}
    limits = get_max_memory(limits)
    if policy != "sequential":
        limits = get_balanced_memory(net, limits, no_split_module_classes=whole)
    expected = infer_auto_device_map(net, limits, no_split_module_classes=whole, offload_buffers=True)
    for key, entry in plan.subject.entries.items():
        leading = [p for p in expected if key == p or key.startswith(f"{p}.") or not p]
        # a buffer of a block that is taken apart is left out of accelerate's map, and goes with the first part
        parts = leading or [p for p in expected if p.startswith(f"{key.rpartition('.')[0]}.")]
        device = expected[max(leading, key=len) if leading else parts[0]]
        assert leading or key.endswith(".scale")
        assert (entry.device or "cpu") == (f"cuda:{device}" if isinstance(device, int) else device)


class TestDisk:
    def test_weights_are_used_where_they_lie(self, here: Path, net: Net) -> None:
        result = build({"device_map": "blocks -> disk, ** -> cpu"})
        model = result.model
        assert result.plan.cost.read == sum(t.nbytes for k, t in net.state_dict().items() if "blocks" not in k)
        assert result.plan.cost.written == 0
        assert os.listdir() == ["net.safetensors"]
        assert {key for key, t in model.state_dict().items() if t.is_meta} == {
            key for key in net.state_dict() if key.startswith("blocks.")
        }
        with init_empty_weights():
            empty = Net()
        device_map = {"blocks": "disk", "token": "cpu", "head": "cpu"}
        # without `offload_buffers` accelerate leaves the buffers there as the model was built: the trap beside this
        plain = load_checkpoint_and_dispatch(
            empty, "net.safetensors", device_map=device_map, offload_folder="off", offload_buffers=True
        ).eval()
        for _ in range(2):
            assert torch.equal(model(X), net(X))
            assert torch.equal(model(X), plain(X))

    def test_others_are_written(self, here: Path, net: Net) -> None:
        steps = (
            {"cast": "blocks.0 -> float64"},
            {"device_map": {"map": "blocks -> disk, ** -> cpu", "offload_dir": "off"}},
        )
        build(*steps, {"cast": "blocks.0 -> float32"})
        assert set(load_file("off/model.safetensors")) == {
            key for key in net.state_dict() if key.startswith("blocks.0") and not key.endswith("tracked")
        }

    def test_a_torch_file_will_do(self, here: Path, net: Net) -> None:
        torch.save(net.state_dict(), "net.safetensors")
        model = build({"device_map": "** -> disk"}).model
        assert torch.equal(model(X), net(X))

    def test_a_whole_model(self, here: Path, net: Net) -> None:
        model = surgery.device_map(net, "** -> disk", offload_dir="off")
        assert all(parameter.is_meta for parameter in model.parameters())
        assert torch.equal(model(X), net(X))
        assert torch.equal(copy.deepcopy(model)(X), net(X))

    def test_ties_and_layers_that_are_reached_into(self, here: Path) -> None:
        class Tied(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embed = nn.Embedding(20, 8)
                self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
                self.head = nn.Linear(8, 20, bias=False)
                self.head.weight = self.embed.weight

            def forward(self, x: Tensor) -> Tensor:
                return self.head(self.encoder(self.embed(x)))

        tied, ids = Tied().eval(), torch.arange(12).reshape(2, 6)
        model = surgery.device_map(tied, "** -> disk", offload_dir="off")
        with torch.no_grad():
            assert torch.equal(model(ids), tied(ids))
        assert "head.weight" not in load_file("off/model.safetensors")
        back = surgery.device_map(model, "** -> cpu")
        assert back.head.weight is back.embed.weight
        with pytest.raises(
            SurgeryError, match=r"`encoder.layers.0`, a TransformerEncoderLayer, would be on cpu and disk"
        ):
            surgery.device_map(tied, "**.linear1 -> disk, ** -> cpu", offload_dir="off", overwrite=True)

    def test_a_folder_is_replaced_where_that_is_allowed(self, here: Path, net: Net) -> None:
        recipe = surgery.load([{"device_map": {"map": "** -> disk", "offload_dir": "off"}}])
        first = recipe.run(model=net).model
        with pytest.raises(SurgeryError, match="output-exists"):
            recipe.run(model=net)
        assert [warning.code for warning in recipe.plan(model=net).warnings] == ["output-exists"]
        other = Net().eval()
        second = recipe.run(model=other, overwrite=True).model
        assert torch.equal(second(X), other(X))
        with pytest.raises(SurgeryError, match="after its headers were read"):
            first(X)

    def test_what_does_not_fit_goes_to_the_disk(self, here: Path, net: Net) -> None:
        step = {"policy": "sequential", "max_memory": {"cpu": 2500}, "no_split": ["Block"], "offload_dir": "off"}
        result = build({"device_map": step})
        devices = {entry.device for entry in result.plan.subject.entries.values()}
        assert devices == {None, "disk"}
        assert not os.path.exists("off")
        assert torch.equal(result.model(X), net(X))

    def test_parity_of_what_is_on_the_disk(self, here: Path, net: Net) -> None:
        steps = [{"device_map": "** -> disk"}, {"mode": "eval"}]
        recipe: dict[str, Any] = {
            "source": {"given": "model"},
            "steps": [{"load": {"from": {"checkpoint": "net.safetensors"}}}, *steps],
            "expect": {"parity": {"like": {"given": "model"}, "input": [3, 8]}},
        }
        assert torch.equal(surgery.load(recipe).run(model=net).model(X), net(X))
        with torch.no_grad():
            net.head.bias += 1
        with pytest.raises(SurgeryError, match="`head` is the first module that differs"):
            surgery.load(recipe).run(model=net)

    def test_mistakes(self, here: Path, net: Net) -> None:
        state = net.state_dict()
        with pytest.raises(SurgeryError, match="`disk` is for the weights of a model"):
            surgery.device_map(state, "** -> disk")
        recipe = [{"device_map": {"map": "** -> disk", "offload_dir": "off"}}, {"rename": "head.** -> tail.**"}]
        with pytest.raises(SurgeryError, match="a step after `device_map` made a bare state dict"):
            surgery.load(recipe).plan(model=net)
        with pytest.raises(SurgeryError, match="`offload_dir: DIRECTORY` says where"):
            surgery.device_map(net, "head -> disk, ** -> cpu")
        Path("full").mkdir()
        Path("full/notes.txt").write_text("mine")
        with pytest.raises(SurgeryError, match=r"`full` holds what would be lost: `notes.txt`"):
            surgery.device_map(net, "** -> disk", offload_dir="full", overwrite=True)
        with pytest.raises(SurgeryError, match=r"`blocks.0`, a Block, would be on cpu and meta"):
            surgery.device_map(net, "**.norm -> meta, ** -> cpu", no_split=["Block"])


OFFLOADED = {
    "dispatch": lambda net: dispatch_model(
        net, {"blocks": "disk", "token": "cpu", "head": "cpu"}, offload_dir="theirs"
    ),
    "cpu": cpu_offload,
    "cpu, with buffers": lambda net: cpu_offload(net, offload_buffers=True),
    "disk": lambda net: disk_offload(net, "theirs"),
    "disk, with buffers": lambda net: disk_offload(net, "theirs", offload_buffers=True),
    "disk, by blocks": lambda net: disk_offload(net, "theirs", preload_module_classes=["Block"]),
    "ours": lambda net: surgery.device_map(net, "blocks -> disk, ** -> cpu", offload_dir="ours"),
}


class TestGivenOffloaded:
    @pytest.mark.parametrize("how", OFFLOADED)
    def test_weights_come_from_where_hooks_have_them(self, how: str, here: Path, net: Net) -> None:
        offloaded = OFFLOADED[how](copy.deepcopy(net))
        before = {key for key, tensor in offloaded.state_dict().items() if tensor.is_meta}
        assert before
        made = surgery.load([{"cast": "head.bias -> float32"}]).run(model=offloaded)
        assert any("accelerate's hooks" in remark for remark in made.plan.remarks)
        model = made.model
        assert all(torch.equal(tensor, net.state_dict()[key]) for key, tensor in model.state_dict().items())
        assert torch.equal(model(X), net(X))
        assert not [m for m in model.modules() if "_hf_hook" in vars(m) or "forward" in vars(m) or "to" in vars(m)]
        assert before == {key for key, tensor in offloaded.state_dict().items() if tensor.is_meta}
        assert torch.equal(offloaded(X), net(X))
        surgery.load({"steps": [{"mode": "eval"}], "output": "again.safetensors"}).run(model=offloaded)
        assert all(torch.equal(tensor, net.state_dict()[key]) for key, tensor in load_file("again.safetensors").items())

    def test_a_cast_of_the_hook_is_kept(self, here: Path, net: Net) -> None:
        offloaded = disk_offload(copy.deepcopy(net), "theirs").bfloat16()
        made = surgery.mode(offloaded, "eval").state_dict()
        assert torch.equal(made["blocks.0.a.weight"], net.blocks[0].a.weight.bfloat16())

    def test_what_is_gone_is_told(self, here: Path, net: Net) -> None:
        offloaded = disk_offload(copy.deepcopy(net), "theirs")
        Path("theirs/head.bias.dat").unlink()
        with pytest.raises(SurgeryError, match=r"`head.bias` is offloaded, and cannot be read: .* no file of 12 bytes"):
            surgery.mode(offloaded, "eval")

    def test_a_model_on_the_meta_device_is_still_refused(self) -> None:
        with init_empty_weights():
            empty = Net()
        with pytest.raises(SurgeryError, match="no-values"):
            surgery.mode(empty, "eval")
