"""Optimizer state follows parameters by name: afterwards `load_state_dict` and `step` work, momentum bit for bit."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adafactor, Adam, AdamW, NAdam, Optimizer, RMSprop

import surgery

Make = Callable[[nn.Module], Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9),
    "adam": lambda m: Adam(m.parameters(), lr=1e-3, amsgrad=True),
    "adamw": lambda m: AdamW(m.parameters(), lr=1e-3),
    "adafactor": lambda m: Adafactor(m.parameters(), lr=1e-3),
    "rmsprop": lambda m: RMSprop(m.parameters(), lr=1e-3, momentum=0.9, centered=True),
    "nadam": lambda m: NAdam(m.parameters(), lr=1e-3),
    "named": lambda m: SGD(m.named_parameters(), lr=0.1, momentum=0.9),
    "head apart": lambda m: SGD(
        [{"params": m[:-1].parameters()}, {"params": m[-1].parameters(), "lr": 0.5}], lr=0.1, momentum=0.9
    ),
    "head first": lambda m: SGD(
        [{"params": m[-1].parameters(), "lr": 0.5}, {"params": m[:-1].parameters()}], lr=0.1, momentum=0.9
    ),
    "no decay for vectors": lambda m: AdamW(
        [
            {"params": [p for p in m.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in m.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
    ),
    "adafactor, head first": lambda m: Adafactor(
        [{"params": m[-1].parameters(), "lr": 0.5}, {"params": m[:-1].parameters()}], lr=1e-3
    ),
    "biases, weights, norms": lambda m: SGD(
        [
            {"params": [p for name, p in m.named_parameters() if name.endswith("bias")], "lr": 0.2},
            {"params": [p for p in m.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [m[1].weight]},
        ],
        lr=0.1,
        momentum=0.9,
    ),
    "a group for each": lambda m: AdamW([{"params": [p], "lr": 0.1 / (i + 1)} for i, p in enumerate(m.parameters())]),
    "no state, head first": lambda m: SGD(
        [{"params": m[-1].parameters(), "lr": 0.5}, {"params": m[:-1].parameters()}], lr=0.1
    ),
}


def net(head: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, head))


def step(model: nn.Module, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.randn(5, 2, 4, 4)).square().mean().backward()
    optimizer.step()


def trained(make: Make, path: Path, **more: Any) -> tuple[nn.Sequential, Optimizer]:
    model = net()
    optimizer = make(model)
    step(model, optimizer)
    step(model, optimizer)
    content = {"epoch": 7, "model": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    torch.save(content, path)
    return model, optimizer


def convert(steps: list[Any], path: Path, entry: str = "model") -> tuple[dict[str, Any], surgery.Plan]:
    recipe = {
        "source": {"checkpoint": {"path": str(path), "entry": entry}},
        "steps": steps,
        "output": {"path": str(path.with_name("out.pt")), "container": "keep"},
    }
    result = surgery.run(recipe, overwrite=True)
    return torch.load(path.with_name("out.pt"), weights_only=True), result.plan


def states(model: nn.Module, optimizer: Optimizer) -> dict[str, dict[str, torch.Tensor]]:
    """The state of each parameter, by its name."""
    return {name: optimizer.state[parameter] for name, parameter in model.named_parameters()}


def same(one: Iterable[Any], other: Iterable[Any]) -> bool:
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_new_head(make: Make, tmp_path: Path) -> None:
    old_model, old = trained(make, tmp_path / "in.pt")
    saved, _ = convert([{"replace_layer": "4 -> Linear(16, 5)"}], tmp_path / "in.pt")
    model = net(head=5)
    model.load_state_dict(saved["model"])
    optimizer = make(model)
    optimizer.load_state_dict(saved["optimizer"])
    before, after = states(old_model, old), states(model, optimizer)
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        assert before[name].keys() == after[name].keys()
        assert same(before[name].values(), after[name].values())
    assert after["4.weight"] == {}
    assert after["4.bias"] == {}
    step(model, optimizer)
    assert saved["epoch"] == 7


@pytest.mark.parametrize("make", [OPTIMIZERS["sgd"], OPTIMIZERS["named"]])
def test_renamed_and_dropped(make: Make, tmp_path: Path) -> None:
    old_model, old = trained(make, tmp_path / "in.pt")
    steps = [{"filter": {"drop": "1"}}, {"rename": "0 -> stem, 4 -> head"}]
    saved, _ = convert(steps, tmp_path / "in.pt")
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(2, 4, 3))
    model.add_module("flat", nn.Flatten())
    model.add_module("head", nn.Linear(16, 3))
    model.load_state_dict(saved["model"])
    optimizer = make(model)
    optimizer.load_state_dict(saved["optimizer"])
    before, after = states(old_model, old), states(model, optimizer)
    for name, new in {"0.weight": "stem.weight", "0.bias": "stem.bias", "4.weight": "head.weight"}.items():
        assert same(before[name].values(), after[new].values())
    step(model, optimizer)


def test_names_in_the_optimizer_are_renamed(tmp_path: Path) -> None:
    """Those of `named_parameters()`, and those that FSDP saves the state under."""
    model, old = trained(OPTIMIZERS["named"], tmp_path / "in.pt")
    saved, _ = convert([{"rename": "0 -> stem"}], tmp_path / "in.pt")
    assert saved["optimizer"]["param_groups"][0]["param_names"][:2] == ["stem.weight", "stem.bias"]
    names = [name for name, _ in model.named_parameters()]
    state = {names[number]: value for number, value in old.state_dict()["state"].items()}
    by_name = {"state": state, "param_groups": [{"lr": 0.1, "params": names}]}
    torch.save({"model": model.state_dict(), "optimizer": by_name}, tmp_path / "in.pt")
    saved, _ = convert([{"rename": "0 -> stem"}], tmp_path / "in.pt")
    assert list(saved["optimizer"]["state"])[:2] == ["stem.weight", "stem.bias"]
    assert same(saved["optimizer"]["state"]["stem.weight"].values(), state["0.weight"].values())


def test_flat_optimizers_are_followed_by_name(tmp_path: Path) -> None:
    """As torchtitan saves them; and torch takes the result."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_optimizer_state_dict

    flat = StateDictOptions(flatten_optimizer_state_dict=True)
    model = net()
    groups = [{"params": model[:-1].parameters()}, {"params": model[-1].parameters(), "lr": 0.5}]
    optimizer = SGD(groups, lr=0.1, momentum=0.9)
    step(model, optimizer)
    state, saved = get_state_dict(model, optimizer, options=flat)
    torch.save({"model": state, "optimizer": saved}, tmp_path / "in.pt")
    steps = [{"rename": "0 -> stem, 4 -> head"}, {"replace_layer": "head -> Linear(16, 5)"}]
    after, plan = convert(steps, tmp_path / "in.pt")
    assert plan.remarks[-1].startswith(
        "optimizer: 4 parameters keep their state, that of 2 goes; new in it: head.weight"
    )
    kept = after["optimizer"]
    assert torch.equal(kept["state.stem.weight.momentum_buffer"], saved["state.0.weight.momentum_buffer"])
    assert (kept["param_groups.head.bias.lr"], kept["param_groups.stem.bias.lr"]) == (0.5, 0.1)
    assert not [key for key in kept if key.startswith(("state.head", "state.0", "param_groups.0", "param_groups.4"))]
    new = nn.Sequential()
    for name, layer in zip(("stem", "1", "act", "flat", "head"), net(head=5), strict=True):
        new.add_module(name, layer)
    fresh = SGD([{"params": new[:-1].parameters()}, {"params": new[-1].parameters(), "lr": 0.5}], lr=0.1, momentum=0.9)
    set_optimizer_state_dict(new, fresh, kept, options=flat)
    assert torch.equal(fresh.state[new.stem.weight]["momentum_buffer"], saved["state.0.weight.momentum_buffer"])


def test_group_options_stay_with_their_group(tmp_path: Path) -> None:
    trained(OPTIMIZERS["head apart"], tmp_path / "in.pt")
    saved, _ = convert([{"replace_layer": "4 -> Sequential(Dropout(0.2), Linear(16, 5))"}], tmp_path / "in.pt")
    first, second = saved["optimizer"]["param_groups"]
    assert (first["lr"], first["params"]) == (0.1, [0, 1, 2, 3])
    assert (second["lr"], second["params"]) == (0.5, [4, 5])
    assert sorted(saved["optimizer"]["state"]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "steps",
    [
        [{"rename": "0 -> stem, 4 -> head"}, {"replace_layer": "head -> Linear(16, 5)"}],
        [{"replace_layer": "4 -> Linear(16, 5)"}, {"rename": "0 -> stem, 4 -> head"}],
        [{"rename": "0 -> stem, 4 -> head"}, {"init": "head.weight -> zeros_"}],
    ],
)
def test_a_new_layer_joins_the_group_of_the_old_one_under_another_name(steps: list[Any], tmp_path: Path) -> None:
    trained(OPTIMIZERS["head apart"], tmp_path / "in.pt")
    saved, _ = convert(steps, tmp_path / "in.pt")
    first, second = saved["optimizer"]["param_groups"]
    assert (first["params"], second["params"]) == ([0, 1, 2, 3], [4, 5])


def test_a_same_shape_reorder_is_followed(tmp_path: Path) -> None:
    """By number alone this goes silently wrong."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    saved, _ = convert([{"filter": {"drop": "0"}}, {"rename": "1 -> 0"}], tmp_path / "in.pt")
    momentum = optimizer.state[model[1].weight]["momentum_buffer"]
    assert torch.equal(saved["optimizer"]["state"][0]["momentum_buffer"], momentum)


def test_layers_that_change_places_need_a_model_for_their_order(tmp_path: Path) -> None:
    """A state dict has them as they came, and torch hands the momentum of each to the other; the plan says so."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    path = tmp_path / "in.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    exchanged = {"rename": "0 -> 1, 1 -> 0"}
    saved, plan = convert([exchanged], path)
    assert next(iter(saved["model"])) == "1.weight"
    assert any("`1` stands before `0`" in remark for remark in plan.remarks)

    source = {"checkpoint": {"path": str(path), "entry": "model"}}
    recipe = surgery.load(
        {
            "steps": [{"load": {"from": source, "steps": [exchanged]}}],
            "output": {"path": str(tmp_path / "new.pt"), "container": "keep"},
        }
    )
    result = recipe.run(model=nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    assert not any("stands before" in remark for remark in result.plan.remarks)
    saved = torch.load(tmp_path / "new.pt", weights_only=True)
    momentum = optimizer.state[model[1].weight]["momentum_buffer"]
    assert torch.equal(saved["optimizer"]["state"][0]["momentum_buffer"], momentum)


def test_untouched_parameters_leave_the_optimizer_as_it_was(tmp_path: Path) -> None:
    _, old = trained(OPTIMIZERS["adam"], tmp_path / "in.pt")
    saved, plan = convert([{"cast": "1.running_mean -> float64"}], tmp_path / "in.pt")
    assert saved["optimizer"]["param_groups"] == old.state_dict()["param_groups"]
    assert not [remark for remark in plan.remarks if "optimizer" in remark]


def test_computed_values_begin_without_state(tmp_path: Path) -> None:
    trained(OPTIMIZERS["sgd"], tmp_path / "in.pt")
    saved, plan = convert([{"convert": "4.weight -> 4.weight via scale(0.5)"}], tmp_path / "in.pt")
    assert sorted(saved["optimizer"]["state"]) == [0, 1, 2, 3, 5]
    assert plan.remarks[-1] == "optimizer: 5 parameters keep their state, that of 1 goes; new in it: 4.weight"


def test_a_copy_has_state_of_its_own(tmp_path: Path) -> None:
    trained(OPTIMIZERS["sgd"], tmp_path / "in.pt")
    saved, _ = convert([{"copy": "4 -> 5"}], tmp_path / "in.pt")
    state = saved["optimizer"]["state"]
    assert torch.equal(state[4]["momentum_buffer"], state[6]["momentum_buffer"])
    assert state[4]["momentum_buffer"].data_ptr() != state[6]["momentum_buffer"].data_ptr()


def test_frozen_parameters_were_left_out(tmp_path: Path) -> None:
    """As `filter(lambda p: p.requires_grad, model.parameters())` does; shapes tell which they are."""

    def only_some(model: nn.Module) -> Optimizer:
        return SGD([model[0].weight, model[4].weight], lr=0.1, momentum=0.9)

    old_model, old = trained(only_some, tmp_path / "in.pt")
    saved, plan = convert([{"filter": {"drop": "0"}}], tmp_path / "in.pt")
    momentum = old.state[old_model[4].weight]["momentum_buffer"]
    assert torch.equal(saved["optimizer"]["state"][0]["momentum_buffer"], momentum)
    assert saved["optimizer"]["param_groups"][0]["params"] == [0]
    assert plan.remarks[-1] == "optimizer: 1 parameters keep their state, that of 1 goes"


def test_what_is_uncertain_is_an_error(tmp_path: Path) -> None:
    """One vector of four was trained, and there are three of them."""

    def only_one(model: nn.Module) -> Optimizer:
        return SGD([model[1].weight], lr=0.1, momentum=0.9)

    trained(only_one, tmp_path / "in.pt")
    with pytest.raises(surgery.SurgeryError, match=r"optimizer-state.*numbers 1 parameters"):
        convert([{"filter": {"drop": "1"}}], tmp_path / "in.pt")
    assert not (tmp_path / "out.pt").exists()


def test_groups_that_may_be_either_are_an_error(tmp_path: Path) -> None:
    """No reading with the groups as they stand fits, and of the others more than one."""

    def twins(model: nn.Module) -> Optimizer:
        groups = [[model[1].bias], [model[0].weight], [model[0].bias]]
        return SGD([{"params": group} for group in groups], lr=0.1, momentum=0.9)

    trained(twins, tmp_path / "in.pt")
    with pytest.raises(surgery.SurgeryError, match=r"optimizer-state.*numbers 3 parameters"):
        convert([{"filter": {"drop": "1"}}], tmp_path / "in.pt")


def test_equal_layers_in_groups_of_any_order_are_an_error(tmp_path: Path) -> None:
    """The head first, or the body first: shapes do not tell, and a guess would be silently wrong."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
    groups = [{"params": model[2].parameters(), "lr": 1.0}, {"params": model[:2].parameters()}]
    optimizer = SGD(groups, lr=0.1, momentum=0.9)
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    with pytest.raises(surgery.SurgeryError, match=r"optimizer-state.*numbers 6 parameters"):
        convert([{"replace_layer": "1 -> Linear(4, 4)"}], tmp_path / "in.pt")


def test_readings_that_come_to_the_same_are_certain(tmp_path: Path) -> None:
    """Which of the vectors it was does not matter where all of them stay."""
    _, optimizer = trained(lambda m: SGD([m[1].weight, *m[4].parameters()], lr=0.1, momentum=0.9), tmp_path / "in.pt")
    saved, plan = convert([{"replace_layer": "4 -> Linear(16, 5)"}], tmp_path / "in.pt")
    assert saved["optimizer"]["param_groups"][0]["params"] == [0, 1, 2]
    assert list(saved["optimizer"]["state"]) == [0]
    assert same(saved["optimizer"]["state"][0].values(), optimizer.state_dict()["state"][0].values())
    assert plan.remarks[-1] == ("optimizer: 1 parameters keep their state, that of 2 goes; new in it: 4.weight, 4.bias")


def test_the_last_of_many_equal_blocks(tmp_path: Path) -> None:
    """Which of the blocks were trained the shapes do not tell, and need not: all of them stay."""
    model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(40)], nn.Linear(8, 3))
    named = [p for layer in model[30:] for p in layer.parameters()]
    optimizer = AdamW([{"params": named[::2]}, {"params": named[1::2], "weight_decay": 0.0}])
    model(torch.randn(2, 8)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    saved, _ = convert([{"replace_layer": "40 -> Linear(8, 5)"}], tmp_path / "in.pt")
    assert [len(group["params"]) for group in saved["optimizer"]["param_groups"]] == [11, 11]
    assert sorted(saved["optimizer"]["state"]) == [*range(10), *range(11, 21)]
    momentum = optimizer.state[model[30].bias]["exp_avg"]
    assert torch.equal(saved["optimizer"]["state"][11]["exp_avg"], momentum)
    with pytest.raises(surgery.SurgeryError, match="optimizer-state"):
        convert([{"filter": {"drop": "39"}}], tmp_path / "in.pt")


def test_names_may_be_those_of_a_wrapped_model(tmp_path: Path) -> None:
    """``SGD(ddp.named_parameters())``, and the state dict of ``ddp.module``."""
    model = net()
    optimizer = SGD(nn.DataParallel(model).named_parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "in.pt")
    saved, _ = convert([{"filter": {"drop": "1"}}], tmp_path / "in.pt")
    assert saved["optimizer"]["param_groups"][0]["param_names"] == ["0.weight", "0.bias", "4.weight", "4.bias"]
    momentum = optimizer.state[model[4].weight]["momentum_buffer"]
    assert torch.equal(saved["optimizer"]["state"][2]["momentum_buffer"], momentum)


@pytest.mark.parametrize(("trained_name", "average"), [("model", "ema"), ("student", "teacher")])
def test_the_optimizer_is_not_that_of_an_average(trained_name: str, average: str, tmp_path: Path) -> None:
    """The average is operated on in its place: the model that is trained stays as it was, and so does its optimizer."""
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    parts = {trained_name: model.state_dict(), average: net().state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(parts, tmp_path / "in.pt")
    saved, plan = convert([{"filter": {"drop": "4"}}], tmp_path / "in.pt", average)
    assert saved["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert not [remark for remark in plan.remarks if remark.startswith("optimizer")]


def test_an_average_in_the_place_of_the_model_takes_its_optimizer(tmp_path: Path) -> None:
    trained(OPTIMIZERS["sgd"], tmp_path / "in.pt", ema=net().state_dict())
    output = {"path": str(tmp_path / "out.pt"), "container": "keep", "entry": "model"}
    source = {"checkpoint": {"path": str(tmp_path / "in.pt"), "entry": "ema"}}
    surgery.run({"source": source, "steps": [{"filter": {"drop": "4"}}], "output": output})
    saved = torch.load(tmp_path / "out.pt", weights_only=True)
    assert len(saved["model"]) == 7
    assert saved["optimizer"]["param_groups"][0]["params"] == [0, 1, 2, 3]


def test_of_which_model_an_optimizer_is_may_be_uncertain(tmp_path: Path) -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    parts = {"policy": model.state_dict(), "reference": net().state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(parts, tmp_path / "in.pt")
    with pytest.raises(surgery.SurgeryError, match=r"optimizer-state.*any of `policy`, `reference`"):
        convert([{"filter": {"drop": "4"}}], tmp_path / "in.pt", "policy")


def test_an_optimizer_that_is_left_behind_need_not_be_certain(tmp_path: Path) -> None:
    trained(lambda m: SGD([m[1].weight], lr=0.1, momentum=0.9), tmp_path / "in.pt")
    source = {"checkpoint": {"path": str(tmp_path / "in.pt"), "entry": "model"}}
    output = {"path": str(tmp_path / "out.pt"), "container": "keep", "without": "optimizer"}
    surgery.run({"source": source, "steps": [{"filter": {"drop": "1"}}], "output": output})
    assert list(torch.load(tmp_path / "out.pt", weights_only=True)) == ["epoch", "model"]


def test_a_pickled_optimizer_stays_and_the_plan_says_so(tmp_path: Path) -> None:
    model = net()
    torch.save({"model": model.state_dict(), "optimizer": SGD(model.parameters(), lr=0.1)}, tmp_path / "in.pt")
    source = {"checkpoint": {"path": str(tmp_path / "in.pt"), "entry": "model"}}
    output = {"path": str(tmp_path / "out.pt"), "container": "keep"}
    plan = surgery.load({"source": source, "steps": [{"filter": {"drop": "4"}}], "output": output}).plan()
    assert plan.remarks[0] == "optimizer: a pickled optimizer, not its state dict; it stays as it stood"


def test_the_optimizer_of_another_model_stays(tmp_path: Path) -> None:
    other = nn.Linear(2, 2)
    second = Adam(other.parameters())
    other(torch.randn(1, 2)).sum().backward()
    second.step()
    more = {"critic": other.state_dict(), "critic_optimizer": second.state_dict()}
    trained(OPTIMIZERS["named"], tmp_path / "in.pt", **more)
    saved, _ = convert([{"filter": {"drop": "4"}}], tmp_path / "in.pt")
    kept = saved["critic_optimizer"]
    assert kept["param_groups"] == second.state_dict()["param_groups"]
    assert same(kept["state"][0].values(), second.state_dict()["state"][0].values())


@pytest.mark.parametrize(
    "names",
    [
        ("critic1", "critic2", "critic1_optimizer", "critic2_optimizer"),
        ("modelA_state_dict", "modelB_state_dict", "optimizerA_state_dict", "optimizerB_state_dict"),
    ],
)
def test_twins_have_each_their_own_optimizer(names: tuple[str, ...], tmp_path: Path) -> None:
    """By shapes, either optimizer could be that of either model."""
    one, two = net(), net()
    optimizers = [SGD(model.parameters(), lr=0.1, momentum=0.9) for model in (one, two)]
    for model, optimizer in zip((one, two), optimizers, strict=True):
        step(model, optimizer)
    parts = [one.state_dict(), two.state_dict(), *(optimizer.state_dict() for optimizer in optimizers)]
    torch.save(dict(zip(names, parts, strict=True)), tmp_path / "in.pt")
    saved, _ = convert([{"filter": {"drop": "4"}}], tmp_path / "in.pt", names[1])
    assert len(saved[names[2]]["state"]) == 6
    assert len(saved[names[3]]["state"]) == 4
    assert len(saved[names[0]]) == len(one.state_dict())
    momentum = optimizers[1].state[two[0].weight]["momentum_buffer"]
    assert torch.equal(saved[names[3]]["state"][0]["momentum_buffer"], momentum)


def test_twins_whose_names_do_not_tell_are_an_error(tmp_path: Path) -> None:
    one, two = net(), net()
    optimizers = [SGD(model.parameters(), lr=0.1).state_dict() for model in (one, two)]
    torch.save({"left": one.state_dict(), "right": two.state_dict(), "optimizers": optimizers}, tmp_path / "in.pt")
    with pytest.raises(surgery.SurgeryError, match=r"optimizer-state.*`optimizers.0`"):
        convert([{"filter": {"drop": "4"}}], tmp_path / "in.pt", "left")
