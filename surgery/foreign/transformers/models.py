"""A model of transformers by its type, its class, or a configuration: built on the meta device, where it costs nothing.

transformers decides by the classes of a model and of its parts which rules apply, and by its keys which prefix is
added; so there has to be a model. It is the command of the user that names transformers: nothing else is imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from surgery.diagnostics import SurgeryError, fail
from surgery.suggest import did_you_mean

__all__ = ["model_of"]

#: the classes that a model type stands for: the first that it has
_TASKS = ("SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "IMAGE_TEXT_TO_TEXT", "MASKED_LM", "CAUSAL_LM", "CTC",
          "IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "UNIVERSAL_SEGMENTATION", "SEMANTIC_SEGMENTATION")  # fmt: skip


def model_of(words: str) -> Any:
    """The model, on the meta device.

    Args:
        words: a model type, the name of a class, or the path of a `config.json` or of the directory it lies in.

    Raises:
        SurgeryError: ``import-failed``: there is no transformers, or it cannot build the model; ``unknown-model``.
    """
    try:
        from transformers.core_model_loading import WeightTransform  # noqa: F401  # since version 5
    except ImportError as error:
        note = "`pip install 'transformers>=5'` installs it"
        raise fail("import-failed", f"transformers 5 cannot be imported: {error}", notes=(note,)) from error
    _library().logging.set_verbosity_error()
    cls, config = _class_of(words)
    return _built(cls, config, words)


def _library() -> Any:
    """transformers, whose names are found as they are asked for."""
    import transformers

    return transformers


def _class_of(words: str) -> tuple[Any, Any]:
    """The class of the model, and its configuration."""
    transformers = _library()
    types = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if words in types:
        config = _made(lambda: transformers.AutoConfig.for_model(words), words)
        return _for_type(config, words), config
    if os.sep in words or words.endswith(".json") or os.path.isdir(words):
        return _from_file(words)
    cls = getattr(transformers, words, None) if words.isidentifier() else None
    config_class = getattr(cls, "config_class", None)
    if isinstance(cls, type) and config_class is not None:
        return cls, _made(config_class, words)
    near = did_you_mean(words, types)
    message = f"transformers {transformers.__version__} has no model type and no model class `{words}`"
    raise fail("unknown-model", message, notes=(near,) if near else ("or the path of a `config.json`",))


def _from_file(words: str) -> tuple[Any, Any]:
    transformers = _library()
    path = Path(words) / "config.json" if os.path.isdir(words) else Path(words)
    if not path.is_file():
        raise fail("no-file", f"there is no file `{path}`")
    read = transformers.AutoConfig.from_pretrained
    config = _made(lambda: read(str(path), local_files_only=True, trust_remote_code=False), words)
    named = (getattr(config, "architectures", None) or [None])[0]
    cls = getattr(transformers, named, None) if isinstance(named, str) and named.isidentifier() else None
    if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel):
        return cls, config
    return _for_type(config, words), config


def _for_type(config: Any, words: str) -> Any:
    modeling_auto = _library().models.auto.modeling_auto
    first = [*(f"MODEL_FOR_{task}_MAPPING" for task in _TASKS), "MODEL_MAPPING"]
    others = [name for name in vars(modeling_auto) if name.startswith("MODEL_FOR_") and name.endswith("_MAPPING")]
    for name in dict.fromkeys((*first, *others)):
        mapping = getattr(modeling_auto, name)
        if type(config) in mapping:
            found = _made(lambda mapping=mapping: mapping[type(config)], words)
            model_class = found[0] if isinstance(found, tuple) else found
            # a model of several parts may be listed with the class of its text part
            if isinstance(config, getattr(model_class, "config_class", None) or object):
                return model_class
    raise fail("unknown-model", f"transformers has a configuration for `{words}`, but no model")


def _built(cls: Any, config: Any, words: str) -> Any:
    import torch

    with torch.device("meta"):
        return _made(lambda: cls(config), words)


def _made(make: Any, words: str) -> Any:
    """What a call of transformers gives. What it may raise has no bounds: it runs the code of any of its models."""
    try:
        return make()
    except SurgeryError:
        raise
    except Exception as error:
        message = f"transformers cannot build `{words}`: {type(error).__name__}: {error}"
        note = "`transformers:PATH/config.json` takes a configuration, in place of the default one"
        raise fail("import-failed", message, notes=(note,)) from error
