"""Imported recipes beside transformers' own functions, key by key: of a sample of model types, or of every one.

``pytest tests/importers --every-model`` goes through all of transformers' registry and all of its conversion mapping,
which takes some twenty minutes. The tables below say which types are left out, and why; entries that have become
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

#: model type -> why its recipe says less than transformers does
LEFT_OUT: dict[str, str] = {}

#: model type -> why its keys come out otherwise
OTHERWISE: dict[str, str] = {}

#: model type -> why there is no model to import from, but for a part of another model that has none of its own
UNBUILT: dict[str, str] = {}


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
    if model_type in LEFT_OUT or model_type in OTHERWISE:
        assert found != wanted, "the table says that they differ"
    else:
        assert found == wanted


def test_saving_gives_the_keys_of_transformers(model_type: str, model: Any, saved: Any, imported: Any) -> None:
    state = model.state_dict()
    recipe, steps = imported(model, reverse=True)
    if not steps.left_out and model_type not in OTHERWISE:
        assert planned(recipe, state) == shapes(saved(model, state))


TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 40}

#: what converts tensors, small enough to have values
CONVERTING = [
    ("MixtralForCausalLM", {**TINY, "num_key_value_heads": 2, "num_local_experts": 3}),
    ("Qwen3MoeForCausalLM", {**TINY, "num_key_value_heads": 2, "num_experts": 3, "moe_intermediate_size": 24}),
    ("Dinov2Model", {**TINY, "use_swiglu_ffn": True, "image_size": 28, "patch_size": 14}),
    ("HrmTextForCausalLM", {**TINY, "num_key_value_heads": 4}),
    ("Molmo2TextModel", {**TINY, "num_key_value_heads": 2, "head_dim": 8}),
    ("RadioModel", {**TINY, "image_size": 32, "patch_size": 16}),
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
