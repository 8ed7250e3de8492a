"""Every rule in the description of the language, and in the shipped recipes, is read and does what is said of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.document import MapNode, Node, Scalar
from surgery.document.parse import parse_document
from surgery.lang import parse_rules, parse_selector
from surgery.resources import resource
from surgery.text import Text

Rename = Callable[..., dict[str, str]]

RULES = {
    "key": [
        "module.encoder.layer.{i}  -> blocks.{i}          # `#` after a blank begins a comment",
        "optional module.head      -> fc",
        "a -> b, b -> a",
        "module.** -> **",
        "layers -> blocks",
        "(q|k|v)_proj -> (query|key|value)",
        "{p:q|k|v}_proj -> {p:query|key|value}",
        "** -> model.**",
        "blocks.{i}.attn.qkv -> layer.{i}.(query|key|value) via chunk(dim=0)",
        "layer.{i}.(query|key|value) -> blocks.{i}.attn.qkv via concat(dim=0)",
        "**.experts.{e:int}.w1.weight -> **.experts.w1 via stack(dim=0)",
        "h.*.attn.c_attn.weight -> h.*.attn.in_proj_weight via transpose(0, 1)",
        "[base.{m:**}.weight, ad.{m}.lora_A.weight, ad.{m}.lora_B.weight] -> {m}.weight via lora(alpha=16)",
        "(a|b|c).{k:**} -> {k} via mean    # a model soup of three sources",
        'layers.{i}.wq.weight -> layers.{i}.wq.weight via rearrange("(h d two) e -> (h two d) e", h=$heads, two=2)',
        "embed.weight -> embed.weight via slice(0, 32000) | pad(32064, fill='mean')",
        "attn.c_qkv -> attn.(q|k|v) via split([4096, 1024, 1024], dim=0)",
        "modul.encoder_q.** -> **",
    ],
    "create": ["pos.bias -> zeros(1, 768)", "mean -> tensor([0.485, 0.456, 0.406])", "head -> Linear(768, 10)"],
    "layer": [
        "fc -> Linear(2048, 10)",
        "fc -> Sequential(Dropout(0.2), old)",
        "fc -> Linear(old.in_features, 10)",
        "conv1 -> Conv2d(4, 64, ...)",
        "fc → Linear(2048, 10), conv1 → Conv2d(4, 64, ...)",
        "**[SiLU]               -> ReLU6(inplace=True)",
        "**[SqueezeExcitation]  -> Identity()",
        "**[BatchNorm2d]        -> GroupNorm(8, old.num_features) with old",
        "conv1 -> Conv2d(4, 64, ...) with overlap(fill='mean')",
        "conv1 -> Conv2d(4, 64, ...) with adapt_channels(4)",
        "fc -> Linear(old.in_features, $num_classes), conv1 -> Conv2d(4, 64, ...) with overlap",
    ],
    "cast": ["**.norm* -> float32, ** -> bfloat16"],
    "device": ["features -> cuda:0 or cpu, ** -> cpu"],
    "init": ["classifier.1.weight -> trunc_normal_(std=0.02)"],
    "set": ["**[BatchNorm2d] -> eps=1e-3, momentum=0.01"],
    "tie": ["lm_head.weight -> embed.weight"],
}
SELECTORS = [
    "**[BatchNorm2d]",
    "features.**[Conv2d|Linear].weight",
    "** except fc | conv1",
    "features",
    "optional b | c",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in RULES.items() for text in texts])
def test_the_rules_of_the_description(kind: str, text: str) -> None:
    for rule in parse_rules(Text.plain(text), kind):
        assert parse_rules(Text.plain(str(rule)), kind) == (rule,)


@pytest.mark.parametrize("text", SELECTORS)
def test_the_selectors_of_the_description(text: str) -> None:
    (item,) = parse_selector(Text.plain(text)).items
    assert parse_selector(Text.plain(str(item))).items == (item,)


KINDS = {
    "rename": "key",
    "copy": "key",
    "convert": "key",
    "create": "create",
    "replace_layer": "layer",
    "cast": "cast",
    "device_map": "device",
    "init": "init",
    "set": "set",
    "tie": "tie",
}


def rules_in(node: Node | None) -> list[tuple[str, Text]]:
    """The texts of the rules of a recipe, with their kinds."""
    found: list[tuple[str, Text]] = []
    if isinstance(node, MapNode):
        for name, value in node:
            if name in KINDS:
                scalars = value.items if hasattr(value, "items") else [value]
                found += [(KINDS[name], scalar.text) for scalar in scalars if isinstance(scalar, Scalar)]
            else:
                found += rules_in(value)
    elif node is not None and hasattr(node, "items"):
        for item in node.items:
            found += rules_in(item)
    return found


@pytest.mark.parametrize("file", sorted(resource("recipes").glob("**/*.yaml")), ids=lambda file: file.stem)
def test_the_rules_of_the_shipped_recipes(file) -> None:  # type: ignore[no-untyped-def]
    texts = rules_in(parse_document(file.read_text(encoding="utf-8"), file.name))
    for kind, text in texts:
        for rule in parse_rules(text, kind):
            assert parse_rules(Text.plain(str(rule)), kind) == (rule,)


def test_efficientnet_lite(rename: Rename) -> None:
    (document,) = resource("recipes").glob("**/efficientnet_lite0.yaml")
    ((_, text),) = [
        (kind, text)
        for kind, text in rules_in(parse_document(document.read_text(encoding="utf-8"), document.name))
        if kind == "key"
    ]
    expected = {
        "_conv_stem.weight": "features.0.0.weight",
        "_bn0.running_var": "features.0.1.running_var",
        "_blocks.0._bn2.weight": "features.1.0.block.2.1.weight",
        "_blocks.1._expand_conv.weight": "features.2.0.block.0.0.weight",
        "_blocks.10._project_conv.weight": "features.5.2.block.3.0.weight",
        "_blocks.15._bn2.bias": "features.7.0.block.3.1.bias",
        "_bn1.weight": "features.8.1.weight",
        "_fc.bias": "classifier.1.bias",
    }
    assert rename(text.value, *expected) == expected


def test_depth_upscale(rename: Rename) -> None:
    copied = rename(
        "model.layers.{i:int} if 8 <= i < 24 -> tail.layers.{i + 16}",
        "model.layers.7.w",
        "model.layers.8.w",
        "model.layers.23.w",
    )
    assert copied == {"model.layers.8.w": "tail.layers.24.w", "model.layers.23.w": "tail.layers.39.w"}
    rules = "tail.layers.{i:int} -> model.layers.{i}\nmodel.layers.{i:int} if i >= 24 -> model.layers.{i + 16}"
    keys = ["tail.layers.24.w", "model.layers.23.w", "model.layers.24.w", "model.layers.31.w"]
    moved = {
        "tail.layers.24.w": "model.layers.24.w",
        "model.layers.24.w": "model.layers.40.w",
        "model.layers.31.w": "model.layers.47.w",
    }
    assert rename(rules, *keys) == moved


def test_a_soup_and_its_counters(rename: Rename) -> None:
    rules = "(a|b|c).{key:**} if floating -> {key} via mean\noptional a.{key:**} -> {key}"
    assert rename(rules, "b.fc.weight") == {"b.fc.weight": "fc.weight"}
