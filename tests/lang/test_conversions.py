"""Conversions of the field, written in the language: what people rename, split and join between model libraries.

Each row names where the keys come from, the rule, and some keys with what becomes of them. Rules with operations are
looked at for their keys only.
"""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.lang import parse_rules
from surgery.text import Text

Rename = Callable[..., dict[str, str]]

RENAMES = [
    ("DataParallel", "module.** -> **", "module.layer1.0.conv1.weight=layer1.0.conv1.weight"),
    ("torch.compile", "_orig_mod.** -> **", "_orig_mod.fc.bias=fc.bias"),
    ("Lightning", "model.** -> **", "model.fc.bias=fc.bias"),
    (
        "MoCo v1 and v2",
        "module.encoder_q.** -> **",
        "module.encoder_q.layer1.0.bn1.running_mean=layer1.0.bn1.running_mean",
    ),
    (
        "MoCo v3",
        "module.base_encoder.** -> **",
        "module.base_encoder.blocks.0.attn.qkv.weight=blocks.0.attn.qkv.weight",
    ),
    ("SimCLR", "convnet.** -> **", "convnet.conv1.weight=conv1.weight"),
    (
        "BYOL",
        "online_network.encoder.{i:int} -> features.{i}",
        "online_network.encoder.4.0.conv1.weight=features.4.0.conv1.weight",
    ),
    ("SwAV", "module.** except module.prototypes | module.projection_head -> **", "module.conv1.weight=conv1.weight"),
    (
        "DINO student",
        "student.module.backbone.** -> **",
        "student.module.backbone.blocks.3.norm1.weight=blocks.3.norm1.weight",
    ),
    ("DINO teacher", "teacher.backbone.** -> **", "teacher.backbone.cls_token=cls_token"),
    ("DINOv2 with chunked blocks", "blocks.{c:int}.{i:int} -> blocks.{i}", "blocks.2.13.ls1.gamma=blocks.13.ls1.gamma"),
    (
        "MAE to timm",
        "** except decoder_* | mask_token | decoder_blocks -> **",
        "blocks.0.attn.proj.bias=blocks.0.attn.proj.bias",
    ),
    (
        "BEiT",
        "blocks.{i}.attn.(q_bias|v_bias) -> layers.{i}.(query|value).bias",
        "blocks.1.attn.v_bias=layers.1.value.bias",
    ),
    (
        "timm ViT to transformers",
        "blocks.{i}.(norm1|norm2) -> encoder.layer.{i}.(layernorm_before|layernorm_after)",
        "blocks.7.norm2.bias=encoder.layer.7.layernorm_after.bias",
    ),
    (
        "timm ViT MLP",
        "blocks.{i}.mlp.(fc1|fc2) -> encoder.layer.{i}.(intermediate.dense|output.dense)",
        "blocks.7.mlp.fc2.bias=encoder.layer.7.output.dense.bias",
    ),
    (
        "timm ViT embeddings",
        "(cls_token|pos_embed|patch_embed.proj) -> embeddings.(cls_token|position_embeddings|patch_embeddings.projection)",
        "pos_embed=embeddings.position_embeddings patch_embed.proj.weight=embeddings.patch_embeddings.projection.weight",
    ),
    (
        "torchvision ViT",
        "encoder.layers.encoder_layer_{i}.(ln_1|ln_2) -> blocks.{i}.(norm1|norm2)",
        "encoder.layers.encoder_layer_11.ln_2.weight=blocks.11.norm2.weight",
    ),
    ("torchvision ViT MLP", "**.mlp.linear_{n:int} -> **.mlp.fc{n}", "a.b.mlp.linear_1.weight=a.b.mlp.fc1.weight"),
    (
        "torchvision ViT MLP, older",
        "encoder.layers.{e}.mlp.(0|3) -> {e}.(fc1|fc2)",
        "encoder.layers.encoder_layer_0.mlp.3.bias=encoder_layer_0.fc2.bias",
    ),
    (
        "torchvision ResNet to detectron2",
        "layer{i:int}.{b}.conv{c:int} -> res{i + 1}.{b}.conv{c}",
        "layer4.2.conv3.weight=res5.2.conv3.weight",
    ),
    (
        "torchvision ResNet norms to detectron2",
        "layer{i:int}.{b}.bn{c:int} -> res{i + 1}.{b}.conv{c}.norm",
        "layer1.0.bn2.weight=res2.0.conv2.norm.weight",
    ),
    (
        "torchvision ResNet shortcuts to detectron2",
        "layer{i:int}.{b}.downsample.(0|1) -> res{i + 1}.{b}.(shortcut|shortcut.norm)",
        "layer2.0.downsample.1.bias=res3.0.shortcut.norm.bias",
    ),
    (
        "torchvision ResNet stem to detectron2",
        "(conv1|bn1) -> stem.(conv1|conv1.norm)",
        "bn1.running_var=stem.conv1.norm.running_var",
    ),
    (
        "torchvision ResNet to timm",
        "layer{i:int}.{b}.downsample.(0|1) -> stages.{i - 1}.{b}.downsample.(conv|bn)",
        "layer1.0.downsample.0.weight=stages.0.0.downsample.conv.weight",
    ),
    (
        "torchvision ResNet to transformers",
        "layer{i:int}.{b}.conv{c:int} -> encoder.stages.{i - 1}.layers.{b}.layer.{c - 1}.convolution",
        "layer3.5.conv2.weight=encoder.stages.2.layers.5.layer.1.convolution.weight",
    ),
    ("mmdet backbone", "backbone.** -> **", "backbone.layer1.0.conv1.weight=layer1.0.conv1.weight"),
    (
        "mmdet FPN",
        "neck.(lateral_convs|fpn_convs).{i}.conv -> fpn.(inner_blocks|layer_blocks).{i}.0",
        "neck.fpn_convs.2.conv.weight=fpn.layer_blocks.2.0.weight",
    ),
    ("mmsegmentation", "decode_head.conv_seg -> classifier.4", "decode_head.conv_seg.weight=classifier.4.weight"),
    (
        "Swin to timm",
        "layers.{i:int}.downsample -> layers.{i + 1}.downsample",
        "layers.0.downsample.norm.weight=layers.1.downsample.norm.weight",
    ),
    (
        "Swin to transformers",
        "layers.{i}.blocks.{j}.attn.proj -> encoder.layers.{i}.blocks.{j}.attention.output.dense",
        "layers.2.blocks.17.attn.proj.bias=encoder.layers.2.blocks.17.attention.output.dense.bias",
    ),
    (
        "ConvNeXt",
        "stages.{s}.{b}.(dwconv|pwconv1|pwconv2) -> stages.{s}.blocks.{b}.(conv_dw|mlp.fc1|mlp.fc2)",
        "stages.1.2.pwconv2.weight=stages.1.blocks.2.mlp.fc2.weight",
    ),
    (
        "ConvNeXt downsampling",
        "downsample_layers.{i:int}.(0|1) if i > 0 -> stages.{i}.downsample.(0|1)",
        "downsample_layers.3.1.weight=stages.3.downsample.1.weight",
    ),
    (
        "EfficientNet-Lite",
        "_blocks.0.(_depthwise_conv|_bn1|_project_conv|_bn2) -> features.1.0.block.(0.0|0.1|2.0|2.1)",
        "_blocks.0._bn2.weight=features.1.0.block.2.1.weight",
    ),
    (
        "MobileNetV2 to timm",
        "features.{i:int}.conv.{j} if i > 1 -> blocks.{i - 1}.conv.{j}",
        "features.2.conv.0.0.weight=blocks.1.conv.0.0.weight",
    ),
    ("VGG", "classifier.(0|3|6) -> (fc6|fc7|fc8)", "classifier.6.bias=fc8.bias"),
    (
        "DenseNet, old names",
        "**.(norm|conv).{i:int} -> **.(norm|conv){i}",
        "features.denseblock1.denselayer2.norm.1.weight=features.denseblock1.denselayer2.norm1.weight",
    ),
    (
        "Inception, TensorFlow names",
        '"InceptionV3/InceptionV3"/{layer}/weights -> {layer}.conv.weight',
        "InceptionV3/InceptionV3/Conv2d_1a_3x3/weights=Conv2d_1a_3x3.conv.weight",
    ),
    (
        "Faster R-CNN",
        "roi_heads.box_head.fc{i:int} -> roi_heads.box_head.{i}",
        "roi_heads.box_head.fc6.weight=roi_heads.box_head.6.weight",
    ),
    (
        "DETR",
        "transformer.encoder.layers.{i}.self_attn.out_proj -> encoder.layers.{i}.self_attn.o_proj",
        "transformer.encoder.layers.0.self_attn.out_proj.bias=encoder.layers.0.self_attn.o_proj.bias",
    ),
    ("YOLO", "model.{i:int}.cv{n}.conv -> layers.{i}.conv{n}", "model.23.cv1.conv.weight=layers.23.conv1.weight"),
    (
        "CLIP vision tower",
        "visual.transformer.resblocks.{i}.** -> vision_model.encoder.layers.{i}.**",
        "visual.transformer.resblocks.3.ln_1.weight=vision_model.encoder.layers.3.ln_1.weight",
    ),
    (
        "CLIP text tower",
        "transformer.resblocks.{i}.mlp.(c_fc|c_proj) -> text_model.encoder.layers.{i}.mlp.(fc1|fc2)",
        "transformer.resblocks.9.mlp.c_proj.bias=text_model.encoder.layers.9.mlp.fc2.bias",
    ),
    ("OpenCLIP", "visual.trunk.** -> **", "visual.trunk.stem.0.weight=stem.0.weight"),
    (
        "BLIP",
        "visual_encoder.blocks.{i}.** -> vision_model.encoder.layers.{i}.**",
        "visual_encoder.blocks.0.attn.qkv.weight=vision_model.encoder.layers.0.attn.qkv.weight",
    ),
    (
        "BERT, old norms",
        "**.LayerNorm.(gamma|beta) -> **.LayerNorm.(weight|bias)",
        "bert.embeddings.LayerNorm.gamma=bert.embeddings.LayerNorm.weight",
    ),
    (
        "BERT without its head",
        "bert.** except bert.pooler -> **",
        "bert.encoder.layer.0.output.dense.weight=encoder.layer.0.output.dense.weight",
    ),
    (
        "BERT, TensorFlow names",
        "bert/encoder/layer_{i:int}/{rest} -> encoder.layer.{i}.{rest}",
        "bert/encoder/layer_11/output=encoder.layer.11.output",
    ),
    (
        "RoBERTa, fairseq",
        "encoder.sentence_encoder.layers.{i}.(self_attn_layer_norm|final_layer_norm) -> encoder.layer.{i}.(attention.output|output).LayerNorm",
        "encoder.sentence_encoder.layers.5.final_layer_norm.bias=encoder.layer.5.output.LayerNorm.bias",
    ),
    (
        "GPT-2 with a prefix",
        "optional transformer.** -> **, h.** -> h.**",
        "transformer.h.0.ln_1.weight=h.0.ln_1.weight h.1.ln_1.weight=h.1.ln_1.weight",
    ),
    (
        "GPT-2 to nanoGPT",
        "(wte|wpe|h|ln_f) -> transformer.(wte|wpe|h|ln_f)",
        "h.3.mlp.c_fc.bias=transformer.h.3.mlp.c_fc.bias ln_f.weight=transformer.ln_f.weight",
    ),
    (
        "GPT-NeoX",
        "gpt_neox.layers.{i}.** -> model.layers.{i}.**",
        "gpt_neox.layers.4.attention.dense.bias=model.layers.4.attention.dense.bias",
    ),
    (
        "GPT-J",
        "transformer.h.{i}.attn.(q_proj|k_proj|v_proj) -> layers.{i}.attn.(wq|wk|wv)",
        "transformer.h.0.attn.v_proj.weight=layers.0.attn.wv.weight",
    ),
    (
        "Llama, Meta to transformers",
        "layers.{i}.attention.(wq|wk|wv|wo) -> model.layers.{i}.self_attn.(q_proj|k_proj|v_proj|o_proj)",
        "layers.31.attention.wo.weight=model.layers.31.self_attn.o_proj.weight",
    ),
    (
        "Llama feed-forward",
        "layers.{i}.feed_forward.(w1|w2|w3) -> model.layers.{i}.mlp.(gate_proj|down_proj|up_proj)",
        "layers.0.feed_forward.w2.weight=model.layers.0.mlp.down_proj.weight",
    ),
    (
        "Llama norms",
        "layers.{i}.(attention_norm|ffn_norm) -> model.layers.{i}.(input_layernorm|post_attention_layernorm)",
        "layers.0.ffn_norm.weight=model.layers.0.post_attention_layernorm.weight",
    ),
    (
        "Llama embeddings",
        "tok_embeddings -> model.embed_tokens, output -> lm_head, norm -> model.norm",
        "tok_embeddings.weight=model.embed_tokens.weight output.weight=lm_head.weight norm.weight=model.norm.weight",
    ),
    (
        "Llama to GGUF names",
        "model.layers.{i}.self_attn.(q|k|v|o)_proj -> blk.{i}.attn_(q|k|v|output)",
        "model.layers.1.self_attn.o_proj.weight=blk.1.attn_output.weight",
    ),
    (
        "Mixtral experts",
        "**.block_sparse_moe.experts.{e:int}.(w1|w2|w3) -> **.moe.(gate|down|up).{e}",
        "model.layers.0.block_sparse_moe.experts.7.w2.weight=model.layers.0.moe.down.7.weight",
    ),
    (
        "Mixtral router",
        "model.layers.{i}.block_sparse_moe.gate -> layers.{i}.feed_forward.gate",
        "model.layers.3.block_sparse_moe.gate.weight=layers.3.feed_forward.gate.weight",
    ),
    (
        "Falcon",
        "transformer.h.{i}.mlp.dense_{x}_to_{y} -> layers.{i}.ffn.{x}_{y}",
        "transformer.h.1.mlp.dense_h_to_4h.weight=layers.1.ffn.h_4h.weight",
    ),
    (
        "T5",
        "{side:encoder|decoder}.block.{i}.layer.{j}.SelfAttention.{p:q|k|v|o} -> {side}.layers.{i}.self.{p:query|key|value|out}",
        "decoder.block.2.layer.0.SelfAttention.o.weight=decoder.layers.2.self.out.weight",
    ),
    (
        "Whisper, OpenAI to transformers",
        "(encoder|decoder).blocks.{i}.(attn|cross_attn) -> model.(encoder|decoder).layers.{i}.(self_attn|encoder_attn)",
        "decoder.blocks.3.cross_attn.out.bias=model.decoder.layers.3.encoder_attn.out.bias",
    ),
    (
        "Whisper projections",
        "**.attn.(query|key|value|out) -> **.self_attn.(q_proj|k_proj|v_proj|out_proj)",
        "model.encoder.layers.0.attn.key.weight=model.encoder.layers.0.self_attn.k_proj.weight",
    ),
    (
        "wav2vec 2.0, fairseq",
        "w2v_encoder.w2v_model.** -> wav2vec2.**",
        "w2v_encoder.w2v_model.mask_emb=wav2vec2.mask_emb",
    ),
    (
        "weight norm, old to new",
        "**.(weight_g|weight_v) -> **.parametrizations.weight.(original0|original1)",
        "conv.weight_g=conv.parametrizations.weight.original0",
    ),
    (
        "Stable Diffusion VAE",
        "first_stage_model.** -> **",
        "first_stage_model.encoder.conv_in.weight=encoder.conv_in.weight",
    ),
    (
        "Stable Diffusion UNet blocks",
        "model.diffusion_model.input_blocks.{i:int}.0.** if i in [1, 2, 4, 5] -> down_blocks.{(i - 1) // 3}.resnets.{(i - 1) % 3}.**",
        "model.diffusion_model.input_blocks.5.0.in_layers.0.weight=down_blocks.1.resnets.1.in_layers.0.weight",
    ),
    (
        "Stable Diffusion resnets",
        "**.(in_layers.0|in_layers.2|out_layers.0|out_layers.3|emb_layers.1|skip_connection) -> **.(norm1|conv1|norm2|conv2|time_emb_proj|conv_shortcut)",
        "down_blocks.0.resnets.1.emb_layers.1.bias=down_blocks.0.resnets.1.time_emb_proj.bias",
    ),
    ("diffusers attention", "**.to_(q|k|v) -> **.(query|key|value)", "mid.attn.to_k.weight=mid.attn.key.weight"),
    ("diffusers attention output", "**.to_out.0 -> **.proj_attn", "mid.attn.to_out.0.weight=mid.attn.proj_attn.weight"),
    (
        "LoRA, kohya to peft",
        "lora_unet_{name}.(lora_down|lora_up) -> unet.{name}.(lora_A|lora_B)",
        "lora_unet_down_blocks_0.lora_up.weight=unet.down_blocks_0.lora_B.weight",
    ),
    (
        "LoRA, peft",
        "base_model.model.{m:**}.(lora_A|lora_B).default -> {m}.(lora_A|lora_B)",
        "base_model.model.layers.0.q_proj.lora_A.default.weight=layers.0.q_proj.lora_A.weight",
    ),
    ("EMA shadow", "ema.shadow_params.{i:int} -> params.{i}", "ema.shadow_params.12=params.12"),
    ("FSDP", "**._fsdp_wrapped_module.** -> **.**", "layers.0._fsdp_wrapped_module.mlp.weight=layers.0.mlp.weight"),
    (
        "activation checkpointing",
        "**._checkpoint_wrapped_module -> **",
        "layers.0._checkpoint_wrapped_module.mlp.weight=layers.0.mlp.weight",
    ),
    ("RVC, quoted keys", '"enc p".** -> enc_p.**', None),
]

CONVERSIONS = [
    "blocks.{i}.attn.qkv -> encoder.layer.{i}.attention.attention.(query|key|value) via chunk(dim=0)",
    "encoder.layer.{i}.attention.attention.(query|key|value) -> blocks.{i}.attn.qkv via concat(dim=0)",
    "visual.transformer.resblocks.{i}.attn.{p:in_proj_weight|in_proj_bias} -> {i}.(q|k|v).{p:weight|bias} via chunk(dim=0)",
    "h.{i}.(attn.c_attn|attn.c_proj|mlp.c_fc|mlp.c_proj).weight -> h.{i}.(attn.c_attn|attn.c_proj|mlp.c_fc|mlp.c_proj).weight via transpose(0, 1)",
    "h.{i}.attn.c_attn.weight -> h.{i}.attn.(q|k|v).weight via chunk(dim=1) | transpose(0, 1)",
    "layers.{i}.attention.(wq|wk).weight -> model.layers.{i}.self_attn.(q_proj|k_proj).weight via rearrange('(h d two) e -> (h two d) e', h=$heads, two=2)",
    "**.block_sparse_moe.experts.{e:int}.w1.weight -> **.experts.w1 via stack(dim=0)",
    "**.experts.w1 -> **.experts.{e}.w1.weight via unstack(dim=0)",
    "model.layers.{i}.mlp.gate_up_proj -> model.layers.{i}.mlp.(gate_proj|up_proj) via chunk(dim=0)",
    "gpt_neox.layers.{i}.attention.query_key_value -> layers.{i}.(q|k|v) via rearrange('(h three d) ... -> three (h d) ...', three=3, h=$heads) | unstack",
    "[base.{m:**}.weight, ad.{m}.lora_A.weight, ad.{m}.lora_B.weight] -> {m}.weight via lora(alpha=16)",
    "[{p:**}.conv.weight, {p}.bn.weight, {p}.bn.bias, {p}.bn.running_mean, {p}.bn.running_var] -> [{p}.conv.weight, {p}.conv.bias] via fold_bn(1e-5)",
    "[{p:**}.weight_v, {p}.weight_g] -> {p}.weight via weight_norm(dim=0)",
    "(a|b|c).{k:**} if floating -> {k} via mean",
    "pos_embed -> pos_embed via resample_grid(16, 16, prefix=1)",
    "patch_embed.proj.weight -> patch_embed.proj.weight via resize(14, 14, mode='bicubic')",
    "conv1.weight -> conv1.weight via adapt_channels(1)",
    "embed.weight -> embed.weight via slice(0, 32000) | pad(32064, fill='mean')",
    "relative_position_bias_table -> bias via permute(1, 0) | unsqueeze(0)",
    "attn.c_qkv -> attn.(q|k|v) via split([4096, 1024, 1024], dim=0)",
    "classifier.weight -> classifier.weight via select([0, 3, 7])",
    "conv.weight -> linear.weight via flatten(1)",
    "*.weight_scale_inv -> *.scale via cast(float32) | scale(0.5)",
]


@pytest.mark.parametrize(("rule", "pairs"), [row[1:] for row in RENAMES], ids=[row[0] for row in RENAMES])
def test_keys_are_renamed(rule: str, pairs: str | None, rename: Rename) -> None:
    expected = dict(pair.rsplit("=", 1) for pair in pairs.split()) if pairs else {"enc p.w": "enc_p.w"}
    assert rename(rule, *expected) == expected
    (first, *_) = parse_rules(Text.plain(rule), "key")
    assert parse_rules(Text.plain(str(first)), "key") == (first,)


@pytest.mark.parametrize("rule", CONVERSIONS)
def test_conversions_are_read_and_printed(rule: str) -> None:
    (parsed,) = parse_rules(Text.plain(rule), "key")
    assert parse_rules(Text.plain(str(parsed)), "key") == (parsed,)


def test_they_are_many() -> None:
    assert len(RENAMES) + len(CONVERSIONS) > 60
