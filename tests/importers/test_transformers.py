"""Imported recipes beside transformers' own functions, key by key: of a sample of model types, or of every one.

``pytest tests/importers --every-model`` goes through all of transformers' registry and all of its conversion mapping,
which takes some ten minutes. The tables below say which types are left out, and why; entries that have become
wrong fail, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.importers.base import IMPORTERS

transformers = pytest.importorskip("transformers", minversion="5.0")

#: each with something of its own: experts, split and joined projections, scopes, lookarounds, prefixes, groups
SAMPLE = (
    "bert", "deepseek_v4", "detr", "dinov2", "gpt_neox", "hrm_text", "hy_v4_vl", "kimi_k25", "llama", "llava",
    "maskformer", "minimax_m3_vl", "mixtral", "molmo2", "qwen2_5_vl", "qwen3_vl_moe", "radio", "rf_detr", "swin",
    "timm_wrapper", "vit", "ViTForImageClassification", "MixtralModel",
)  # fmt: skip

#: model type -> what its recipe leaves out, which transformers does in code
LEFT_OUT = {
    "dory": "LayerPairCollapse: numbers of layers halved, and blocks told apart by odd and even",
    "ernie4_5_vl_moe": "ErnieFuseAndSplitTextVisionExperts: experts of text and vision told apart by half their number",
    "inkling2": "Inkling2IndexOffsetWeightRename, Inkling2UnpadVocab",
    "inkling2_loop": "the same, and experts that are dequantised",
    "inkling2_loop_text": "the same",
    "inkling2_text": "the same",
}

#: model type -> why the model cannot be built from its default configuration; parts of models without a model class are
#: passed over by themselves
UNBUILT = {
    "Emu3Model": "a vocabulary is missing",
    "BeitForSemanticSegmentation": "indices of layers are missing",
    "Sapiens2ForSemanticSegmentation": "sizes are missing",
    "aya_vision": "sizes that do not go together",
    "chameleon": "a vocabulary is missing",
    "cohere_compass": "a kind of rope is missing",
    "cohere_compass_text": "a kind of rope is missing",
    "dbrx": "a setting of rope is missing",
    "deepseek_ocr2": "settings of a part are missing",
    "diffusion_gemma": "a size is missing",
    "dinat": "needs natten",
    "emu3": "a vocabulary is missing",
    "gemma4_assistant": "settings that do not go together",
    "granite4_vision": "a list is missing",
    "hunyuan_vl": "the size of a head is missing",
    "hunyuan_vl_text": "the size of a head is missing",
    "layoutlmv2": "needs detectron2",
    "moonshine_streaming": "a number of heads is missing",
    "nougat": "a part of a type that is not registered",
    "perception_lm": "settings of a part are missing",
    "pp_ocrv5_server_det": "settings of a backbone are missing",
    "pp_ocrv6_medium_det": "settings of a backbone are missing",
    "qwen3_omni_moe": "a size is missing",
    "qwen4_exp": "numbers of a part are missing",
    "qwen4_exp_text": "numbers of a part are missing",
    "sapiens2": "sizes are missing",
    "t5gemma2_encoder": "a setting is missing",
    "vitmatte": "a list that is a tuple",
    "voxtral_realtime_text": "its class is not exported",
}


def every_type() -> list[str]:
    """The model types of transformers' registry, and the classes that its conversion mapping names."""
    from transformers import conversion_mapping
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    conversion_mapping.get_checkpoint_conversion_mapping("bert")
    mapping = conversion_mapping._checkpoint_conversion_mapping_cache
    return list(dict.fromkeys([*CONFIG_MAPPING_NAMES, *mapping]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "model_type" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-model")
        metafunc.parametrize("model_type", every_type() if every else SAMPLE)


def shapes(state: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def planned(recipe: Any, state: Any) -> dict[str, tuple[int, ...]]:
    """The keys and shapes that a recipe gives for tensors of these shapes; none of them takes memory."""
    given = {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in state.items()}
    return {key: entry.spec.shape for key, entry in recipe.plan(state_dict=given).subject.entries.items()}


@pytest.fixture
def model(model_type: str, small_model: Callable[[str], Any]) -> Any:
    try:
        built = small_model(model_type)
    except SurgeryError as error:
        code = error.diagnostics[0].code
        if model_type in UNBUILT or code == "unknown-model":
            pytest.skip(UNBUILT.get(model_type, "a part of another model, or no model at all"))
        raise
    assert model_type not in UNBUILT, "it can be built after all"
    return built


def test_loading_gives_the_keys_of_transformers(
    model_type: str, model: Any, loaded: Any, saved: Any, imported: Any
) -> None:
    state = model.state_dict()
    checkpoint = {
        key: torch.empty(value.shape, dtype=value.dtype, device="meta") for key, value in saved(model, state).items()
    }
    recipe, steps = imported(model)
    found, wanted = planned(recipe, checkpoint), shapes(loaded(model, checkpoint))
    assert bool(steps.left_out) == (model_type in LEFT_OUT)
    # as transformers saves it, dory has no two blocks for a layer; it does not write what it reads
    assert (found == wanted) == (model_type not in LEFT_OUT or model_type == "dory")


def test_saving_gives_the_keys_of_transformers(model_type: str, model: Any, saved: Any, imported: Any) -> None:
    state = model.state_dict()
    recipe, steps = imported(model, reverse=True)
    assert bool(steps.left_out) == (model_type in LEFT_OUT)
    if not steps.left_out:
        assert planned(recipe, state) == shapes(saved(model, state))


TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 40}

VISION = {name: value for name, value in TINY.items() if name != "vocab_size"}

#: what converts tensors, small enough to have values
CONVERTING = [
    ("MixtralForCausalLM", {**TINY, "num_key_value_heads": 2, "num_local_experts": 3}),
    ("Qwen3MoeForCausalLM", {**TINY, "num_key_value_heads": 2, "num_experts": 3, "moe_intermediate_size": 24}),
    ("Dinov2Model", {**TINY, "use_swiglu_ffn": True, "image_size": 28, "patch_size": 14}),
    ("HrmTextForCausalLM", {**TINY, "num_key_value_heads": 4}),
    ("Molmo2TextModel", {**TINY, "num_key_value_heads": 2, "head_dim": 8}),
    ("RadioModel", {**TINY, "image_size": 32, "patch_size": 16}),
    (
        "Kimi_K25ForConditionalGeneration",
        {
            "vision_config": {**VISION, "pos_emb_height": 4, "pos_emb_width": 4},
            "text_config": {
                **TINY,
                "num_key_value_heads": 4,
                "n_routed_experts": 4,
                "n_group": 1,
                "topk_group": 1,
                "first_k_dense_replace": 1,
                "moe_intermediate_size": 16,
                "q_lora_rank": 16,
                "kv_lora_rank": 8,
                "qk_rope_head_dim": 8,
                "v_head_dim": 8,
                "qk_nope_head_dim": 8,
                "num_experts_per_tok": 2,
            },
        },
    ),
]


@pytest.mark.parametrize(("name", "settings"), CONVERTING, ids=lambda value: value if isinstance(value, str) else "")
def test_tensors_are_those_of_transformers_bit_for_bit(
    name: str, settings: dict[str, Any], loaded: Any, saved: Any, imported: Any
) -> None:
    model_class = getattr(transformers, name)
    with torch.device("meta"):
        model = model_class(model_class.config_class(**settings))
    generator = torch.Generator().manual_seed(0)
    state = {key: torch.rand(value.shape, generator=generator) for key, value in model.state_dict().items()}
    checkpoint = saved(model, state)
    assert set(checkpoint) != set(state)
    there, steps = imported(model)
    back, _ = imported(model, reverse=True)
    assert not steps.left_out
    _same(there.run(state_dict=checkpoint).state_dict, loaded(model, checkpoint))
    _same(back.run(state_dict=state).state_dict, checkpoint)


def _same(found: Any, wanted: Any) -> None:
    assert found.keys() == wanted.keys()
    different = [key for key, value in wanted.items() if not torch.equal(found[key], value)]
    assert different == []


def test_a_configuration_gives_sizes_and_class(tmp_path: Any) -> None:
    config = transformers.MixtralConfig(**TINY, num_key_value_heads=2, num_local_experts=3)
    config.architectures = ["MixtralModel"]
    config.save_pretrained(tmp_path)
    for words in (str(tmp_path), str(tmp_path / "config.json")):
        found = IMPORTERS["transformers"].read(words)
        assert "`MixtralModel`" in found.notes[0]
        assert found.steps[-1].lines[0].text == (
            "optional model.(embed_tokens|layers|norm) -> (embed_tokens|layers|norm)"
        )


@pytest.mark.parametrize("words", ["mixtrall", "no/such/config.json", "AutoModel", "__init__", "logging"])
def test_what_there_is_none_of(words: str) -> None:
    with pytest.raises(SurgeryError) as caught:
        IMPORTERS["transformers"].read(words)
    assert caught.value.diagnostics[0].code in ("unknown-model", "no-file")


def test_a_configuration_is_data(tmp_path: Any) -> None:
    """What a configuration says of code of its own is not run."""
    canary = tmp_path / "ran"
    (tmp_path / "code.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (tmp_path / "config.json").write_text('{"model_type": "odd", "auto_map": {"AutoConfig": "code.Odd"}}')
    with pytest.raises(SurgeryError) as caught:
        IMPORTERS["transformers"].read(str(tmp_path))
    assert caught.value.diagnostics[0].code == "import-failed"
    assert not canary.exists()
