"""Models to operate on, and what a subject becomes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from surgery.engine.evaluate import materialise
from surgery.model.assemble import assemble
from surgery.tensors.subject import Subject


class Small(nn.Module):
    """A convolution, a norm, a shared activation, two tied layers, and tensors that no state dict has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.SiLU()
        self.again = self.act
        self.fc = nn.Linear(8, 6)
        self.embed = nn.Linear(6, 5)
        self.head = nn.Linear(6, 5)
        self.head.weight = self.embed.weight
        self.register_buffer("grid", torch.arange(5.0), persistent=False)
        self.anchors = torch.linspace(0, 1, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.again(self.act(self.bn(self.conv1(x)))).mean((2, 3))
        return self.head(self.fc(x)) + self.grid * self.anchors


@pytest.fixture
def small() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = Small()
        nn.init.normal_(model.bn.running_mean)
    return model


@pytest.fixture
def finished() -> Callable[[Subject], nn.Module]:
    """The model of a subject, with its tensors."""
    return lambda subject: assemble(subject, materialise(subject.entries))
