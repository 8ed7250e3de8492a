"""``filter`` and ``extract``, on state dicts and models."""

import pytest
import torch
from torch import nn

import surgery

STATE = {
    "encoder.conv.weight": torch.arange(4.0),
    "encoder.fc.weight": torch.arange(6.0).reshape(2, 3),
    "encoder.fc.bias": torch.ones(2),
    "decoder.fc.weight": torch.zeros(3),
}


def test_keep_and_then_drop() -> None:
    found = surgery.filter(STATE, keep="encoder", drop="encoder.fc")
    assert list(found) == ["encoder.conv.weight"]
    assert torch.equal(found["encoder.conv.weight"], STATE["encoder.conv.weight"])


def test_drop_alone() -> None:
    assert list(surgery.filter(STATE, drop=["encoder.fc", "decoder"])) == ["encoder.conv.weight"]


def test_a_filter_is_idempotent() -> None:
    once = surgery.filter(STATE, keep="encoder")
    assert list(surgery.filter(once, keep="encoder")) == list(once)


def test_dropping_what_was_not_kept_is_an_error() -> None:
    with pytest.raises(surgery.SurgeryError, match="unused-rule"):
        surgery.filter(STATE, keep="encoder", drop="decoder")


def test_optional_may_select_nothing() -> None:
    assert len(surgery.filter(STATE, drop="optional head")) == len(STATE)


def test_neither_is_an_error() -> None:
    with pytest.raises(surgery.SurgeryError, match="`keep`, `drop` or both"):
        surgery.run({"steps": [{"filter": {}}]}, state_dict=STATE)


def test_the_result_shares_no_storage() -> None:
    found = surgery.filter(STATE, keep="decoder")
    found["decoder.fc.weight"].add_(1)
    assert not STATE["decoder.fc.weight"].any()


def test_extract_takes_the_prefix_off() -> None:
    assert list(surgery.extract(STATE, "encoder.fc")) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("encodr", "did you mean `encoder`"),
        ("encoder.fc.bias", "is a tensor, and nothing stands below it"),
    ],
)
def test_extracting_what_is_not_there(path: str, words: str) -> None:
    with pytest.raises(surgery.SurgeryError, match=words):
        surgery.extract(STATE, path)


def test_extract_makes_a_submodule_the_model() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 2))
    part = surgery.extract(model, "0")
    x = torch.randn(5, 3)
    assert torch.equal(part(x), model[0](x))
    assert part[0].weight.data_ptr() != model[0][0].weight.data_ptr()
