"""Pattern 10: layers replaced, wrapped, converted, tied, frozen; beside each the PyTorch that one writes by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

import surgery
from surgery.model.seeds import derived_seed

By = Callable[[nn.Module], None]


@pytest.fixture
def net(shaken) -> nn.Module:
    return shaken(models.resnet18(num_classes=5))


def like_by_hand(model: nn.Module, steps: list[dict[str, object]], by_hand: By, channels: int = 3) -> nn.Module:
    """The result of the steps is the model changed by hand: modules, bits, and outputs."""
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    ours = surgery.load({"steps": steps}).run(model=model).model
    expected = deepcopy(model)
    with torch.no_grad():
        by_hand(expected)
    assert str(ours) == str(expected)
    found = ours.state_dict()
    assert list(found) == list(expected.state_dict())
    assert not [key for key, tensor in expected.state_dict().items() if not torch.equal(tensor, found[key])]
    assert [m.training for m in ours.modules()] == [m.training for m in expected.modules()]
    trained = {name: p.requires_grad for name, p in expected.named_parameters()}
    assert {name: p.requires_grad for name, p in ours.named_parameters()} == trained
    x = torch.rand(2, channels, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), expected(x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items()), "the model was changed"
    return ours


def drawn(key: str, make: Callable[[], nn.Module]) -> nn.Module:
    """A layer as torch initialises it under the seed of its key, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(0, key))
        return make().eval()


def each(model: nn.Module, kind: type[nn.Module], make: Callable[[str, nn.Module], nn.Module]) -> None:
    """Replace every module of a class, as one does it by hand."""
    for path, old in list(model.named_modules()):
        if type(old) is kind:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, make(path, old))


def with_state(new: nn.Module, old: nn.Module) -> nn.Module:
    state = {key: tensor for key, tensor in old.state_dict().items() if key in new.state_dict()}
    new.load_state_dict(state)
    return new.eval()


class TestReplaced:
    def test_by_name(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            model.fc = drawn("fc", lambda: nn.Sequential(nn.Dropout(0.2), nn.Linear(512, 7)))

        like_by_hand(net, [{"replace_layer": "fc -> Sequential(Dropout(0.2), Linear(old.in_features, 7))"}], by_hand)

    def test_by_pattern(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            for layer in (model.layer3, model.layer4):
                for block in layer:
                    block.relu = nn.GELU().eval()

        like_by_hand(net, [{"replace_layer": "layer(3|4).*.relu -> GELU()"}], by_hand)

    def test_by_type(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            each(model, nn.ReLU, lambda path, old: nn.SiLU(inplace=True).eval())

        like_by_hand(net, [{"replace_layer": "**[ReLU] -> SiLU(inplace=True)"}], by_hand)

    def test_wrapped(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            model.fc = nn.Sequential(nn.Dropout(0.5), model.fc).eval()

        like_by_hand(net, [{"replace_layer": "fc -> Sequential(Dropout(0.5), old)"}], by_hand)

    def test_the_pooling_head(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            model.avgpool = nn.AdaptiveMaxPool2d((1, 1)).eval()

        like_by_hand(net, [{"replace_layer": "avgpool -> AdaptiveMaxPool2d((1, 1))"}], by_hand)

    def test_an_adapter_that_begins_as_no_change(self, net: nn.Module) -> None:
        steps = [
            {"replace_layer": "layer4.1 -> Sequential(old, Conv2d(512, 512, 1))"},
            {"init": "layer4.1.1.weight -> dirac_, layer4.1.1.bias -> zeros_"},
            {"freeze": "** except layer4.1.1 | fc"},
        ]

        def by_hand(model: nn.Module) -> None:
            model.layer4[1] = nn.Sequential(model.layer4[1], nn.Conv2d(512, 512, 1)).eval()
            nn.init.dirac_(model.layer4[1][1].weight)
            nn.init.zeros_(model.layer4[1][1].bias)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.startswith(("layer4.1.1.", "fc.")))

        ours = like_by_hand(net, steps, by_hand)
        x = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(ours(x), net(x))

    def test_the_rules_of_the_how_to_page(self, net: nn.Module) -> None:
        page = (Path(__file__).parents[2] / "docs").joinpath("how-to", "layer-surgery.md").read_text(encoding="utf-8")
        rules = [rule.replace("\\|", "|") for rule in re.findall(r"^\| .* \| `(.+ -> .+)` \|$", page, re.MULTILINE)]
        assert len(rules) > 12
        for rule in rules:
            model = surgery.replace_layer(net, rule)
            assert model(torch.rand(1, model.conv1.in_channels, 64, 64)).ndim == 2


class TestNorms:
    def test_batch_norm_to_group_norm(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            each(model, nn.BatchNorm2d, lambda path, old: with_state(nn.GroupNorm(8, old.num_features), old))

        like_by_hand(net, [{"replace_layer": "**[BatchNorm2d] -> GroupNorm(8, old.num_features) with old"}], by_hand)

    def test_batch_norm_to_sync_batch_norm(self, net: nn.Module) -> None:
        """As `convert_sync_batchnorm` does it. Its forward wants a GPU in training mode only."""
        ours = surgery.replace_layer(net, "**[BatchNorm2d] -> SyncBatchNorm(...) with old")
        expected = nn.SyncBatchNorm.convert_sync_batchnorm(deepcopy(net))
        assert str(ours) == str(expected)
        assert all(torch.equal(tensor, ours.state_dict()[key]) for key, tensor in expected.state_dict().items())
        x = torch.rand(2, 3, 64, 64)
        assert torch.equal(ours(x), expected(x))

    def test_settings_of_all(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eps, module.momentum = 1e-3, 0.01

        like_by_hand(net, [{"set": "**[BatchNorm2d] -> eps=1e-3, momentum=0.01"}], by_hand)


class TestValues:
    @pytest.mark.parametrize("channels", [1, 2, 4, 6])
    def test_input_channels_as_timm_has_them(self, net: nn.Module, channels: int) -> None:
        timm = pytest.importorskip("timm.models")

        def by_hand(model: nn.Module) -> None:
            weight = timm.adapt_input_conv(channels, model.conv1.weight)
            model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
            model.conv1.weight.copy_(weight)
            model.conv1.eval()

        rule = f"conv1 -> Conv2d({channels}, ...) with adapt_channels({channels})"
        like_by_hand(net, [{"replace_layer": rule}], by_hand, channels)

    @pytest.mark.parametrize("fill", ["mean", "zeros"])
    def test_a_fourth_channel(self, net: nn.Module, fill: str) -> None:
        def by_hand(model: nn.Module) -> None:
            old = model.conv1.weight
            model.conv1 = nn.Conv2d(4, 64, 7, stride=2, padding=3, bias=False).eval()
            model.conv1.weight[:, :3] = old
            model.conv1.weight[:, 3:] = old.mean(1, keepdim=True) if fill == "mean" else 0

        like_by_hand(net, [{"replace_layer": f"conv1 -> Conv2d(4, ...) with overlap(fill='{fill}')"}], by_hand, 4)

    def test_more_classes_keep_the_old_ones(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            old, model.fc = model.fc, drawn("fc", lambda: nn.Linear(512, 8))
            model.fc.weight[:5], model.fc.bias[:5] = old.weight, old.bias

        like_by_hand(net, [{"replace_layer": "fc -> Linear(512, 8) with overlap"}], by_hand)

    def test_initialised_anew(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            model.fc = drawn("fc", lambda: nn.Linear(512, 5))
            torch.manual_seed(derived_seed(0, "layer4.1.conv2.weight"))
            nn.init.kaiming_normal_(model.layer4[1].conv2.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(model.layer4[1].bn2.weight)

        steps = [
            {"replace_layer": "fc -> Linear(...)"},
            {
                "init": "layer4.1.conv2.weight -> kaiming_normal_(mode='fan_out', nonlinearity='relu')\n"
                "layer4.1.bn2.weight -> zeros_"
            },
        ]
        like_by_hand(net, steps, by_hand)

    def test_a_positional_grid_as_timm_resamples_it(self, shaken) -> None:
        """ViT for 224 pixels into ViT for 384."""
        timm = pytest.importorskip("timm.layers")
        small = shaken(models.VisionTransformer(224, 32, 2, 2, 32, 64, num_classes=5))
        torch.save(small.state_dict(), "small.pth")
        large = models.VisionTransformer(384, 32, 2, 2, 32, 64, num_classes=5).eval()
        rule = "encoder.pos_embedding -> encoder.pos_embedding via resample_grid(12, 12)"
        recipe = {"steps": [{"load": {"from": {"checkpoint": "small.pth"}, "steps": [{"convert": rule}]}}]}
        ours = surgery.load(recipe).run(model=large).model
        state = small.state_dict()
        grid = timm.resample_abs_pos_embed(state["encoder.pos_embedding"], [12, 12], num_prefix_tokens=1)
        large.load_state_dict({**state, "encoder.pos_embedding": grid})
        same = {key: torch.equal(tensor, ours.state_dict()[key]) for key, tensor in large.state_dict().items()}
        assert all(same.values()), same
        x = torch.rand(1, 3, 384, 384)
        with torch.no_grad():
            assert torch.equal(ours(x), large(x))


class TestTraining:
    def test_frozen_and_unfrozen(self, net: nn.Module) -> None:
        def by_hand(model: nn.Module) -> None:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.startswith(("layer4", "fc")))

        like_by_hand(net, [{"freeze": "**"}, {"unfreeze": "layer4 | fc"}], by_hand)

    def test_a_tie_and_its_end(self) -> None:
        class Language(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)

        net = Language()
        tied = surgery.tie(net, "head.weight -> embed.weight")
        assert tied.head.weight is tied.embed.weight
        assert torch.equal(tied.head.weight, net.embed.weight)
        apart = surgery.untie(tied, "head.weight")
        assert apart.head.weight is not apart.embed.weight
        apart.head(apart.embed(torch.tensor([1]))).sum().backward()
        assert not torch.equal(apart.head.weight.grad, apart.embed.weight.grad)

    def test_what_a_replacement_inherits(self, net: nn.Module) -> None:
        net.half()
        net.fc.requires_grad_(False)
        made = surgery.replace_layer(net, "fc -> Sequential(Dropout(0.1), Linear(old.in_features, 3))")
        assert made.fc[1].weight.dtype == torch.float16
        assert not made.fc[0].training
        assert not any(parameter.requires_grad for parameter in made.fc.parameters())

    def test_seeds_are_by_key(self, net: nn.Module) -> None:
        state = torch.get_rng_state()
        one = surgery.replace_layer(net, "fc -> Linear(512, 3), layer4.1.conv2 -> Conv2d(...)", seed=5)
        two = surgery.replace_layer(
            surgery.replace_layer(net, "layer4.1.conv2 -> Conv2d(...)", seed=5), "fc -> Linear(512, 3)", seed=5
        )
        other = surgery.replace_layer(net, "fc -> Linear(512, 3)", seed=6)
        assert torch.equal(one.fc.weight, two.fc.weight)
        assert torch.equal(one.layer4[1].conv2.weight, two.layer4[1].conv2.weight)
        assert not torch.equal(one.fc.weight, other.fc.weight)
        assert torch.equal(torch.get_rng_state(), state), "the global generator was drawn from"
