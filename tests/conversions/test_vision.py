"""Vision models: what the tests in the recipes cannot say, as where a library loads the file itself."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import surgery

timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def timm_vit() -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 4, "embed_dim": 32, "mlp_ratio": 2}
    return timm.models.vision_transformer.VisionTransformer(**sizes, num_classes=7).eval()


def test_jax_to_timm_as_timm_loads_it(fill, convert, same):
    model = fill(timm_vit())
    np.savez("vit.npz", **jax_vit({key: tensor.numpy() for key, tensor in model.state_dict().items()}))
    found = convert("vit/jax_to_timm", model="vit.npz")
    same(found, model.state_dict())
    by_timm = timm_vit()
    by_timm.load_pretrained("vit.npz")
    same(found, by_timm.state_dict())


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


def test_position_embeddings_as_timm_resamples_them(fill, convert, same):
    model = fill(timm_vit())
    torch.save(model.state_dict(), "vit.pth")
    found = convert(
        "source: {checkpoint: vit.pth}\nsteps:\n  - convert: pos_embed -> pos_embed via resample_grid(6, 5)\n"
    )
    expected = timm.layers.resample_abs_pos_embed(model.pos_embed, [6, 5], num_prefix_tokens=1)
    same(found, {**model.state_dict(), "pos_embed": expected})


def test_resnet_of_transformers_in_timm(fill, convert, close):
    sizes = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
    model = fill(transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, num_labels=7)))
    model.save_pretrained("model")
    words = {"architecture": "resnet18", "num_classes": 7}
    target = timm.create_model("resnet18", num_classes=7).eval()
    target.load_state_dict(convert("resnet/transformers_to_torchvision", model="model", **words))
    close(target(IMAGES), model(IMAGES).logits)


def test_a_caffe_resnet_takes_what_torchvisions_take(fill, close):
    """Strides in the first convolutions of blocks, and pixels from 0 to 255 in BGR, less their mean."""
    caffe = fill(torchvision.models.resnet50())
    for stage in (caffe.layer2, caffe.layer3, caffe.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    torch.save(caffe.state_dict(), "names_of_torchvision.pth")
    renamed = surgery.run("detectron2/torchvision_to_resnet", model="names_of_torchvision.pth", output="renamed.pth")
    backbone = {f"backbone.bottom_up.{key}": tensor for key, tensor in renamed.state_dict.items()}
    torch.save({"model": backbone}, "detectron2.pth")
    result = surgery.run("detectron2/caffe_resnet_to_torchvision", model="detectron2.pth", output="out.safetensors")
    result.model.eval().fc.load_state_dict(caffe.fc.state_dict())
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    close(result.model((pixels - mean) / std), caffe((255 * (pixels - mean)).flip(1)))


class Unfolding(nn.Module):
    """The merging of patches of mmdetection, with the parameters of timm's."""

    def __init__(self, timms: nn.Module) -> None:
        super().__init__()
        self.norm, self.reduction = timms.norm, timms.reduction

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        merged = nn.functional.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2)
        return self.reduction(self.norm(merged)).unflatten(1, (x.shape[1] // 2, x.shape[2] // 2))


def test_swin_of_mmdetection(fill, convert, close):
    sizes = {"img_size": 64, "patch_size": 2, "embed_dim": 8, "window_size": 4, "num_classes": 0}
    theirs, ours = (
        timm.models.swin_transformer.SwinTransformer(**sizes, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)).eval()
        for _ in range(2)
    )
    fill(theirs)
    names = (
        ("layers.", "stages."),
        (".attn.", ".attn.w_msa."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
        ("patch_embed.proj.", "patch_embed.projection."),
    )
    state = {}
    for key, tensor in theirs.state_dict().items():
        for old, new in names:
            key = key.replace(old, new)
        key = "norm3" + key.removeprefix("norm") if key.startswith("norm.") else key
        # there the last layer of a stage merges patches, in timm the first
        stage = key.split(".")[1]
        key = key.replace(f"stages.{stage}.down", f"stages.{int(stage) - 1}.down") if ".downsample." in key else key
        state[f"backbone.{key}"] = tensor
    torch.save({"state_dict": {**state, "backbone.norm0.weight": torch.ones(8)}}, "detector.pth")
    ours.load_state_dict(convert("mmdetection/swin_to_timm", model="detector.pth"))
    for layer in theirs.layers[1:]:
        layer.downsample = Unfolding(layer.downsample)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    close(ours(images), theirs(images))


def test_segment_anything_from_image_and_point_to_masks(fill, convert, close):
    sam = pytest.importorskip("segment_anything").modeling
    vision = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1]}
    vision |= {"num_hidden_layers": 2, "num_attention_heads": 4, "mlp_dim": 64, "output_channels": 32}
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 16}
    decoder = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": 32}
    config = transformers.SamConfig(
        vision_config={**vision, "num_pos_feats": 16}, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    model = fill(transformers.SamModel(config))
    model.save_pretrained("model")
    target = sam.Sam(
        image_encoder=sam.ImageEncoderViT(
            64,
            16,
            3,
            32,
            2,
            4,
            2,
            32,
            use_rel_pos=True,
            window_size=2,
            global_attn_indexes=(1,),
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        ),
        prompt_encoder=sam.PromptEncoder(32, (4, 4), (64, 64), 16),
        mask_decoder=sam.MaskDecoder(
            transformer_dim=32, transformer=sam.TwoWayTransformer(2, 32, 4, 64), iou_head_hidden_dim=32
        ),
        pixel_mean=[0, 0, 0],
        pixel_std=[1, 1, 1],
    ).eval()
    target.load_state_dict(convert("sam/transformers_to_original", model="model"))
    image = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(4))
    point = torch.tensor([[[10.0, 20.0]]])
    given = {"image": image, "original_size": (64, 64), "point_coords": point, "point_labels": torch.ones(1, 1)}
    (found,) = target([given], multimask_output=True)
    expected = model(pixel_values=image[None], input_points=point[None])
    close(found["low_res_logits"], expected.pred_masks[0])
    close(found["iou_predictions"], expected.iou_scores[0])


def test_batch_norm_folded(fill, convert, close):
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
