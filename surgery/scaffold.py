"""``surgery new``: the text of a new recipe, which can be read, checked and planned as it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from surgery.content import FORMAT
from surgery.document.emit import emit, scalar
from surgery.formatting import SCHEMA_LINE, format_recipe
from surgery.lang.path import Literal, Path, Segment
from surgery.wording import counted
from surgery.wrappers import WRAPPERS

__all__ = ["new_recipe"]

#: more children of the root than this are not listed one by one
_MOST = 12


def new_recipe(
    name: str,
    *,
    source: Mapping[str, Any] | None = None,
    tensors: Mapping[str, tuple[int, ...]] | None = None,
) -> str:
    """The text of a new recipe.

    Args:
        name: what it is called; its output is named after it.
        source: the source as a recipe holds it: ``{"torchvision": "resnet50", "weights": "DEFAULT"}`` or
            ``{"checkpoint": "model.pth"}``. Without one, a parameter takes the path of a checkpoint.
        tensors: key -> shape of the source, where they are known; the steps then speak of them.

    >>> print(new_recipe("moco", source={"checkpoint": "moco.pth"}, tensors={"module.fc.weight": (10, 8)}), end="")
    # yaml-language-server: $schema=recipe.schema.json
    surgery: 1
    name: moco
    description: One sentence on what this recipe does.
    source: {checkpoint: moco.pth}
    steps:
      - unwrap: true
      - rename: |
          # selector -> new key; what stands on both sides is kept
          fc -> fc  # 1 tensor
    output: moco.safetensors
    """
    words: dict[str, Any] = {
        "surgery": FORMAT,
        "name": name,
        "description": "One sentence on what this recipe does.",
    }
    if source is None:
        words["params"] = {"checkpoint": {"type": "path", "help": "the checkpoint to operate on"}}
        source = {"checkpoint": "$checkpoint"}
    # a dollar sign in a path is one, and names no parameter
    else:
        source = {word: _escaped(value) for word, value in source.items()}
    parts = [emit({**words, "source": source}), _steps(tensors, is_model="torchvision" in source)]
    parts.append(f"output: {scalar(_escaped(PurePath(name).name + '.safetensors'))}\n")
    return format_recipe(f"{SCHEMA_LINE}\n{''.join(parts)}", name)


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {word: _escaped(inner) for word, inner in value.items()}
    return value.replace("$", "$$") if isinstance(value, str) else value


def _steps(tensors: Mapping[str, tuple[int, ...]] | None, *, is_model: bool) -> str:
    if not tensors and is_model:
        return "steps:\n  - mode: eval\n"
    if not tensors:
        return _block(["optional module.** -> **"], "rename")
    if is_model:
        return _head(tensors)
    wrapper = next((wrapper for wrapper in WRAPPERS if all(key.startswith(f"{wrapper}.") for key in tensors)), None)
    keys = [_unwrapped(key) for key in tensors] if wrapper else list(tensors)
    children = Counter(key.split(".")[0] for key in keys)
    # no selector names a segment of no characters
    if len(children) > _MOST or "" in children:
        rules = ["** -> **"]
    else:
        rules = [f"{_path(child)} -> {_path(child)}  # {counted(count, 'tensor')}" for child, count in children.items()]
    return _block(rules, "rename", before="  - unwrap: true\n" if wrapper else "")


def _head(tensors: Mapping[str, tuple[int, ...]]) -> str:
    """A step that replaces the last linear layer, the usual first operation on a model."""
    linear = [
        key.removesuffix(".weight") for key, shape in tensors.items() if key.endswith(".weight") and len(shape) == 2
    ]
    if not linear:
        return "steps:\n  - mode: eval\n"
    return _block([f"{_path(linear[-1])} -> Linear(old.in_features, 10)"], "replace_layer")


def _unwrapped(key: str) -> str:
    while key.startswith(tuple(f"{wrapper}." for wrapper in WRAPPERS)):
        key = key.partition(".")[2]
    return key


def _path(key: str) -> str:
    return str(Path(tuple(Segment((Literal(segment),)) for segment in key.split("."))))


def _block(rules: list[str], step: str, *, before: str = "") -> str:
    what = "selector -> new key; what stands on both sides is kept" if step == "rename" else "selector -> layer"
    lines = "".join(f"      {rule}\n" for rule in rules)
    return f"steps:\n{before}  - {step}: |\n      # {what}\n{lines}"
