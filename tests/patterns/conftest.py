"""What people do with models: each pattern as a recipe, and the same in plain PyTorch beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory to work in, and a generator that is as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield tmp_path


@pytest.fixture
def same() -> Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], None]:
    """Two state dicts hold the same bits under the same keys, in the same order."""

    def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
        assert list(found) == list(expected)
        wrong = [k for k, t in expected.items() if t.dtype != found[k].dtype or not torch.equal(t, found[k])]
        assert not wrong

    return compare


@pytest.fixture
def shaken() -> Callable[[nn.Module], nn.Module]:
    """Give every tensor of a model values that no initialiser gives; the model is in evaluation mode then."""

    def shake(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for key, tensor in model.state_dict().items():
                if tensor.is_floating_point():
                    tensor.add_(torch.rand(tensor.shape) if "running_var" in key else 0.02 * torch.randn(tensor.shape))
                elif key.endswith("num_batches_tracked"):
                    tensor.add_(7)
        return model.eval()

    return shake
