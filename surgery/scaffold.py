"""``surgery new``: the text of a new recipe, which can be read, checked and planned as it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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
    tests:
      - name: what goes in, and what comes out
        source:
          keys:
            module.fc.weight: [8, 8]
        expect:
          keys:
            fc.weight: [8, 8]
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
    parts.append(_tests(source, tensors))
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
    wrapper = _wrapper(tensors)
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


def _tests(source: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]] | None) -> str:
    """A test that the recipe passes as it stands, to grow with it."""
    case: dict[str, Any] = {"name": "what goes in, and what comes out"}
    if "torchvision" in source:
        case["source"] = {"torchvision": source["torchvision"]}
        case["expect"] = {"finite": True}
        return emit({"tests": [case]})
    known = tensors or {"module.fc.weight": (10, 4)}
    is_wrapped = _wrapper(known) is not None
    after = {key: _unwrapped(key) if is_wrapped else key for key in known}
    # a rule wants one tensor of its child, and to a rename all shapes are alike
    chosen = list({after[key].split(".")[0]: key for key in reversed(list(known))}.values())[::-1][:_MOST]
    if any("" in key.split(".") for key in chosen):
        return ""
    shapes = {key: [min(size, 8) for size in known[key]] for key in chosen}
    made = {"keys": {_literally(key): shape for key, shape in shapes.items()}}
    if source["checkpoint"] == "$checkpoint":
        case |= {"files": {"in.pth": made}, "params": {"checkpoint": "in.pth"}}
    else:
        case["source"] = made
    case["expect"] = {"keys": {_literally(after[key]): shape for key, shape in shapes.items()}}
    return emit({"tests": [case]})


def _literally(key: str) -> str:
    """A key of which nothing is taken for alternatives."""
    return f'"{key}"' if "(" in key or key.startswith('"') else key


def _wrapper(keys: Iterable[str]) -> str | None:
    """The wrapper that all keys begin with."""
    return next((wrapper for wrapper in WRAPPERS if all(key.startswith(f"{wrapper}.") for key in keys)), None)


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
