"""The tests of a shipped recipe say that its inverse gives everything back, or it is listed here with the reason.

That it does is shown where these tests are run (``tests/recipes``).
"""

from __future__ import annotations

import dataclasses
import io

import pytest

from surgery.diagnostics import SurgeryError
from surgery.library import shipped
from surgery.permissions import permissions
from surgery.recipe import Recipe
from surgery.testing.making import make_files, make_objects
from surgery.testing.needs import unmet
from surgery.testing.quiet import apart

#: why a recipe has no inverse, not even for what it keeps
NOT = {
    "cast_keep_norms": "`bfloat16` does not hold every value of float32",
    "detectron2/caffe_resnet_to_torchvision": "nothing takes apart again what `mul` joins",
    "dinov2/transformers_with_registers_to_timm": "nothing takes apart again what `add` joins",
    "interpolate": "nothing takes apart again what `mean",
    "llama/group_heads": "nothing undoes `reduce",
    "llama/ungroup_heads": "nothing undoes `repeat",
    "lora/extract": "leaves `",
    "lora/merge": "nothing takes apart again what `lora",
    "lora/merge_wrapped": "nothing takes apart again what `lora",
    "mixtral/upcycle_llama": "nothing undoes `repeat",
    "resnet101_rgbd": "puts others in the place of `fc.weight`",
    "shrink_vocabulary": "nothing undoes `slice",
    "soup": "nothing takes apart again what `mean` joins",
    "task_arithmetic": "nothing takes apart again what `mean",
    "torchvision/classifier": "puts others in the place of `fc.weight`",
    "vit/resize_positions": "nothing undoes `resample_grid",
    "weight_norm/remove": "nothing takes apart again what `weight_norm",
}

ALLOWED = permissions(
    f"import:{name}" for name in ("transformers", "timm", "open_clip", "peft", "torchvision", "torch")
)


@pytest.mark.parametrize("name", sorted(set(shipped()) - NOT.keys()))
def test_a_recipe_shows_that_it_can_be_taken_back(name: str) -> None:
    assert any(case.inverse for case in Recipe.read(name).content.tests)


@pytest.mark.parametrize("name", NOT)
def test_one_that_cannot_says_why(name: str) -> None:
    recipe = Recipe.read(name)
    case = next(case for case in recipe.content.tests if case.error is None)
    if reason := unmet(recipe, case, ALLOWED):
        pytest.skip(reason)
    with apart(io.StringIO()) as directory:
        here = dataclasses.replace(recipe, directory=directory)
        objects, _ = make_objects(here, case, directory, ALLOWED, make_files(here, case, directory, ALLOWED))
        values = {name: value for _, name, value in case.params}
        messages = []
        for partial in (False, True):
            with pytest.raises(SurgeryError) as found:
                here.invert(objects.get("source"), params=values, partial=partial)
            errors = [d for d in found.value.diagnostics if d.severity == "error"]
            assert {d.code for d in errors} == {"no-inverse"}
            messages += [d.message for d in errors]
    assert NOT[name] in "\n".join(messages)
