"""transformers, timm, torchvision and JAX: one architecture, other names and other layouts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def timm_vit(cls: type = timm.models.vision_transformer.VisionTransformer) -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 4, "embed_dim": 32, "mlp_ratio": 2}
    return cls(**sizes, num_classes=7).eval()


@pytest.fixture
def vit(fill, directory):
    """A ViT of transformers, saved as ``model``."""
    model = fill(transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, num_labels=7)))
    model.save_pretrained("model")
    return model


class TestViT:
    def test_transformers_to_torchvision(self, vit, convert, close):
        target = torchvision.models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=7).eval()
        target.load_state_dict(convert("vit/transformers_to_torchvision", model="model"))
        close(target(IMAGES), vit(IMAGES).logits)

    def test_transformers_to_timm_and_back(self, vit, convert, close, same, directory):
        found = convert("vit/transformers_to_timm", model="model")
        target = timm_vit()
        target.load_state_dict(found)
        close(target(IMAGES), vit(IMAGES).logits)
        torch.save(found, "timm.pth")
        back = convert("vit/timm_to_transformers", model="timm.pth")
        Path("result.safetensors").replace("model/model.safetensors")
        again = transformers.ViTForImageClassification.from_pretrained("model")
        same(again.state_dict(), vit.state_dict())
        assert len(back) == len(vit.state_dict())

    def test_jax_to_timm(self, fill, convert, same):
        model = fill(timm_vit())
        np.savez("vit.npz", **jax_vit({key: tensor.numpy() for key, tensor in model.state_dict().items()}))
        found = convert("vit/jax_to_timm", model="vit.npz")
        same(found, model.state_dict())
        by_timm = timm_vit()
        by_timm.load_pretrained("vit.npz")
        same(found, by_timm.state_dict())

    def test_position_embeddings_as_timm_resamples_them(self, fill, convert, same):
        model = fill(timm_vit())
        torch.save(model.state_dict(), "vit.pth")
        found = convert(
            "source: {checkpoint: vit.pth}\nsteps:\n  - convert: pos_embed -> pos_embed via resample_grid(6, 5)\n"
        )
        expected = timm.layers.resample_abs_pos_embed(model.pos_embed, [6, 5], num_prefix_tokens=1)
        same(found, {**model.state_dict(), "pos_embed": expected})

    def test_deit_with_its_distillation_token(self, fill, convert, close):
        config = transformers.DeiTConfig(**SIZES, num_labels=7)
        model = fill(transformers.DeiTForImageClassificationWithTeacher(config))
        model.save_pretrained("model")
        target = timm_vit(timm.models.deit.VisionTransformerDistilled)
        target.load_state_dict(convert("deit/transformers_to_timm", model="model"))
        close(target(IMAGES), model(IMAGES).logits)


def jax_vit(ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of timm's ViT as the authors' Flax code lays them out."""
    theirs = {
        "cls": ours["cls_token"],
        "Transformer/posembed_input/pos_embedding": ours["pos_embed"],
        "embedding/kernel": ours["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": ours["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": ours["norm.weight"],
        "Transformer/encoder_norm/bias": ours["norm.bias"],
        "head/kernel": ours["head.weight"].T,
        "head/bias": ours["head.bias"],
    }
    for i in range(2):
        block, name = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attention = f"{name}/MultiHeadDotProductAttention_1"
        weights = ours[f"{block}.attn.qkv.weight"].reshape(3, 4, 8, 32)
        biases = ours[f"{block}.attn.qkv.bias"].reshape(3, 4, 8)
        for part, word in enumerate(("query", "key", "value")):
            theirs[f"{attention}/{word}/kernel"] = weights[part].transpose(2, 0, 1)
            theirs[f"{attention}/{word}/bias"] = biases[part]
        theirs[f"{attention}/out/kernel"] = ours[f"{block}.attn.proj.weight"].reshape(32, 4, 8).transpose(1, 2, 0)
        theirs[f"{attention}/out/bias"] = ours[f"{block}.attn.proj.bias"]
        for number in (1, 2):
            norm, dense = f"{name}/LayerNorm_{2 * number - 2}", f"{name}/MlpBlock_3/Dense_{number - 1}"
            theirs[f"{norm}/scale"] = ours[f"{block}.norm{number}.weight"]
            theirs[f"{norm}/bias"] = ours[f"{block}.norm{number}.bias"]
            theirs[f"{dense}/kernel"] = ours[f"{block}.mlp.fc{number}.weight"].T
            theirs[f"{dense}/bias"] = ours[f"{block}.mlp.fc{number}.bias"]
    return theirs


class TestConvolutions:
    def test_resnet_to_torchvision_and_timm(self, fill, convert, close):
        sizes = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
        model = fill(transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, num_labels=7)))
        model.save_pretrained("model")
        words = {"architecture": "resnet18", "num_classes": 7}
        found = convert("resnet/transformers_to_torchvision", model="model", **words)
        for target in (torchvision.models.resnet18(num_classes=7), timm.create_model("resnet18", num_classes=7)):
            target.load_state_dict(found)
            close(target.eval()(IMAGES), model(IMAGES).logits)

    def test_convnext_to_torchvision(self, fill, convert, close):
        config = transformers.ConvNextConfig(num_labels=7)
        model = fill(transformers.ConvNextForImageClassification(config))
        model.save_pretrained("model")
        target = torchvision.models.convnext_tiny(num_classes=7).eval()
        target.load_state_dict(convert("convnext/transformers_to_torchvision", model="model", num_classes=7))
        close(target(IMAGES), model(IMAGES).logits)

    def test_convnext_to_timm(self, fill, convert, close):
        config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 2, 1, 1], num_labels=7)
        model = fill(transformers.ConvNextForImageClassification(config))
        model.save_pretrained("model")
        target = timm.models.convnext.ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=7).eval()
        target.load_state_dict(convert("convnext/transformers_to_timm", model="model"))
        close(target(IMAGES), model(IMAGES).logits)

    def test_densenet_of_old(self, fill, convert, same):
        model = fill(torchvision.models.densenet121(num_classes=7))
        new = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))([12]\.)")
        counters = {key for key in model.state_dict() if key.endswith("num_batches_tracked")}
        torch.save({new.sub(r"\1.\2", k): t for k, t in model.state_dict().items() if k not in counters}, "old.pth")
        found = convert("densenet/old_keys", model="old.pth", num_classes=7)
        assert not any(found.pop(key) for key in counters)
        same(found, {key: t for key, t in model.state_dict().items() if key not in counters})

    def test_batch_norm_folded(self, fill, convert, close):
        model = fill(torchvision.models.resnet18(num_classes=7))
        torch.save(model.state_dict(), "resnet.pth")
        found = convert(FOLDED)
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Conv2d):
                module.bias = nn.Parameter(torch.zeros(module.out_channels))
            elif isinstance(module, nn.BatchNorm2d):
                model.set_submodule(name, nn.Identity())
        whole = torchvision.models.resnet18(num_classes=7).eval()
        whole.load_state_dict(torch.load("resnet.pth"))
        model.load_state_dict(found)
        close(model(IMAGES), whole(IMAGES))


FOLDED = """
source: {checkpoint: resnet.pth}
steps:
  - filter: {drop: "**.num_batches_tracked"}
  - rename: "**.downsample.(0|1) -> **.downsample.(conv0|bn0)"
  - convert: |
      [{m:**}.conv{n}.weight, {m}.bn{n}.weight, {m}.bn{n}.bias, {m}.bn{n}.running_mean, {m}.bn{n}.running_var]
        -> [{m}.conv{n}.weight, {m}.conv{n}.bias] via fold_bn
  - rename: "**.downsample.conv0 -> **.downsample.0"
"""


def test_swin_to_timm(fill, convert, close):
    sizes = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
    model = fill(transformers.SwinForImageClassification(transformers.SwinConfig(**sizes, num_labels=7)))
    model.save_pretrained("model")
    sizes["img_size"] = sizes.pop("image_size")
    target = timm.models.swin_transformer.SwinTransformer(**sizes, num_classes=7).eval()
    target.load_state_dict(convert("swin/transformers_to_timm", model="model"))
    close(target(IMAGES), model(IMAGES).logits)


def test_clip_vision_to_open_clip(fill, convert, close):
    config = transformers.CLIPVisionConfig(**SIZES, projection_dim=16)
    model = fill(transformers.CLIPVisionModelWithProjection(config))
    model.save_pretrained("model")
    found = convert("clip/transformers_vision_to_open_clip", model="model")
    close(clip_vision({key.removeprefix("visual."): t for key, t in found.items()}), model(IMAGES).image_embeds)


def clip_vision(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """OpenAI's image tower on the images, with torch's own attention."""
    functional = nn.functional

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (32,), state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = functional.conv2d(IMAGES, state["conv1.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([state["class_embedding"].expand(2, 1, -1), x], 1) + state["positional_embedding"]
    x = norm("ln_pre", x)
    for i in range(2):
        block = f"transformer.resblocks.{i}"
        attention = nn.MultiheadAttention(32, 4, batch_first=True)
        prefix = f"{block}.attn."
        attention.load_state_dict({k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)})
        y = norm(f"{block}.ln_1", x)
        x = x + attention(y, y, y, need_weights=False)[0]
        y = linear(f"{block}.mlp.c_fc", norm(f"{block}.ln_2", x))
        x = x + linear(f"{block}.mlp.c_proj", y * torch.sigmoid(1.702 * y))
    return norm("ln_post", x[:, 0]) @ state["proj"]
