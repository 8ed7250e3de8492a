"""Building a model, replacing two layers, loading its weights: by recipe, and as people write it.

    python -m benchmarks.models --rounds 5

Printed are whole processes, and the peak above what importing torch and torchvision takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.pairs import compare, measure, python

MAKE = """
import sys, torch, torchvision
torch.save(getattr(torchvision.models, sys.argv[1])().state_dict(), sys.argv[2])
"""
OURS = """
import sys, surgery
head, stem = sys.argv[3:]
result = surgery.run({
    "source": {"torchvision": sys.argv[1], "weights": sys.argv[2]},
    "steps": [{"replace_layer": f"{head} -> Linear(old.in_features, 10), {stem} -> Conv2d(4, ...)"}, {"mode": "eval"}],
})
assert not result.model.training
"""
THEIRS = """
import sys, torch, torchvision
from torch import nn
head, stem = sys.argv[3:]
model = getattr(torchvision.models, sys.argv[1])()
model.load_state_dict(torch.load(sys.argv[2], weights_only=True))
old = model.get_submodule(head)
parent, _, name = head.rpartition(".")
setattr(model.get_submodule(parent), name, nn.Linear(old.in_features, 10))
old = model.get_submodule(stem)
new = nn.Conv2d(4, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)
parent, _, name = stem.rpartition(".")
setattr(model.get_submodule(parent), name, new)
model.eval()
"""
IMPORTS = "import torch, torchvision"
PLAN = OURS.replace("surgery.run(", "surgery.load(").replace("})\nassert not result.model.training", "}).plan()")
MODELS = {"resnet101": ("fc", "conv1"), "vit_l_16": ("heads.head", "conv_proj")}


def main() -> None:
    """Compare for each model."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    imports = measure(python(IMPORTS)).megabytes
    print(f"ours, beside the usual code; importing torch and torchvision alone takes {imports:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        for model, (head, stem) in MODELS.items():
            weights = Path(folder, f"{model}.pth")
            measure(python(MAKE, model, weights))
            words = (model, weights, head, stem)
            compare(f"{model}: build, replace two layers, load", python(OURS, *words), python(THEIRS, *words), rounds)
            plan, ours, usual = (
                statistics.median(measure(python(code, *words)).megabytes for _ in range(3)) - imports
                for code in (PLAN, OURS, THEIRS)
            )
            size = weights.stat().st_size / 2**20
            print(f"  above the imports: plan {plan:.0f}, run {ours:.0f}, usual {usual:.0f}; model {size:.0f} MB")


if __name__ == "__main__":
    main()
