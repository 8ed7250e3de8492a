"""Models of transformers, what its own loader makes of a state dict, and what an imported recipe makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
import yaml

from surgery.foreign.transformers.models import _class_of, _for_type, model_of
from surgery.importers.base import Imported
from surgery.importers.transformers import steps_of
from surgery.importers.writing import recipe_text
from surgery.recipe import Recipe

State = Mapping[str, torch.Tensor]

_COUNTS = {
    "num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth",
    "num_encoder_layers", "num_decoder_layers", "num_hidden_groups",
    "n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts",
}  # fmt: skip
#: what the default configuration of a type lacks
SETTINGS: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 64, "num_experts_per_tok": 2},
    "esm": {"vocab_size": 33, "pad_token_id": 1},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128, "num_experts": 4},
    "informer": {"prediction_length": 4},
    "lfm2_moe": {"num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8, "head_dim": 128},
    "time_series_transformer": {"prediction_length": 4},
    "timm_backbone": {"backbone": "resnet18"},
    "wav2vec2-bert": {"vocab_size": 32},
    "wav2vec2-conformer": {"vocab_size": 32},
}

_LISTS = {"layer_types", "mlp_layer_types", "layers_block_type"}


def shrunk(config: Any) -> Any:
    """The same configuration with four layers and four experts at most, in its parts too."""
    for name, value in list(vars(config).items()):
        if name in _COUNTS and isinstance(value, int) and value > 4:
            setattr(config, name, 4)
        elif name in _LISTS and isinstance(value, list):
            setattr(config, name, value[:4])
        elif hasattr(value, "model_type") and hasattr(value, "to_dict"):
            shrunk(value)
    return config


@pytest.fixture(scope="session")
def small_model() -> Callable[[str], Any]:
    """A model on the meta device by its type or class: small, or of the default size where that is needed."""

    from transformers import AutoConfig

    def build(words: str) -> Any:
        if words in SETTINGS:
            config = AutoConfig.for_model(words, **SETTINGS[words])
            model_class = _for_type(config, words)
        else:
            model_class, config = _class_of(words)
        try:
            with torch.device("meta"):
                return model_class(shrunk(config))
        except Exception:  # a configuration that does not go with four layers
            return model_of(words)

    return build


@pytest.fixture(scope="session")
def loaded() -> Callable[[Any, State], dict[str, torch.Tensor]]:
    """What transformers' own functions make of a checkpoint as they load it: the heart of its loader, over a dict."""
    from transformers import core_model_loading as loading
    from transformers.conversion_mapping import get_model_conversion_mapping

    def load(model: Any, checkpoint: State) -> dict[str, torch.Tensor]:
        meta, prefix = model.state_dict(), model.base_model_prefix
        mapping = get_model_conversion_mapping(model)
        renamings = [entry for entry in mapping if isinstance(entry, loading.WeightRenaming)]
        converters = [entry for entry in mapping if isinstance(entry, loading.WeightConverter)]
        by_pattern = {pattern: converter for converter in converters for pattern in converter.source_patterns}
        todo: dict[str, Any] = {}
        for key, tensor in sorted(checkpoint.items(), key=lambda item: loading.dot_natural_key(item[0])):
            new, pattern = loading.rename_source_key(key, renamings, converters, prefix, meta)
            if new not in meta and key in meta:
                new, pattern = loading.rename_source_key(key, [], [], prefix, meta)
            if pattern is None:
                transform, pattern = todo.setdefault(new, loading.WeightRenaming(key, new)), key
            else:
                transform = todo.setdefault(new, deepcopy(by_pattern[pattern]))
            transform.add_tensor(new, key, pattern, tensor)
        found: dict[str, torch.Tensor] = {}
        for first, transform in todo.items():
            results = transform.convert(first, model=model, config=model.config)
            found |= {name: value[0] if isinstance(value, list) else value for name, value in results.items()}
        return found

    return load


@pytest.fixture(scope="session")
def saved() -> Callable[[Any, State], dict[str, torch.Tensor]]:
    """What transformers' own function makes of a state dict as it saves it."""
    from transformers.core_model_loading import revert_weight_conversion

    return lambda model, state: {
        key: value.contiguous() for key, value in revert_weight_conversion(model, dict(state)).items()
    }


@pytest.fixture(scope="session")
def imported() -> Callable[..., Recipe]:
    """The imported recipe of a model, read back from its text, for a state dict given from Python."""

    def recipe(model: Any, *, reverse: bool = False) -> tuple[Recipe, Imported]:
        found = Imported("imported", "Imported.", tuple(steps_of(model, reverse=reverse)))
        data = yaml.safe_load(recipe_text(found, "transformers:model"))
        steps = data["steps"] or [{"rename": "** -> **"}]
        return Recipe.of_data({"steps": steps}), found

    return recipe  # type: ignore[return-value]
