"""What belongs to modules follows them through renames."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import surgery
from surgery.formats.contents import Rest
from surgery.formats.following import following


@pytest.fixture
def wrapped(stored):
    """A wrapped model with three modules, one of them without tensors."""
    subject = stored({"module.conv.weight": (2,), "module.bn.weight": (2,), "module.bn.bias": (2,)})
    tree = {key: entry.expr for key, entry in subject.entries.items()}
    metadata = {path: {"version": n} for n, path in enumerate(["", "module", "module.conv", "module.bn", "module.act"])}
    extra = {"module.bn._extra_state": 1, "module.act._extra_state": 2}
    return subject.replace(rest=Rest(tree, (), extra, metadata, tensors=tree))


def versions(subject) -> dict[str, int]:
    return {path: value["version"] for path, value in following(subject).state_metadata.items()}


def test_nothing_moved(wrapped):
    after = following(wrapped)
    assert after.extra == wrapped.rest.extra
    assert after.state_metadata == wrapped.rest.state_metadata


def test_a_prefix_came_off(wrapped, operate):
    after = operate("- rename: module.** -> **", wrapped)
    assert following(after).extra == {"bn._extra_state": 1, "act._extra_state": 2}
    assert versions(after) == {"": 1, "conv": 2, "bn": 3, "act": 4}


def test_a_module_was_renamed(wrapped, operate):
    after = operate("- rename: module.bn -> module.norm.0", wrapped)
    assert following(after).extra == {"module.norm.0._extra_state": 1, "module.act._extra_state": 2}


def test_a_module_was_dropped(wrapped, operate):
    after = operate("- filter: {drop: module.bn}", wrapped)
    assert following(after).extra == {"module.act._extra_state": 2}
    assert "module.bn" not in versions(after)


def test_a_module_was_copied(wrapped, operate):
    after = operate("- copy: module.bn -> module.bn2", wrapped)
    assert following(after).extra["module.bn2._extra_state"] == 1
    assert versions(after)["module.bn2"] == versions(after)["module.bn"] == 3


def test_a_swap(wrapped, operate):
    after = operate("- rename: module.bn -> module.conv, module.conv -> module.bn", wrapped)
    assert versions(after)["module.conv"] == 3
    assert versions(after)["module.bn"] == 2


class Scaled(nn.Linear):
    """A layer whose extra state is a number."""

    def get_extra_state(self):
        return {"scale": 3}

    def set_extra_state(self, state):
        self.scale = state["scale"]


def test_from_file_to_file(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(3), Scaled(3, 2))
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "in.pth")
    steps = [{"unwrap": True}]
    surgery.run(
        {"source": {"checkpoint": str(tmp_path / "in.pth")}, "steps": steps, "output": str(tmp_path / "out.pth")}
    )
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    assert state._metadata["0"]["version"] == 2
    fresh = nn.Sequential(nn.BatchNorm1d(3), Scaled(3, 2))
    fresh.load_state_dict(state)
    assert fresh[1].scale == 3


def test_through_a_load(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(3), Scaled(3, 2))
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "in.pth")
    load = {"load": {"from": {"checkpoint": str(tmp_path / "in.pth")}, "steps": [{"unwrap": True}]}}
    given = nn.Sequential(nn.BatchNorm1d(3), Scaled(3, 2))
    result = surgery.run({"steps": [load]}, model=given, output=tmp_path / "out.pth")
    assert result.model[1].scale == 3
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    assert state["1._extra_state"] == {"scale": 3}
    assert torch.equal(state["1.weight"], model[1].weight)


def test_what_stood_beside_the_tensors_goes_with_them(tmp_path):
    """An optimizer in the same mapping as the model: dropping its tensors drops its numbers."""
    state = {"w": torch.ones(2), "optimizer": {"state": {"w": {"avg": torch.ones(2)}}, "groups": [{"lr": 0.5}]}}
    torch.save(state, tmp_path / "run.pth")
    output = tmp_path / "new.safetensors"
    steps = [{"filter": {"drop": "optimizer.**"}}]
    surgery.load({"source": {"checkpoint": str(tmp_path / "run.pth")}, "steps": steps, "output": str(output)}).run()
    assert output.exists()
