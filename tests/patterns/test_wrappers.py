"""Pattern 7: what wrappers put before the keys comes off, and what is left loads into the plain model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import distributed, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import surgery
from surgery.cli.main import command


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x))


@pytest.fixture
def process_group(directory: Path) -> Iterator[None]:
    """One process that is a group of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distributed.init_process_group(
            "gloo", store=distributed.FileStore(str(directory / "store"), 1), rank=0, world_size=1
        )
        yield
        distributed.destroy_process_group()


def unwrapped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Through a file and the command line."""
    torch.save({"epoch": 1, "state_dict": state}, "wrapped.pth")
    done = CliRunner().invoke(command, ["apply", "wrapped.pth", "plain.pth", "-e", "unwrap: true", "--force"])
    assert done.exit_code == 0, done.output
    return torch.load("plain.pth", weights_only=True)


def inside(net: Net, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    net.encoder = wrap(net.encoder)
    return net


WRAPPED: dict[str, Callable[[Net], nn.Module]] = {
    "DataParallel": nn.DataParallel,
    "compiled": torch.compile,
    "compiled DataParallel": lambda net: torch.compile(nn.DataParallel(net)),
    "DataParallel of a compiled one": lambda net: nn.DataParallel(torch.compile(net)),
    "averaged": AveragedModel,
    "EMA of a compiled DataParallel": lambda net: AveragedModel(
        torch.compile(nn.DataParallel(net)), multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True
    ),
    "a compiled encoder": lambda net: inside(net, torch.compile),
    "a compiled encoder in DataParallel": lambda net: nn.DataParallel(inside(net, torch.compile)),
    "a DataParallel encoder": lambda net: inside(net, nn.DataParallel),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_it_loads_into_the_plain_model(wrap, shaken, same) -> None:
    net = shaken(Net())
    state = wrap(deepcopy(net)).state_dict()
    found = unwrapped(state)
    same(found, net.state_dict())
    Net().load_state_dict(found)


def test_distributed_data_parallel(process_group, shaken, same) -> None:
    net = shaken(Net())
    same(unwrapped(DistributedDataParallel(deepcopy(net)).state_dict()), net.state_dict())
    compiled = torch.compile(DistributedDataParallel(deepcopy(net)))
    same(unwrapped(compiled.state_dict()), net.state_dict())


def test_fully_sharded(process_group, shaken, same) -> None:
    """Its state dict is plain; what people collect from `named_parameters` is not."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    net = shaken(Net())
    names = [name for name, _ in net.named_parameters()]
    shard = partial(FullyShardedDataParallel, use_orig_params=True, device_id=torch.device("cpu"))
    sharded = shard(inside(deepcopy(net), shard))
    same(surgery.unwrap(sharded.state_dict(), "optional"), net.state_dict())
    collected = {name: parameter.detach() for name, parameter in sharded.named_parameters()}
    assert "_fsdp_wrapped_module.head.weight" in collected
    assert list(unwrapped(collected)) == names


def test_activation_checkpointing(shaken, same) -> None:
    net = shaken(Net())
    collected = dict(inside(deepcopy(net), checkpoint_wrapper).named_parameters())
    assert "encoder._checkpoint_wrapped_module.0.weight" in collected
    same(unwrapped({k: v.detach() for k, v in collected.items()}), {k: v.detach() for k, v in net.named_parameters()})


def test_timm_s_averages(shaken, same) -> None:
    utils = pytest.importorskip("timm.utils")
    net = shaken(Net())
    for average in (utils.ModelEmaV2(net), utils.ModelEmaV3(nn.DataParallel(net))):
        same(unwrapped(average.state_dict()), net.state_dict())
    # as its CheckpointSaver writes it: the average beside the model
    torch.save(
        {"arch": "net", "state_dict": Net().state_dict(), "state_dict_ema": utils.get_state_dict(average)}, "ema.pth"
    )
    recipe = {"source": {"checkpoint": {"path": "ema.pth", "entry": "state_dict_ema or state_dict"}}, "steps": []}
    same(surgery.run({**recipe, "steps": [{"unwrap": "optional"}]}).state_dict, net.state_dict())


def test_a_live_wrapped_model_gives_the_plain_one(shaken, same) -> None:
    net = shaken(Net())
    for wrapped in (nn.DataParallel(net), AveragedModel(net)):
        plain = surgery.extract(wrapped, "module")
        assert type(plain) is Net
        same(plain.state_dict(), net.state_dict())
    assert type(surgery.extract(torch.compile(net), "_orig_mod")) is Net
