import pytest
import torch
from safetensors.torch import load_file, save_file

import surgery
from surgery.diagnostics import SurgeryError

RECIPE = """
surgery: 1
params: {weights: {type: path}, target: {type: path}}
source: {checkpoint: $weights}
steps:
  - rename: "module.** -> **"
output: {path: $target, overwrite: true}
"""


def test_a_result_is_read_from_its_sources_and_not_from_what_replaced_them(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    weights = tmp_path / "a.safetensors"
    tensor = torch.randn(3, 3)
    save_file({"module.w": tensor}, weights)
    loaded = surgery.load(recipe)
    elsewhere = loaded.run(weights=weights, target=tmp_path / "b.safetensors")
    assert torch.equal(elsewhere.state_dict["w"], tensor)
    replaced = loaded.run(weights=weights, target=weights)
    assert torch.equal(load_file(weights)["w"], tensor)
    with pytest.raises(SurgeryError, match="was replaced by the output"):
        replaced.state_dict  # noqa: B018
