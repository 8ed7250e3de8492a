"""Classify two photographs with the weights that `recipes/efficientnet_lite0.yaml` wrote.

The model is built by hand here, in plain PyTorch, so that the file is judged and not the program that wrote it:
torchvision's EfficientNet-B0, its squeeze-excitation blocks replaced by Identity, its SiLUs by ReLU6.

    python docs/demo.py efficientnet_lite0.safetensors
"""

from __future__ import annotations

import sys

import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from torch import nn
from torchvision.models import EfficientNet_B0_Weights, efficientnet_b0
from torchvision.ops import SqueezeExcitation
from torchvision.transforms import v2


def lite0() -> nn.Module:
    """EfficientNet-Lite0 made of torchvision's EfficientNet-B0."""
    model = efficientnet_b0(weights=None)
    for name, module in list(model.named_modules()):
        parent, _, child = name.rpartition(".")
        if isinstance(module, SqueezeExcitation):
            setattr(model.get_submodule(parent), child, nn.Identity())
        elif isinstance(module, nn.SiLU):
            setattr(model.get_submodule(parent), child, nn.ReLU6(inplace=True))
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    return model


def main(path: str) -> None:
    """Print the three likeliest classes of each photograph."""
    model = lite0()
    model.load_state_dict(load_file(path))
    model.eval()
    prepare = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    names = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    for title, pixels in [("coffee", data.coffee()), ("chelsea", data.chelsea())]:
        with torch.inference_mode():
            probabilities = model(prepare(Image.fromarray(pixels)).unsqueeze(0)).softmax(1)[0]
        best = probabilities.topk(3)
        found = ", ".join(f"{names[i]} {p:.2f}" for p, i in zip(best.values, best.indices, strict=True))
        print(f"{title}: {found}")


if __name__ == "__main__":
    main(sys.argv[1])
