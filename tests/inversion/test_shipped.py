"""Every shipped recipe is inverted, on the checkpoint of its first own test, or listed with the reason why not."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from surgery.cases import Case
from surgery.diagnostics import SurgeryError
from surgery.engine.evaluate import materialise
from surgery.formatting import format_recipe
from surgery.library import shipped
from surgery.opening import open_sources
from surgery.permissions import permissions
from surgery.planner import make_plan
from surgery.planning.context import Context
from surgery.recipe import Bound, Recipe
from surgery.sources.checkpoint import CheckpointSource
from surgery.sources.given import Given
from surgery.steps.load import Load
from surgery.testing.making import make_files, make_objects
from surgery.testing.needs import unmet
from surgery.testing.quiet import apart

LEFT_BEHIND = "behind, and nothing gives"


#: why a recipe has no inverse; all others have one
NOT = {
    "bert/transformers_to_torch": LEFT_BEHIND,
    "cast_keep_norms": "`bfloat16` does not hold every value of float32",
    "detectron2/caffe_resnet_to_torchvision": "nothing takes apart again what `mul` joins",
    "detectron2/resnet_to_torchvision": LEFT_BEHIND,
    "detectron2/torchvision_to_resnet": LEFT_BEHIND,
    "dino/backbone": LEFT_BEHIND,
    "dinov2/transformers_to_timm": LEFT_BEHIND,
    "dinov2/transformers_with_registers_to_timm": "nothing takes apart again what `add` joins",
    "distilbert/from_bert": LEFT_BEHIND,
    "drop_layers": LEFT_BEHIND,
    "interpolate": "nothing takes apart again what `mean",
    "llama/group_heads": "nothing undoes `reduce",
    "llama/meta_two_parts": LEFT_BEHIND,
    "llama/ungroup_heads": "nothing undoes `repeat",
    "lora/extract": LEFT_BEHIND,
    "lora/merge": "nothing takes apart again what `lora",
    "lora/merge_wrapped": "nothing takes apart again what `lora",
    "mae/encoder": LEFT_BEHIND,
    "mixtral/upcycle_llama": "nothing undoes `repeat",
    "mmdetection/resnet_to_torchvision": LEFT_BEHIND,
    "mmdetection/swin_to_timm": LEFT_BEHIND,
    "moco_to_resnet50": LEFT_BEHIND,
    "resnet101_rgbd": "puts others in the place of `fc.weight`",
    "resume_training": LEFT_BEHIND,
    "shrink_vocabulary": "nothing undoes `slice",
    "soup": "nothing takes apart again what `mean` joins",
    "ssl/barlow_twins_resnet": LEFT_BEHIND,
    "ssl/byol_resnet": LEFT_BEHIND,
    "ssl/moco_v3_resnet": LEFT_BEHIND,
    "ssl/moco_v3_vit": LEFT_BEHIND,
    "ssl/simclr_resnet": LEFT_BEHIND,
    "ssl/simsiam_resnet": LEFT_BEHIND,
    "ssl/swav_resnet": LEFT_BEHIND,
    "swin/torchvision_to_transformers": LEFT_BEHIND,
    "t5/encoder": LEFT_BEHIND,
    "task_arithmetic": "nothing takes apart again what `mean",
    "torchvision/classifier": "puts others in the place of `fc.weight`",
    "vit/resize_positions": "nothing undoes `resample_grid",
    "weight_norm/remove": "nothing takes apart again what `weight_norm",
}
#: one that has none for what it leaves behind, and none for the rest
NOT_IN_PART = {"lora/extract"}

ALLOWED = [f"import:{name}" for name in ("transformers", "timm", "open_clip", "peft", "torchvision", "torch")]


class Ground:
    """A recipe in a directory of its own, with the files of its first test."""

    def __init__(self, recipe: Recipe, case: Case, directory: Path) -> None:
        allow = permissions(ALLOWED)
        self.recipe = dataclasses.replace(recipe, directory=directory)
        made = make_files(self.recipe, case, directory, allow)
        objects, _ = make_objects(self.recipe, case, directory, allow, made)
        self.directory = directory
        self.values = {name: value for _, name, value in case.params}
        self.state: Mapping[str, Any] | None = objects.get("source")
        self.given = {"state_dict": self.state} if self.state is not None else {}
        bound = self.recipe.bind(self.values, directory)
        if self.state is not None:
            bound = dataclasses.replace(bound, source=Given("state_dict"))
        self.bound: Bound = dataclasses.replace(bound, outputs=())

    def invert(self, *, partial: bool) -> Recipe:
        known = [self.state] if self.state is not None else []
        return self.recipe.invert(*known, params=self.values, partial=partial)

    def source(self) -> dict[str, torch.Tensor]:
        """What the recipe takes: the file that it loads, where it loads one into a model."""
        context = Context(directory=self.directory, given=self.given)
        loads = [one.step for one in self.bound.steps if isinstance(one.step, Load)]
        if loads and not isinstance(self.bound.source, CheckpointSource | Given):
            subject = loads[0].from_.open(context)
        else:
            subject = open_sources(self.bound, context)
        return materialise(subject.entries)

    def there(self) -> dict[str, torch.Tensor]:
        result = make_plan(self.recipe, self.bound, given=self.given, outputs=()).execute()
        return dict(result.model.state_dict()) if result.plan.subject.skeleton is not None else result.state_dict

    def back(self, inverse: Recipe, made: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        values = {name: value for name, value in self.bound.values.items() if name in inverse.params}
        values |= {name: "made" for name in inverse.params if name not in values}
        bound = dataclasses.replace(inverse.bind(values), source=Given("made"))
        return make_plan(inverse, bound, given={"made": made}, outputs=()).execute().state_dict


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_run_backwards(name: str) -> None:
    recipe = Recipe.read(name)
    case = next((case for case in recipe.content.tests if case.error is None), None)
    if case is None:
        pytest.skip("it has no test, and so no checkpoint")
    if reason := unmet(recipe, case, permissions(ALLOWED)):
        pytest.skip(reason)
    with apart(io.StringIO()) as directory:
        ground = Ground(recipe, case, directory)
        if name in NOT:
            with pytest.raises(SurgeryError) as found:
                ground.invert(partial=False)
            assert NOT[name] in "\n".join(d.message for d in found.value.diagnostics)
        in_part = NOT.get(name) == LEFT_BEHIND and name not in NOT_IN_PART
        if name in NOT and not in_part:
            return
        inverse = ground.invert(partial=in_part)
        source, back = ground.source(), ground.back(inverse, ground.there())
    assert back.keys() == source.keys() if not in_part else back.keys() <= source.keys()
    assert all(torch.equal(torch.as_tensor(back[key]), torch.as_tensor(source[key])) for key in back)
    assert back
    assert format_recipe(inverse.text) == inverse.text
    assert all(warning.code == "inverse" for warning in inverse.warnings)
