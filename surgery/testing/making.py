"""Making what a case names: models with drawn values, state dicts, and the files that hold them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.cases import Case, Made
from surgery.files.text import write_bytes, write_text
from surgery.inclusion import surroundings
from surgery.planner import make_plan
from surgery.recipe import Bound, Recipe
from surgery.sinks.base import Output
from surgery.sources.given import Given

if TYPE_CHECKING:
    from surgery.result import Result

__all__ = ["make_files", "make_objects"]


def make_objects(
    recipe: Recipe, case: Case, directory: Path, allow: frozenset[str], before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The objects that a case gives from Python by name, ``source`` among them; and each as it was before its steps.

    Args:
        recipe: whose case it is.
        case: the case.
        directory: that of the case.
        allow: permissions of the caller.
        before: what was made already, by name, which these may be made of.

    Raises:
        SurgeryError: something cannot be made.
    """
    named = {name: made for _, name, made in case.given}
    if case.source is not None:
        named["source"] = case.source
    given, known = {}, dict(before)
    for name, made in named.items():
        given[name] = known[name] = _make(recipe, made, name, case.seed, allow, known)
        if made.steps:
            result = _operated(recipe, made, given[name], allow)
            given[name] = result.state_dict if result.plan.subject.skeleton is None else result.model
    return given, known


def make_files(recipe: Recipe, case: Case, directory: Path, allow: frozenset[str]) -> dict[str, Any]:
    """Write the files of a case; the models and state dicts in them by path, as they were before their steps.

    A model whose path ends in a slash is saved by its own ``save_pretrained``, if it has one, under the names that its
    library has in files, with its configuration beside it.

    Raises:
        SurgeryError: something cannot be made, or not be written like this.
    """
    objects: dict[str, Any] = {}
    for _, name, made in case.files:
        path = directory / name
        if made.source is None:
            write_text(path, json.dumps(made.json, indent=2), overwrite=False)
            continue
        thing = _make(recipe, made, name, case.seed, allow, objects)
        objects[name.rstrip("/")] = thing
        if name.endswith("/") and not (made.steps or made.entry) and hasattr(thing, "save_pretrained"):
            thing.save_pretrained(path)
        elif path.suffix == ".npz":
            write_bytes(path, _npz(_operated(recipe, made, thing, allow).state_dict), overwrite=False)
        else:
            container = "keep" if made.entry else "bare"
            output = Output(name, entry=made.entry, container=container, provenance=False, base=str(directory))
            _operated(recipe, made, thing, allow, output)
    return objects


def _make(recipe: Recipe, made: Made, name: str, seed: int, allow: frozenset[str], objects: Mapping[str, Any]) -> Any:
    """A model, or a state dict, of a source; its steps are not done yet.

    Under each name it has values of its own, but for one of `objects`, which keeps the values that it has.
    """
    from surgery.engine.evaluate import materialise
    from surgery.model.assemble import assemble
    from surgery.model.drawn import draw_all
    from surgery.model.seeds import derived_seed

    assert made.source is not None, "a JSON file is no object"
    seed = derived_seed(seed, name)
    context = surroundings(recipe, seed=seed, allow=allow, given=objects)
    subject = made.source.open(context)
    context.raise_errors()
    tensors = materialise(subject.entries)
    if subject.skeleton is None:
        return tensors
    model = assemble(subject, tensors).eval()
    if made.draw and not isinstance(made.source, Given):
        draw_all(model, seed)
    return model


def _operated(recipe: Recipe, made: Made, thing: Any, allow: frozenset[str], output: Output | None = None) -> Result:
    """What the steps make of a model or a state dict, written where there is an output."""
    outputs = (output,) if output is not None else ()
    bound = Bound({}, 0, Given("made"), {}, made.steps, outputs, None)
    return make_plan(recipe, bound, allow=allow, given={"made": thing}).execute()


def _npz(tensors: Mapping[str, Any]) -> bytes:
    """The bytes of an ``.npz`` file."""
    import numpy as np

    written = io.BytesIO()
    np.savez(written, **{key: tensor.detach().numpy() for key, tensor in tensors.items()})
    return written.getvalue()
