"""What becomes of the other state dicts of a checkpoint whose container is kept, in the plan and in the file."""

from pathlib import Path

import pytest
import torch

import surgery


@pytest.mark.parametrize(
    ("taken", "entry", "said", "left"),
    [
        ("model", None, ["kept unchanged: `ema` of the checkpoint"], {"model": 0.0, "ema": 1.0}),
        (
            "ema",
            "model",
            ["the result moves from `ema` to `model` of the checkpoint, and takes the place of what stood at `model`"],
            {"model": 1.0},
        ),
        (
            "ema",
            "best",
            ["the result moves from `ema` to `best` of the checkpoint", "kept unchanged: `model` of the checkpoint"],
            {"model": 0.0, "best": 1.0},
        ),
    ],
)
def test_the_other_state_dicts(
    taken: str, entry: str | None, said: list[str], left: dict[str, float], tmp_path: Path
) -> None:
    torch.save({"epoch": 3, "model": {"w": torch.zeros(1)}, "ema": {"w": torch.ones(1)}}, tmp_path / "run.pth")
    output = {"path": str(tmp_path / "new.pth"), "container": "keep", **({"entry": entry} if entry else {})}
    source = {"checkpoint": {"path": str(tmp_path / "run.pth"), "entry": taken}}
    result = surgery.load({"source": source, "output": output}).run()
    assert list(result.plan.remarks) == said
    saved = torch.load(tmp_path / "new.pth", weights_only=True)
    assert saved.pop("epoch") == 3
    assert {name: state["w"].item() for name, state in saved.items()} == left
