"""What training loops leave behind: backbones of self-supervised and detection models, wrappers, old spellings."""

from __future__ import annotations

import argparse
import pickle
import re
from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

RESNET18 = "expect: {like: {torchvision: resnet18, weights: null, kwargs: {num_classes: 7}}}\n"


@pytest.fixture
def resnet(fill):
    return fill(torchvision.models.resnet18(num_classes=7))


@pytest.fixture
def vit(fill):
    """timm's ViT without its head."""
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 4, "embed_dim": 32}
    return fill(timm.models.vision_transformer.VisionTransformer(**sizes, num_classes=0))


def test_averaged_data_parallel_and_compiled(resnet, convert, same):
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(torch.compile(resnet)))
    assert "module.module._orig_mod.fc.bias" in averaged.state_dict()
    torch.save({"model": {}, "model_ema": averaged.state_dict(), "epoch": 3}, "run.pth")
    recipe = "source: {checkpoint: {path: run.pth, entry: model_ema or model}}\nsteps:\n  - unwrap: true\n"
    same(convert(recipe + RESNET18), resnet.state_dict())


def test_lightning(resnet, convert, same):
    state = {f"model.net.{key}": tensor for key, tensor in resnet.state_dict().items()}
    state |= {"criterion.weight": torch.ones(7), "train_acc.correct": torch.tensor(3)}
    checkpoint = {
        "epoch": 2,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [torch.optim.Adam(resnet.parameters()).state_dict()],
        "hyper_parameters": OrderedDict(lr=0.1, config=argparse.Namespace(depth=18)),
    }
    torch.save(checkpoint, "last.ckpt")
    same(convert(f"source: {{checkpoint: last.ckpt}}\nsteps:\n  - extract: model.net\n{RESNET18}"), resnet.state_dict())


def test_dino(vit, convert, same):
    backbone = vit.state_dict()
    head = {f"head.mlp.{i}.weight": torch.randn(3, 3) for i in (0, 2, 4)}
    checkpoint = {
        "student": {f"module.backbone.{key}": tensor + 1 for key, tensor in backbone.items()},
        "teacher": {**{f"backbone.{key}": tensor for key, tensor in backbone.items()}, **head},
        "args": argparse.Namespace(arch="vit_small"),
        "dino_loss": {"center": torch.zeros(1, 5)},
        "fp16_scaler": None,
    }
    torch.save(checkpoint, "dino.pth")
    same(convert("dino/backbone", model="dino.pth"), backbone)


def test_mae(vit, convert, same):
    decoder = {"mask_token": (1, 1, 16), "decoder_pos_embed": (1, 17, 16), "decoder_blocks.0.norm1.weight": (16,)}
    state = {**vit.state_dict(), **{key: torch.ones(shape) for key, shape in decoder.items()}}
    torch.save({"model": state, "scaler": {"scale": 65536.0}, "args": argparse.Namespace(lr=1e-3)}, "mae.pth")
    same(convert("mae/encoder", model="mae.pth"), vit.state_dict())


@pytest.mark.parametrize("counters", [False, True])
def test_detectron2(counters, fill, convert, same, directory):
    """Its model zoo holds pickles of numpy arrays, without BatchNorm's counters."""
    model = fill(torchvision.models.resnet50(num_classes=7))
    backbone = {
        f"backbone.bottom_up.{_of_detectron2(key)}": tensor.numpy()
        for key, tensor in model.state_dict().items()
        if not key.startswith("fc.") and (counters or "num_batches" not in key)
    }
    zoo = {
        "model": {
            **backbone,
            "proposal_generator.anchor_generator.cell_anchors.0": backbone[
                "backbone.bottom_up.res2.0.conv1.norm.weight"
            ],
        }
    }
    (directory / "model.pkl").write_bytes(pickle.dumps({**zoo, "__author__": "model zoo"}))
    found = convert("detectron2/resnet_to_torchvision", model="model.pkl", num_classes=7)
    kept = {key for key in found if not key.startswith("fc.") and (counters or "num_batches" not in key)}
    same({key: found[key] for key in kept}, {key: model.state_dict()[key] for key in kept})
    assert len(kept) == len(backbone)


def _of_detectron2(key: str) -> str:
    key = re.sub(r"^(conv1|bn1)\.", lambda m: {"conv1": "stem.conv1.", "bn1": "stem.conv1.norm."}[m[1]], key)
    key = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", key)
    key = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", key)
    return key.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


FOLDED = """
source: {checkpoint: new.pth}
steps:
  - convert: |
      [{m:**}.parametrizations.weight.original1, {m}.parametrizations.weight.original0]
        -> {m}.weight via weight_norm
"""


def test_weight_norm_in_both_spellings(fill, convert, same):
    model = fill(nn.Sequential(nn.Linear(4, 6), nn.Conv1d(3, 5, 3)))
    for module in model:
        weight_norm(module)
        module.parametrizations.weight.original0.mul_(1.7)
    new = model.state_dict()
    spelling = {"original0": "weight_g", "original1": "weight_v"}
    old = {re.sub(r"parametrizations\.weight\.(\w+)", lambda m: spelling[m[1]], key): t for key, t in new.items()}
    torch.save(new, "new.pth")
    torch.save(old, "old.pth")
    rename = '"**.weight_(g|v) -> **.parametrizations.weight.original(0|1)"'
    same(convert(f"source: {{checkpoint: old.pth}}\nsteps:\n  - rename: {rename}\n"), new)
    folded = convert(FOLDED)
    for number, module in enumerate(model):
        torch.testing.assert_close(folded[f"{number}.weight"], module.weight.detach())


def test_a_larger_vocabulary_keeps_its_tie(fill, convert):
    """The embedding and the head that is tied to it, resized together."""
    model = fill(nn.ModuleDict({"embed": nn.Embedding(50, 8), "head": nn.Linear(8, 50, bias=False)}))
    model["head"].weight = model["embed"].weight
    torch.save(model.state_dict(), "model.pth")
    found = convert(
        "source: {checkpoint: model.pth}\n"
        "steps:\n"
        "  - convert: (embed|head).weight -> (embed|head).weight via slice(0, 48) | pad(64, fill='mean')\n"
        "  - filter: {drop: head}\n"
    )
    assert list(found) == ["embed.weight"]
    weight = model["embed"].weight[:48]
    assert torch.equal(found["embed.weight"][:48], weight)
    torch.testing.assert_close(found["embed.weight"][48:], weight.mean(0).expand(16, -1))


class Detector(nn.Module):
    """As a YOLO of ultralytics: pickled as it is, and halved."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1))
        self.names, self.yaml = {0: "person"}, {"nc": 1}


@pytest.mark.parametrize("averaged", [False, True])
def test_ultralytics(averaged, fill, convert, same):
    model, average = fill(Detector()).half(), fill(Detector(), seed=1).half() if averaged else None
    torch.save({"epoch": -1, "model": model, "ema": average, "optimizer": None, "train_args": {"lr": 0.1}}, "yolo.pt")
    wanted = (average or model).float().state_dict()
    same(convert("ultralytics/state_dict", model="yolo.pt"), wanted)
