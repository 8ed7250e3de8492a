"""What torch and numpy call the operations, for the suggestion under an error."""

from __future__ import annotations

__all__ = ["TORCH_NAMES"]

#: name elsewhere -> how it is written here
TORCH_NAMES: dict[str, str] = {
    "average": "mean",
    "bfloat16": "cast(bfloat16)",
    "cat": "concat",
    "concatenate": "concat",
    "div": "scale(1 / …)",
    "double": "cast(float64)",
    "expand": "repeat",
    "float": "cast(float32)",
    "half": "cast(float16)",
    "hsplit": "chunk(dim=1)",
    "hstack": "concat(dim=1)",
    "index_select": "select",
    "interpolate": "resize",
    "mm": "matmul",
    "narrow": "slice",
    "ravel": "flatten",
    "swapaxes": "transpose",
    "T": "transpose(0, 1)",
    "t": "transpose(0, 1)",
    "tensor_split": "split",
    "tile": "repeat",
    "to": "cast",
    "type": "cast",
    "unbind": "unstack",
    "unflatten": "reshape",
    "view": "reshape",
    "vsplit": "chunk",
    "vstack": "concat",
}
