"""Surgery: a declarative model-surgery language for PyTorch.

>>> import surgery, torch
>>> sorted(surgery.rename({"module.fc.weight": torch.ones(2, 3)}, "module.** -> **"))
['fc.weight']

`load` reads a recipe, `Recipe.plan` says what it will do, `Recipe.run` does it. Every step is also a function of a
state dict or a model: `rename`, `convert`, `filter`, `replace_layer`, …
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surgery.version import __version__ as __version__

if TYPE_CHECKING:
    from surgery.api import load, run
    from surgery.diagnostics import Diagnostic, SurgeryError
    from surgery.model.names import register_layer
    from surgery.plan import Plan
    from surgery.provenance.reading import read_record
    from surgery.provenance.verifying import verify
    from surgery.recipe import Recipe
    from surgery.result import Result

__all__ = [
    "Diagnostic",
    "Plan",
    "Recipe",
    "Result",
    "SurgeryError",
    "load",
    "read_record",
    "register_layer",
    "run",
    "verify",
]

_HOMES = {
    "load": "surgery.api",
    "run": "surgery.api",
    "register_layer": "surgery.model.names",
    "Diagnostic": "surgery.diagnostics",
    "SurgeryError": "surgery.diagnostics",
    "Plan": "surgery.plan",
    "read_record": "surgery.provenance.reading",
    "verify": "surgery.provenance.verifying",
    "Recipe": "surgery.recipe",
    "Result": "surgery.result",
}


def __getattr__(name: str) -> Any:
    """Public names, imported when they are first used; the names of all steps are functions."""
    import importlib

    if name in _HOMES:
        from surgery.garbage import without_collection

        with without_collection():  # torch may be there already: hundreds of thousands of objects to go through
            return getattr(importlib.import_module(_HOMES[name]), name)
    if not name.startswith("_"):
        from surgery.steps import STEPS

        if name in STEPS:
            from surgery.operate import step_function

            globals()[name] = function = step_function(name)
            return function
    raise AttributeError(f"module 'surgery' has no attribute {name!r}")


def __dir__() -> list[str]:
    from surgery.steps import STEPS

    return sorted({*__all__, *STEPS})
