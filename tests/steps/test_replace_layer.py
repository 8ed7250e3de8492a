"""``replace_layer``: forward outputs equal to PyTorch written by hand, and everything else that has to hold."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model.seeds import derived_seed


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.SiLU()
        self.again = self.act
        self.body = nn.Sequential(nn.Conv2d(8, 8, 1), nn.SiLU(), nn.Sequential(nn.Conv2d(8, 8, 1), nn.SiLU()))
        self.embed = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 8)
        self.fc.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(self.again(self.act(self.bn(self.conv1(x)))))
        return self.fc(self.embed(x.mean((2, 3))))


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Net()
        nn.init.uniform_(model.bn.running_mean)
        nn.init.uniform_(model.bn.running_var, 0.5, 1)
    return model.eval()


def drawn(key: str, make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """The layer as torch initialises it, under the seed of its key."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, key))
        return make()


def plan_of(model: nn.Module, rules: object, **options: object):
    return surgery.load({"steps": [{"replace_layer": rules}], **options}).plan(model=model)


def operated(model: nn.Module, rules: object) -> nn.Module:
    """The model after the step; the plan is checked against what was carried out."""
    plan = plan_of(model, rules)
    result = plan.execute()
    made = result.model
    assert list(made.state_dict()) == list(plan.subject.entries)
    for key, tensor in made.state_dict().items():
        spec = plan.subject.entries[key].spec
        assert (tuple(tensor.shape), str(tensor.dtype)) == (spec.shape, f"torch.{spec.dtype}")
        assert not tensor.is_meta
    return made


def same(one: nn.Module, other: nn.Module, channels: int = 3) -> bool:
    x = torch.rand(2, channels, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.equal(one(x), other(x))


def by_hand(net: Net, change: Callable[[Net], None]) -> Net:
    copied = copy.deepcopy(net)
    with torch.no_grad():
        change(copied)
    return copied.eval()


def test_a_new_head(net: Net) -> None:
    def change(model: Net) -> None:
        model.fc = drawn("fc", lambda: nn.Linear(8, 3))

    assert same(operated(net, "fc -> Linear(old.in_features, 3)"), by_hand(net, change))


def test_more_input_channels(net: Net) -> None:
    def mean(model: Net) -> None:
        old = model.conv1.weight
        model.conv1 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        model.conv1.weight.copy_(torch.cat([old, old.mean(1, keepdim=True)], 1))

    def zeros(model: Net) -> None:
        old = model.conv1.weight
        model.conv1 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        model.conv1.weight.copy_(functional.pad(old, (0, 0, 0, 0, 0, 1)))

    def fresh(model: Net) -> None:
        old = model.conv1.weight
        model.conv1 = drawn("conv1", lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False))
        model.conv1.weight[:, :3] = old

    def repeated(model: Net) -> None:
        old = model.conv1.weight
        model.conv1 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        model.conv1.weight.copy_(torch.cat([old, old[:, :1]], 1) * 0.75)

    ways = {
        "overlap(fill='mean')": mean,
        "overlap(fill='zeros')": zeros,
        "overlap": fresh,
        "adapt_channels(4)": repeated,
    }
    for way, change in ways.items():
        made = operated(net, f"conv1 -> Conv2d(4, 8, ...) with {way}")
        assert same(made, by_hand(net, change), 4), way


def test_a_corner_of_larger_and_smaller(net: Net) -> None:
    def change(model: Net) -> None:
        old = model.conv1.weight
        model.conv1 = drawn("conv1", lambda: nn.Conv2d(2, 8, 5, stride=2, padding=1, bias=False))
        model.conv1.weight[:, :2, :3, :3] = old[:, :2]

    assert same(operated(net, "conv1 -> Conv2d(2, kernel_size=5, ...) with overlap"), by_hand(net, change), 2)


def test_the_old_layer_wrapped(net: Net) -> None:
    def change(model: Net) -> None:
        model.embed = nn.Sequential(nn.Dropout(0.2), model.embed, drawn("embed", lambda: nn.Linear(8, 8)))

    made = operated(net, "embed -> Sequential(Dropout(0.2), old, Linear(8, 8))")
    assert same(made, by_hand(net, change))
    assert made.embed[1].weight is made.fc.weight, "the tie survives the move"


def test_tensors_of_the_old_layer(net: Net) -> None:
    def change(model: Net) -> None:
        norm = nn.GroupNorm(2, 8)
        norm.weight, norm.bias = model.bn.weight, model.bn.bias
        model.bn = norm

    assert same(operated(net, "bn -> GroupNorm(2, old.num_features) with old"), by_hand(net, change))


def test_types_and_shared_modules(net: Net) -> None:
    made = operated(net, "**[SiLU] -> ReLU6(inplace=True)")
    assert made.act is made.again
    assert not any(isinstance(module, nn.SiLU) for module in made.modules())

    def change(model: Net) -> None:
        model.act = model.again = nn.ReLU6()
        model.body[1] = nn.ReLU6()
        model.body[2][1] = nn.ReLU6()

    assert same(made, by_hand(net, change))
    assert "`act` is also `again`: one shared module, replaced everywhere" in plan_of(net, "act -> ReLU()").remarks
    by_its_other_name = operated(net, "again -> ReLU()")
    assert by_its_other_name.act is by_its_other_name.again


def test_a_guard_asks_of_the_weight(net: Net) -> None:
    made = operated(net, "**[Conv2d] if shape[1] == 3 -> Conv2d(4, ...), **[Conv2d] if ndim == 4 -> Identity()")
    assert made.conv1.in_channels == 4
    assert [type(layer).__name__ for layer in (made.body[0], made.body[2][0])] == ["Identity"] * 2
    state = {"a.weight": torch.zeros(5, 2), "b.weight": torch.zeros(5, 3), "b.bias": torch.zeros(5)}
    made = surgery.replace_layer(state, "* if shape[1] == 3 -> Linear(3, 7)")
    assert {key: tuple(tensor.shape) for key, tensor in made.items()} == {
        "a.weight": (5, 2),
        "b.weight": (7, 3),
        "b.bias": (7,),
    }


def test_a_guard_without_an_answer(net: Net) -> None:
    with pytest.raises(SurgeryError, match=r"guard.*for the key `act`"):
        plan_of(net, "* if shape[0] == 8 -> Identity()")


def test_an_operation_may_wait_for_a_parameter(net: Net) -> None:
    steps = [{"replace_layer": "conv1 -> Conv2d($n, ...) with adapt_channels($n)"}]
    recipe = surgery.load({"params": {"n": {"type": "integer"}}, "steps": steps})
    assert recipe.run(model=net, n=6).model.conv1.weight.shape == (8, 6, 3, 3)
    with pytest.raises(SurgeryError, match="no operation `adapt`"):
        surgery.load({"steps": [{"replace_layer": "conv1 -> Conv2d(4, ...) with adapt(4)"}]})


def test_modules_below_a_replaced_one_are_left_out(net: Net) -> None:
    made = operated(net, "body -> Sequential(Conv2d(8, 8, 1)), **[SiLU] -> ReLU()")
    assert [type(module).__name__ for module in made.body] == ["Conv2d"]
    with pytest.raises(SurgeryError, match="selects nothing"):
        operated(net, "body -> Identity(), body.* -> ReLU()")


def test_the_first_rule_wins(net: Net) -> None:
    made = operated(net, "body.1 -> ReLU(), **[SiLU] -> GELU()")
    assert isinstance(made.body[1], nn.ReLU)
    assert isinstance(made.act, nn.GELU)


def test_counts_are_of_modules(net: Net) -> None:
    operated(net, [{"rule": "**[SiLU] -> ReLU()", "count": 3}])
    with pytest.raises(SurgeryError, match="selects 3 modules, not 4"):
        operated(net, [{"rule": "**[SiLU] -> ReLU()", "count": 4}])


def test_what_a_new_layer_inherits(net: Net) -> None:
    net.half()
    net.train()
    net.fc.bias.requires_grad_(False)
    net.embed.weight.requires_grad_(False)
    net.conv1.eval()
    net.conv1.weight.requires_grad_(False)
    made = operated(net, "conv1 -> Conv2d(4, 8, ...), fc -> Linear(8, 3), act -> PReLU(8)")
    assert (made.conv1.weight.dtype, made.conv1.training, made.conv1.weight.requires_grad) == (
        torch.float16,
        False,
        False,
    )
    assert made.fc.training
    assert not made.fc.bias.requires_grad
    assert made.act.weight.dtype == torch.float16, "from around, where the old layer has no tensors"
    assert made.act.weight.requires_grad
    fresh = drawn("conv1", lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False))
    assert torch.equal(made.conv1.weight, fresh.weight.half())


def test_a_named_dtype_is_kept(net: Net) -> None:
    net.half()
    assert operated(net, "fc -> Linear(8, 3, dtype=bfloat16)").fc.weight.dtype == torch.bfloat16


def test_a_broken_tie_is_told(net: Net) -> None:
    plan = plan_of(net, "fc -> Linear(8, 3)")
    assert "`fc.weight` was tied to `embed.weight`: the tie is broken" in plan.remarks
    assert torch.equal(plan.execute().model.embed.weight, net.embed.weight)


def test_hooks_that_go_are_told(net: Net) -> None:
    net.fc.register_forward_hook(lambda *_: None)
    assert "the hooks of `fc` go with the old layer" in plan_of(net, "fc -> Linear(8, 3)").remarks
    assert not any("hooks" in remark for remark in plan_of(net, "fc -> Sequential(old)").remarks)


def test_copies_of_the_old_layer_are_refused() -> None:
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2))
    with pytest.raises(SurgeryError, match="makes copies of `old`"):
        operated(model, "0 -> TransformerEncoder(old, 2)")
    made = operated(model, "0 -> TransformerEncoder(TransformerEncoderLayer(8, 2), 2)")
    assert made(torch.rand(1, 3, 8)).shape == (1, 3, 8)


def test_the_accounts(net: Net) -> None:
    from surgery.ledger import account

    plan = plan_of(net, "fc -> Linear(8, 3), conv1 -> Conv2d(4, 8, ...) with overlap, bn -> Sequential(old)")
    outcomes = {fate.origin.key: fate.outcome for fate in account(plan).sources}
    assert outcomes["fc.bias"] == "dropped"
    assert outcomes["conv1.weight"] == "consumed"
    assert outcomes["bn.running_var"] == "renamed"
    assert outcomes["embed.weight"] == "kept"


def test_a_bare_state_dict(net: Net) -> None:
    state = net.state_dict()
    made = surgery.replace_layer(state, "fc -> Linear(8, 3), body.2 -> Linear(2, 2)")
    assert [key for key in made if key.startswith(("fc", "body.2"))] == [
        "body.2.weight",
        "body.2.bias",
        "fc.weight",
        "fc.bias",
    ]
    assert torch.equal(made["fc.weight"], drawn("fc", lambda: nn.Linear(8, 3)).weight)
    assert made["fc.weight"].shape == (3, 8)
    with pytest.raises(SurgeryError, match="bare state dict has no modules"):
        surgery.replace_layer(state, "**[Linear] -> Identity()")


def test_the_model_that_was_given_is_untouched(net: Net) -> None:
    before, text = copy.deepcopy(net.state_dict()), str(net)
    objects = {name: id(p) for name, p in net.named_parameters()}
    operated(
        net, "fc -> Linear(8, 3), conv1 -> Conv2d(4, 8, ...) with overlap, **[SiLU] -> ReLU(), embed -> Sequential(old)"
    )
    assert str(net) == text
    assert {name: id(p) for name, p in net.named_parameters()} == objects
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


MISTAKES = [
    "conv1 -> Conv2d(4, 8, ...) with old",
    "conv1 -> Linear(4, 8) with overlap",
    "conv1 -> Conv2d(4, 8, ...) with overlap(fill='median')",
    "conv1 -> Conv2d(4, 8, ...) with adapt_chanels(4)",
    "conv1 -> Conv2d(4, 8, ...) with adapt_channels(5)",
    "conv1 -> Conv2d(4, 8, ...) with concat",
    "bn -> GroupNorm(2, 8) with old(3)",
    "act -> PReLU() with overlap",
    "**[SiLU] -> PReLU(num_parameter=3)",
    "**[SiLuu] -> PReLU()",
    "fc.weight -> Linear(3, 3)",
    "foo -> Linear(3, 3)",
    "fc -> Linear(3, 3), conv1 -> Conv2d(4), act -> ReLU6(3)",
    "act -> ModuleList(old)",
]


def test_mistakes(net: Net, golden: Callable[[str, str], None]) -> None:
    shown = []
    for rules in MISTAKES:
        with pytest.raises(SurgeryError) as caught:
            plan_of(net, rules)
        shown.append(str(caught.value))
    golden("steps/replace_layer_mistakes", "\n\n".join(shown))


def test_the_example_with_four_channels() -> None:
    """`examples/resnet101_rgbd.yaml`, on a smaller model."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    recipe = surgery.load(
        {
            "steps": [
                {"replace_layer": "fc → Linear(512, 10), conv1 → Conv2d(4, 64, ...) with overlap(fill='mean')"},
                {"freeze": "** except fc | conv1"},
                {"device_map": "** -> cuda:7 or cpu"},
            ]
        }
    )
    made = recipe.run(model=model).model
    theirs = copy.deepcopy(model)
    with torch.no_grad():
        theirs.fc = drawn("fc", lambda: nn.Linear(512, 10))
        old = theirs.conv1.weight
        theirs.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
        theirs.conv1.weight.copy_(torch.cat([old, old.mean(1, keepdim=True)], 1))
        x = torch.rand(1, 4, 64, 64)
        assert torch.equal(made(x), theirs(x))
    assert {name for name, p in made.named_parameters() if p.requires_grad} == {"conv1.weight", "fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    "rules", ["body -> Identity(), body.0 -> Identity()", "body.0 -> Identity(), body -> Identity()"]
)
def test_a_rule_below_what_the_step_replaces_is_told_why(net: Net, rules: str) -> None:
    with pytest.raises(SurgeryError, match=r"selects nothing: `body.0` is below what the same step replaces"):
        surgery.replace_layer(net, rules)


class Holder(nn.Module):
    """A model that holds its layers in plain attributes, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.blocks: list[object] = [self.a, self.b]
        self.blocks.append(self.blocks)
        self.pair = (1, self.a)
        self.named = {"a": [self.a]}
        self.__dict__["alias"] = self.a
        self.a.__dict__["parent"] = self.a


def test_plain_attributes_follow() -> None:
    given = Holder()
    plan = surgery.load([{"replace_layer": "a -> Sequential(old, ReLU())"}]).plan(model=given)
    held = "holds a layer that is replaced, and holds the new one now"
    assert plan.remarks == tuple(f"`{name}` {held}" for name in ("blocks", "pair", "named", "alias"))
    model = plan.execute().model
    assert model.a is model.blocks[0] is model.pair[1] is model.named["a"][0] is model.alias
    assert model.blocks[1] is model.b
    assert model.blocks[2] is model.blocks
    assert model.a[0].parent is model.a[0]
    assert given.blocks[0] is given.a


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Sequential(self.a, nn.ReLU())


def test_a_shared_layer_inside_one_that_is_wrapped() -> None:
    model = surgery.replace_layer(Nested(), "a -> Linear(4, 9), b -> Sequential(old, Dropout(0.1))")
    assert model.a is model.b[0][0]
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == {
        "a.weight": (9, 4), "a.bias": (9,), "b.0.0.weight": (9, 4), "b.0.0.bias": (9,)
    }  # fmt: skip


def test_a_key_that_was_untied_stays_apart_inside_what_wraps_its_layer() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    steps = [{"untie": "1.weight"}, {"init": "1.weight -> ones_"}, {"replace_layer": "1 -> Sequential(old, ReLU())"}]
    model = surgery.load(steps).run(model=net).model
    assert torch.equal(model[0].weight, net[0].weight)
    assert torch.equal(model[1][0].weight, torch.ones(4, 4))


class Same(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


class Plain(nn.Conv2d):
    pass


def test_a_forward_that_goes_is_told() -> None:
    net = nn.Sequential(Same(3, 4, 2), Plain(4, 4, 2), Same(4, 4, 2))
    recipe = surgery.load([{"replace_layer": "**[Conv2d] -> Conv2d(...) with old"}])
    assert recipe.plan(model=net).remarks == (
        "`0`, `2`: a Same does more in its `forward` than a Conv2d, and that goes with it",
    )
    assert surgery.load([{"replace_layer": "0 -> Sequential(old, ReLU())"}]).plan(model=net).remarks == ()
