"""Rules as people have them, in files and on the command line: what is made of them, and of what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from surgery.diagnostics import SurgeryError
from surgery.importers.base import IMPORTERS, Imported, importer_of
from surgery.importers.writing import recipe_text
from surgery.recipe import Recipe


def read(what: str, *, reverse: bool = False) -> Imported:
    importer, words = importer_of(what)
    return importer.read(words, reverse=reverse)


def converted(imported: Imported, keys: list[str]) -> dict[str, str]:
    """What the recipe, read back from its text, does to keys; the values tell which is which."""
    data = yaml.safe_load(recipe_text(imported, "a test"))
    state = {key: torch.tensor(float(number)) for number, key in enumerate(keys)}
    result = Recipe.of_data({"steps": data["steps"]}).run(state_dict=state).state_dict
    return {keys[int(value)]: key for key, value in result.items()}


#: pairs as they stand in configurations and scripts of public repositories, keys they are for
PUBLIC = {
    "mmengine's default": ([(r"^module\.", "")], ["module.backbone.conv1.weight", "head.weight"]),
    "mmdet: a backbone out of a detector": (
        [(r"^backbone\.", ""), (r"^neck\.", "fpn.")],
        ["backbone.layer1.0.conv1.weight", "neck.lateral_convs.0.conv.bias", "bbox_head.fc_cls.weight"],
    ),
    "mmseg: Swin": (
        [
            (r"^encoder\.", ""),
            ("layers", "stages"),
            (r"attn\.", "attn.w_msa."),
            (r"mlp\.fc1", "ffn.layers.0.0"),
            (r"mlp\.fc2", "ffn.layers.1"),
            (r"patch_embed\.proj", "patch_embed.projection"),
        ],
        [
            "encoder.layers.0.blocks.1.attn.qkv.weight",
            "encoder.patch_embed.proj.bias",
            "encoder.layers.3.blocks.0.mlp.fc2.bias",
        ],
    ),
    "mmaction: 2-D to 3-D": (
        [(r"conv(\d)\.weight", r"conv\1.conv.weight"), (r"bn(\d)\.", r"conv\1.bn.")],
        ["layer1.0.conv2.weight", "layer1.0.bn2.running_mean", "conv1.weight"],
    ),
    "mmpose: a head": (
        [(r"keypoint_head\.", "head."), (r"^head\.final_layers\.0", "head.final_layer")],
        ["keypoint_head.final_layers.0.weight", "backbone.stage2.0.branches.0.conv1.weight"],
    ),
    "mmpretrain: MAE to ViT": (
        [(r"^blocks\.(\d+)\.norm(\d)", r"layers.\1.ln\2"), (r"^norm\.", "ln1."), (r"^cls_token$", "cls")],
        ["blocks.11.norm1.weight", "norm.bias", "cls_token"],
    ),
    "lightning": (
        [(r"^(?:model|net)\.(?:_orig_mod\.)?", "")],
        ["model._orig_mod.conv.weight", "net.fc.bias", "loss.w"],
    ),
    "open_clip: a tower": ([(r"^visual\.(?!proj$)", "trunk.")], ["visual.conv1.weight", "visual.proj", "text.proj"]),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_revise_keys_as_found(name: str) -> None:
    pairs, keys = PUBLIC[name]
    imported = read(f"revise_keys:{pairs!r}")
    assert not imported.left_out
    wanted = {}
    for key in keys:
        new = key
        for pattern, replacement in pairs:
            new = re.sub(pattern, replacement, new)
        wanted[key] = new
    assert converted(imported, keys) == wanted


@pytest.mark.parametrize("kind", ["revise_keys", "replace"])
def test_what_is_replaced_with_nothing_is_dropped(kind: str) -> None:
    """As in the mappings of transformers' scripts for Llama 3.2 and others."""
    imported = read(f"{kind}:{{'rope.freqs': None, 'text': 'language'}}")
    keys = ["text.rope.freqs", "rope.freqs.0", "text.ropes.freqs", "text.norm"]
    assert converted(imported, keys) == {"text.ropes.freqs": "language.ropes.freqs", "text.norm": "language.norm"}


def test_texts_to_replace() -> None:
    """The renames of a script for Segment Anything, as a mapping of texts."""
    texts = {
        "iou_prediction_head.layers.0": "iou_prediction_head.proj_in",
        "mask_decoder.output_upscaling.0": "mask_decoder.upscale_conv1",
        "point_embeddings": "point_embed",
        "image_encoder": "vision_encoder",
        "neck.0": "neck.conv1",
        ".norm": ".layer_norm",
        "blocks": "layers",
    }
    keys = [
        "image_encoder.blocks.0.norm1.weight",
        "image_encoder.neck.0.weight",
        "mask_decoder.output_upscaling.0.bias",
        "prompt_encoder.point_embeddings.3.weight",
        "mask_decoder.iou_prediction_head.layers.0.bias",
    ]
    wanted = {}
    for key in keys:
        new = key
        for old, text in texts.items():
            new = new.replace(old, text)
        wanted[key] = new
    assert converted(read(f"replace:{texts!r}"), keys) == wanted


def rename_keys() -> list[tuple[str, str]]:
    """What a conversion script of DETR builds, a list of pairs."""
    found = []
    for i in range(6):
        for old, new in (
            ("self_attn.out_proj", "self_attn.out_proj"),
            ("linear1", "fc1"),
            ("linear2", "fc2"),
            ("norm1", "self_attn_layer_norm"),
            ("norm2", "final_layer_norm"),
        ):
            for name in ("weight", "bias"):
                found.append((f"transformer.encoder.layers.{i}.{old}.{name}", f"encoder.layers.{i}.{new}.{name}"))
    for i in range(3):
        found.append((f"bbox_embed.layers.{i}.weight", f"bbox_predictor.layers.{i}.weight"))
    found += [
        ("input_proj.weight", "input_projection.weight"),
        ("query_embed.weight", "query_position_embeddings.weight"),
        ("backbone.0.body.layer1.0.conv1.weight", "backbone.conv_encoder.model.layer1.0.conv1.weight"),
        ("backbone.0.body.layer1.0.downsample.0.weight", "backbone.conv_encoder.model.layer1.0.downsample.0.weight"),
        ("backbone.0.body.layer1.0.downsample.1.weight", "backbone.conv_encoder.model.layer1.0.downsample.1.weight"),
    ]
    return found


def test_a_list_of_pairs_is_a_mapping() -> None:
    pairs = rename_keys()
    imported = read(f"dict:{pairs!r}")
    assert converted(imported, [old for old, _ in pairs]) == dict(pairs)
    assert sum(len(step.lines) for step in imported.steps) == 9
    back = read(f"dict:{pairs!r}", reverse=True)
    assert converted(back, [new for _, new in pairs]) == {new: old for old, new in pairs}


def test_a_key_that_the_mapping_has_not_is_an_error() -> None:
    with pytest.raises(SurgeryError) as caught:
        converted(read("dict:{'a': 'b'}"), ["a", "c"])
    assert caught.value.diagnostics[0].code == "unselected-keys"


def test_what_is_mapped_to_nothing_is_dropped_and_nothing_else() -> None:
    mapping = {"layers.0.w": "h.0.w", "layers.1.w": None, "layers.2.w": None, "x.0": None, "x.1": None, "x.0.y": "z"}
    imported = read(f"dict:{mapping!r}")
    assert converted(imported, [*mapping]) == {"layers.0.w": "h.0.w", "x.0.y": "z"}
    assert [line.text for line in imported.steps[0].lines] == [
        "optional layers.1.w",
        "optional layers.2.w",
        "optional x.0 except x.0.*",
        "optional x.1",
    ]


FROM_HF = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.layers.{}.self_attn.q_proj.weight": "layers.{}.attn.q_proj.weight",
    "model.layers.{}.self_attn.rotary_emb.inv_freq": None,
    "model.layers.{}.mlp.experts.{}.w1": "layers.{}.moe.w1",
    "model.norm.weight": "norm.scale",
}


def test_a_map_of_torchtune(tmp_path: Path) -> None:
    file = tmp_path / "weights.py"
    file.write_text(f"import torch\n_OTHER = {{}}\n_FROM_HF = {FROM_HF!r}\n\ndef f():\n    raise SystemExit\n")
    keys = [
        "model.embed_tokens.weight",
        "model.layers.31.self_attn.q_proj.weight",
        "model.layers.7.self_attn.rotary_emb.inv_freq",
        "model.layers.3.mlp.experts.9.w1",
    ]
    assert converted(read(f"torchtune:{file}#_FROM_HF"), keys) == {
        keys[0]: "tok_embeddings.weight",
        keys[1]: "layers.31.attn.q_proj.weight",
        keys[3]: "layers.3.moe.w1",
    }
    assert converted(read("torchtune:{'a.{}.b': 'c.{}.d'}", reverse=True), ["c.12.d"]) == {"c.12.d": "a.12.b"}


LEFT_OUT = [
    ("dict:{'a..b': 'c', 'x': 'y'}", "a key with an empty segment"),
    ("torchtune:{'a{}.b': 'c{}.b', 'x': 'y'}", "a part of a segment"),
    ("torchtune:{'a.{}.b': '{}.{}', 'x': 'y'}", "more `{}` in the new key"),
    ("torchtune:{'a..b': 'c', 'x': 'y'}", "a key with an empty segment"),
    (r"revise_keys:[('[a-z]x', ''), ('^x', 'y')]", "one of many characters"),
    (r"revise_keys:[('$', '.weight'), ('^x', 'y')]", "adds text to the end of every key"),
    (r"revise_keys:[('x*', 'z'), ('^x', 'y')]", "repeated"),
    ("replace:{'': '-', 'x': 'y'}", "finds nothing"),
]


@pytest.mark.parametrize(("what", "why"), LEFT_OUT)
def test_what_has_no_form_is_left_out_in_its_place(what: str, why: str) -> None:
    imported = read(what)
    assert [why in (line.why or "") for line in imported.left_out] == [True]
    assert f"no rule says this: {imported.left_out[0].why}" in recipe_text(imported, what)
    assert converted(imported, ["x"]) == {"x": "y"}


WRONG = [
    ("nothing", "usage"),
    (":x", "usage"),
    ("dict:", "usage"),
    ("dicts:{'a': 'b'}", "usage"),
    ("base:x", "usage"),
    ("dict:missing.json", "no-file"),
    ("dict:{'a': 1}", "import-rule"),
    ("dict:{'a': f()}", "import-rule"),
    ("dict:{'a': 'b', 'a': 'c'}", "import-rule"),
    ("dict:[('a', 'b'), ('a', 'c')]", "import-rule"),
    ("dict:[1, 2]", "import-rule"),
    ("dict:{}", "import-rule"),
    ("dict:{1: 'a'}", "import-rule"),
    ("dict:{'a': ", "yaml"),
    ("revise_keys:['a', 'b', 'c']", "import-rule"),
    ("revise_keys:{'a': 1}", "import-rule"),
    ("replace:" + "[" * 500, "yaml"),
]


@pytest.mark.parametrize(("what", "code"), WRONG)
def test_what_is_wrong_is_said(what: str, code: str) -> None:
    with pytest.raises(SurgeryError) as caught:
        read(what)
    assert caught.value.diagnostics[0].code in (code, "too-large")


@pytest.mark.parametrize("kind", ["revise_keys", "replace"])
def test_one_way(kind: str) -> None:
    with pytest.raises(SurgeryError, match="one way"):
        read(f"{kind}:[['a', 'b']]", reverse=True)


def test_two_keys_that_become_one_have_no_way_back() -> None:
    with pytest.raises(SurgeryError, match="no way back"):
        read("dict:{'a': 'c', 'b': 'c'}", reverse=True)


def test_python_is_read_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    file = tmp_path / "rules.py"
    file.write_text(f"open({str(canary)!r}, 'w')\nM = {{'a': open({str(canary)!r}, 'w')}}\n")
    with pytest.raises(SurgeryError) as caught:
        read(f"dict:{file}")
    assert caught.value.diagnostics[0].span is not None
    assert not canary.exists()


SOURCES = [
    ("keys.json", '{"a.b": "c"}'),
    ("keys.yaml", "a.b: c\n"),
    ("keys.py", "# a comment\nKEYS: dict = {'a.b': 'c'}\n"),
    ("keys.py", "model = dict(init_cfg=dict(revise_keys=[('a.b', 'c')]))\n"),
    ("keys.txt", "[[a.b, c]]\n"),
]


@pytest.mark.parametrize(("name", "text"), SOURCES)
def test_files_of_all_kinds(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert converted(read(f"dict:{tmp_path / name}"), ["a.b"]) == {"a.b": "c"}


def test_a_python_file_with_several_dicts_wants_a_name(tmp_path: Path) -> None:
    (tmp_path / "keys.py").write_text("A = {'a': 'b'}\nB = {'a': 'c'}\n")
    with pytest.raises(SurgeryError, match="names one of: A, B"):
        read(f"dict:{tmp_path / 'keys.py'}")
    with pytest.raises(SurgeryError, match="did you mean"):
        read(f"dict:{tmp_path / 'keys.py'}#BB")
    assert converted(read(f"dict:{tmp_path / 'keys.py'}#B"), ["a"]) == {"a": "c"}


CHANGED = ["A.update({'c': 'd'})", "A['c'] = 'd'", "A |= {'c': 'd'}", "del A['a']", "A = {'c': 'd'}", "f(A={'c': 'd'})"]


@pytest.mark.parametrize("line", CHANGED)
def test_a_value_that_code_changes_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "keys.py").write_text(f"B = {{}}\nA = {{'a': 'b'}}\nB['x'] = A['a']\n{line}\n")
    with pytest.raises(SurgeryError, match="`A` gets another value here") as caught:
        read(f"dict:{tmp_path / 'keys.py'}")
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert span.line == 4


def test_every_importer_says_what_it_is() -> None:
    for name in IMPORTERS:
        importer: Any = IMPORTERS[name]
        assert importer.__doc__
        assert importer.example.startswith(f"{name}:")
