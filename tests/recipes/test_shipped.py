"""Every shipped recipe has tests, and they pass: what `surgery test recipes/ --allow …` runs."""

from __future__ import annotations

import pytest

from surgery.library import shipped
from surgery.testing.running import try_recipe

#: the libraries that the recipes are about
PACKAGES = [
    "open_clip",
    "peft",
    "segment_anything",
    "timm",
    "torch",
    "torchaudio",
    "torchvision",
    "transformers",
    "whisper",
]
ALLOW = frozenset(f"import:{package}" for package in PACKAGES)


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_does_what_it_says(name: str) -> None:
    tested = try_recipe(str(shipped()[name]), ALLOW)
    assert not tested.errors
    assert tested.outcomes, "no tests"
    failed = [f"{one.name}: {[str(d) for d in one.diagnostics]}" for one in tested.outcomes if one.status == "failed"]
    assert not failed
    skipped = [one.reason for one in tested.outcomes if one.status == "skipped"]
    if skipped:
        pytest.skip(", ".join(skipped))
