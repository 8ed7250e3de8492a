"""``set``, ``mode``, ``freeze``, ``unfreeze``, ``init``, ``tie``, ``device_map`` on a model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model.given import subject_of_module
from surgery.model.seeds import derived_seed
from surgery.planning.context import Context
from surgery.steps.device_map import DeviceMap


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(p=0)
        self.inner = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())
        self.embed = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 8)
        self.fc.weight = self.embed.weight


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net()


def trained(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}


class TestSet:
    def test_attributes(self, net: Net) -> None:
        made = surgery.set(net, "**[BatchNorm2d] -> eps=1e-3, momentum=None\ndrop -> p=0.5\nconv -> padding=[1, 1]")
        assert [(m.eps, m.momentum) for m in (made.bn, made.inner[0])] == [(1e-3, None)] * 2
        assert made.drop.p == 0.5
        assert made.conv.padding == (1, 1)
        assert net.bn.eps == 1e-5
        assert surgery.set(net, "bn -> eps=0").bn.eps == 0

    def test_the_model_itself(self) -> None:
        model = torchvision.models.GoogLeNet(init_weights=False, transform_input=True, aux_logits=False)
        assert surgery.set(model, "**[GoogLeNet] -> transform_input=False").transform_input is False
        assert model.transform_input is True
        with pytest.raises(SurgeryError, match="the model: a GoogLeNet has no attribute `transform`"):
            surgery.set(model, "**[GoogLeNet] -> transform=False")

    def test_a_class_of_torchvision_that_is_not_there(self, net: Net) -> None:
        rule = "**[GoogLeNet|Inception3] -> transform_input=False"
        assert isinstance(surgery.set(net, f"optional {rule}"), Net)
        with pytest.raises(SurgeryError, match="this rule selects nothing"):
            surgery.set(net, rule)

    def test_mistakes(self, net: Net, golden: Callable[[str, str], None]) -> None:
        rules = [
            "bn -> epz=1e-3",
            "bn -> weight=1",
            "bn -> training=False",
            "bn -> forward=1",
            "inner -> append=1",
            "inner -> _version=1",
            "bn -> eps='a'",
            "bn -> affine=1",
            "bn -> num_features=8.5",
            "conv -> padding=1",
            "bn -> eps=eps",
            "bm -> eps=1e-3",
            "embed.weight -> eps=1e-3",
        ]
        golden("steps/set_mistakes", _mistakes(surgery.set, net, rules))

    def test_a_state_dict_has_no_attributes(self, net: Net) -> None:
        with pytest.raises(SurgeryError, match="works on a model"):
            surgery.set(net.state_dict(), "bn -> eps=1e-3")


class TestMode:
    def test_modes(self, net: Net) -> None:
        made = surgery.mode(net, "eval")
        assert not any(module.training for module in made.modules())
        assert all(module.training for module in net.modules())
        assert surgery.mode(made, "train").bn.training


class TestFreeze:
    def test_parameters_are_frozen_and_unfrozen(self, net: Net) -> None:
        frozen = surgery.freeze(net, "** except fc")
        assert trained(frozen) == {"fc.bias"}
        assert trained(surgery.unfreeze(frozen, "conv | bn.weight")) == {
            "conv.weight",
            "conv.bias",
            "bn.weight",
            "fc.bias",
        }
        assert trained(net) == {name for name, _ in net.named_parameters(remove_duplicate=False)}

    def test_a_tied_parameter_goes_along(self, net: Net) -> None:
        plan = surgery.load({"steps": [{"freeze": "fc"}]}).plan(model=net)
        assert "`embed.weight` is tied to what `freeze` selects, and goes along" in plan.remarks
        assert not plan.execute().model.embed.weight.requires_grad

    def test_buffers_are_no_parameters(self, net: Net) -> None:
        with pytest.raises(SurgeryError, match="selects buffers only"):
            surgery.freeze(net, "bn.running_mean | bn.running_var")


class TestInit:
    def test_values_are_torchs(self, net: Net) -> None:
        made = surgery.init(net, "conv.weight -> kaiming_normal_(mode='fan_out'), bn.bias -> constant_(3)", seed=4)
        expected = torch.empty(8, 3, 3, 3)
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(4, "conv.weight"))
            nn.init.kaiming_normal_(expected, mode="fan_out")
        assert torch.equal(made.conv.weight, expected)
        assert torch.equal(made.bn.bias, torch.full((8,), 3.0))
        assert torch.equal(made.conv.bias, net.conv.bias)

    def test_tied_tensors_are_drawn_once(self, net: Net) -> None:
        made = surgery.init(net, "fc.weight -> trunc_normal_(std=0.02)")
        assert made.fc.weight is made.embed.weight
        assert not torch.equal(made.fc.weight, net.fc.weight)

    def test_other_dtypes(self, net: Net) -> None:
        half = surgery.init(net.half(), "conv.weight -> orthogonal_")
        single = surgery.init(net.float(), "conv.weight -> orthogonal_")
        assert torch.equal(half.conv.weight, single.conv.weight.half())

    def test_values_that_the_dtype_does_not_hold(self, net: Net) -> None:
        surgery.init(net, "bn.bias -> constant_(1e6)")
        with pytest.raises(SurgeryError, match=r"1000000\.0 does not fit into float16") as caught:
            surgery.load({"steps": [{"init": "bn.bias -> constant_(1e6)"}]}).plan(model=net.half())
        assert caught.value.diagnostics[0].code == "layer-arguments"

    def test_mistakes(self, net: Net, golden: Callable[[str, str], None]) -> None:
        rules = [
            "fc.weight -> trunc_normal(std=0.02)",
            "fc.weight -> calculate_gain",
            "fc.weight -> normal_(st=1)",
            "fc.weight -> normal_(std=-1)",
            "fc.weight -> kaiming_normal_(mode='fan')",
            "fc.weight -> normal_(std=a)",
            "fc.bias -> xavier_uniform_",
            "bn.num_batches_tracked -> zeros_",
            "fc.wight -> zeros_",
        ]
        golden("steps/init_mistakes", _mistakes(surgery.init, net, rules))


class TestUntie:
    def test_two_parameters_of_equal_values(self, net: Net) -> None:
        made = surgery.untie(net, "fc.weight")
        assert made.fc.weight is not made.embed.weight
        assert torch.equal(made.fc.weight, made.embed.weight)
        assert made.fc.weight.data_ptr() != made.embed.weight.data_ptr()
        assert net.fc.weight is net.embed.weight
        again = surgery.tie(made, "fc.weight -> embed.weight")
        assert again.fc.weight is again.embed.weight

    def test_where_all_are_selected_one_stays(self, net: Net) -> None:
        made = surgery.untie(net, "**")
        assert made.fc.weight is not made.embed.weight
        assert surgery.load({"steps": [{"untie": "**"}]}).plan(model=net).subject.ties() == []

    def test_the_others_stay_tied(self) -> None:
        one = torch.rand(2)
        made = surgery.untie({"a": one, "b": one, "c": one}, "b")
        assert made["a"] is made["c"]
        assert made["b"] is not made["a"]
        assert torch.equal(made["b"], one)

    def test_mistakes(self, net: Net) -> None:
        with pytest.raises(SurgeryError, match=r"unused-rule.*nothing that this selects is tied"):
            surgery.untie(net, "fc.bias")
        shared = nn.Sequential(nn.Linear(2, 2))
        shared.append(shared[0])
        with pytest.raises(SurgeryError, match=r"`1.weight` and `0.weight` are one tensor of one module"):
            surgery.untie(shared, "1.weight")


class TestTie:
    def test_one_parameter(self, net: Net) -> None:
        made = surgery.tie(net, "fc.bias -> embed.bias")
        assert made.fc.bias is made.embed.bias
        assert torch.equal(made.fc.bias, net.embed.bias)
        assert net.fc.bias is not net.embed.bias

    def test_of_a_state_dict(self) -> None:
        state = {f"layers.{i}.{n}": torch.rand(2) for i in range(2) for n in ("a", "b")}
        made = surgery.tie(state, "layers.{i}.b -> layers.{i}.a")
        assert made["layers.1.b"] is made["layers.1.a"]
        assert made["layers.0.b"] is not made["layers.1.b"]

    def test_what_is_tied_already_is_told(self, net: Net) -> None:
        plan = surgery.load({"steps": [{"tie": "fc.weight -> embed.weight"}]}).plan(model=net)
        assert plan.remarks == ("`fc.weight` is tied to `embed.weight` already",)

    def test_mistakes(self, net: Net, golden: Callable[[str, str], None]) -> None:
        rules = [
            "fc.bias -> embed.bais",
            "fc.bias -> fc.weight",
            "fc.bias -> fc.bias",
            "fc.bias -> embed.bias, embed.bias -> bn.bias",
            "bn.running_mean -> bn.bias",
        ]
        golden("steps/tie_mistakes", _mistakes(surgery.tie, net, rules))


class TestDeviceMap:
    def test_the_first_device_that_is_there(self, net: Net) -> None:
        made = surgery.device_map(net, "conv -> cuda:7 or meta, ** -> cuda:3 or cpu")
        assert made.conv.weight.is_meta
        assert not made.bn.weight.is_meta

    def test_devices_of_the_context(self, operate: Callable, context: Context, stored: Callable) -> None:
        context.devices = ("cpu", "cuda:0", "cuda:1")
        subject = operate(
            '- device_map: "a -> cuda:1, b -> cuda, ** -> cpu"', stored({"a": (2,), "b": (2,), "c": (2,)})
        )
        assert [entry.device for entry in subject.entries.values()] == ["cuda:1", "cuda:0", None]
        assert not context.diagnostics

    def test_mistakes(self, net: Net, golden: Callable[[str, str], None]) -> None:
        rules = [
            "** -> cuda:9",
            "** -> gpu",
            "** -> cdua:0 or cpu",
            "conv -> cpu",
            "conv.weight -> meta, ** -> cpu",
            "fc -> meta, ** -> cpu",
            "cpu",
            "** -> disk",
            "con -> cpu, ** -> cpu",
        ]
        golden("steps/device_map_mistakes", _mistakes(surgery.device_map, net, rules))

    def test_a_policy_takes_what_is_there(self, net: Net) -> None:
        assert {str(p.device) for p in surgery.device_map(net, "auto").parameters()} == {"cpu"}

    def test_a_policy_fills_devices(self, operate: Callable, context: Context) -> None:
        """accelerate's arithmetic needs no GPU to be there."""
        context.devices = ("cpu", "cuda:0", "cuda:1")
        subject = subject_of_module(nn.Sequential(*(nn.Linear(8, 8) for _ in range(6))), "model", context)
        yaml = "- device_map: {policy: sequential, max_memory: {'cuda:0': 1000, 'cuda:1': 1KB, cpu: 1GB}}"
        made = operate(yaml, subject)
        assert not context.diagnostics
        devices = [made.entries[f"{i}.weight"].device for i in range(6)]
        assert devices == ["cuda:0", "cuda:0", "cuda:1", "cuda:1", "cuda:1", None]
        assert [made.entries[f"{i}.bias"].device for i in range(6)] == devices

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"policy": "auto", "max_memory": {"cpu": 100}}, "do not fit"),
            ({"policy": "auto", "max_memory": {"cpu": "lots"}}, "is no size"),
            ({"policy": "auto", "max_memory": {"gpu": 100}}, "`gpu` is no device"),
            ({"policy": "auto", "no_split": ["Conv2"]}, "did you mean `Conv2d`"),
            ({"rules": "** -> cpu", "offload_dir": "x"}, "`{map: …, offload_dir: …}`"),
        ],
    )
    def test_mistakes_with_policies(self, net: Net, options: dict, words: str) -> None:
        with pytest.raises(SurgeryError, match=words):
            surgery.load({"steps": [{"device_map": options}]}).plan(model=net)

    def test_names_are_checked_without_torch(self) -> None:
        from surgery.lang import parse_rules
        from surgery.text import Text

        step = DeviceMap(parse_rules(Text.plain("** -> gpu or cpu"), "device"))
        assert [d.code for d in step.check()] == ["device"]


def _mistakes(step: Callable[..., object], net: nn.Module, rules: list[str]) -> str:
    shown = []
    for rule in rules:
        with pytest.raises(SurgeryError) as caught:
            step(net, rule)
        shown.append(str(caught.value))
    return "\n\n".join(shown)


def test_an_initialiser_that_does_not_fit_a_large_tensor_is_refused_in_the_plan(net: Net) -> None:
    net.embed = nn.Linear(1000, 1000)
    with pytest.raises(SurgeryError, match="layer-arguments"):
        surgery.load({"steps": [{"init": "embed.weight -> dirac_()"}]}).plan(model=net)
    net.conv = nn.Conv2d(300, 300, 3)
    made = surgery.init(net, "conv.weight -> dirac_(groups=3)")
    assert torch.equal(made.conv.weight, nn.init.dirac_(torch.empty(300, 300, 3, 3), groups=3))


def test_an_extracted_module_that_is_not_there_is_told_at_the_step(net: Net) -> None:
    with pytest.raises(SurgeryError, match="unused-rule") as caught:
        surgery.load({"steps": [{"extract": "iner"}]}).plan(model=net)
    assert caught.value.diagnostics[0].span is not None


def test_what_has_no_place_of_its_own_is_told_at_the_step(net: Net) -> None:
    recipe = surgery.load({"steps": [{"mode": "eval"}, {"device_map": {"policy": "auto", "max_memory": {"cpu": "x"}}}]})
    with pytest.raises(SurgeryError, match="`x` is no size") as caught:
        recipe.plan(model=net)
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert span.excerpt.lstrip(" -").startswith("device_map")


def test_what_a_layer_makes_of_an_argument_follows_when_it_is_set() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.MultiheadAttention(8, 2))
    made = surgery.set(net, "0 -> padding=[2, 2]\n1 -> num_heads=4")
    same = nn.Conv2d(1, 1, 3, padding=2, padding_mode="reflect")
    same.load_state_dict(net[0].state_dict())
    x = torch.rand(1, 1, 6, 6)
    assert torch.equal(made[0](x), same(x))
    assert (made[1].num_heads, made[1].head_dim) == (4, 2)
    assert (net[0].padding, net[1].head_dim) == ((1, 1), 4)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("0 -> in_channels=2", "`in_channels` of a Conv2d decides the shapes of its tensors"),
        ("0 -> padding_mode='foo'", "a Conv2d takes no such `padding_mode`"),
        ("1 -> p=7.0", "a Dropout takes no such `p`"),
    ],
)
def test_what_a_layer_would_not_be_made_with_cannot_be_set(rule: str, words: str) -> None:
    with pytest.raises(surgery.SurgeryError, match=words):
        surgery.set(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Dropout(0.1)), rule)


def test_a_new_layer_that_stays_frozen_is_told() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    head = [{"freeze": "**"}, {"replace_layer": "1 -> Linear(2, 3)"}]
    told = "new, and frozen as what was there before: `1.weight`, `1.bias`; `unfreeze` trains it"
    assert surgery.load(head).plan(model=net).remarks == (told,)
    for steps in ([*head, {"unfreeze": "1"}], head[::-1]):
        assert surgery.load(steps).plan(model=net).remarks == ()
