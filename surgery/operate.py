"""Single steps on what is in memory: ``surgery.rename(state_dict, "module.** -> **")``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from surgery.fields import fields_of, main_field
from surgery.steps import STEPS
from surgery.steps.base import Step

__all__ = ["step_function"]


def step_function(name: str) -> Callable[..., Any]:
    """The step `name` as a function of a model or a state dict.

    The function takes the subject, the step's main field, and its other fields as keywords; what it is given is never
    changed. It returns a model where the step leaves one, else a state dict; the result shares no storage with what was
    given.
    """
    cls = STEPS[name]
    alone = main_field(cls)

    def operate(subject: Any, /, *args: Any, seed: int = 0, allow: Iterable[str] = (), **options: Any) -> Any:
        bound = signature.bind(subject, *args, seed=seed, allow=allow, **options)
        given = dict(bound.arguments)
        for other in ("subject", "seed", "allow"):
            given.pop(other, None)
        words = {parameter.rstrip("_"): _plain(value) for parameter, value in given.items()}
        step = words[alone.name] if alone and set(words) == {alone.name} else words
        return _run({"seed": seed, "steps": [{name: step}]}, subject, allow)

    signature = _signature(name)
    operate.__signature__ = signature  # type: ignore[attr-defined]
    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = _documentation(cls)
    return operate


def _documentation(cls: type[Step]) -> str:
    """What the step does, and a line for each argument."""
    helps = {field.attribute: field.help or field.kind.about for field in fields_of(cls)}
    arguments = {
        "subject": "a model, or a state dict. It is never changed.",
        **{name: f"{text}." for name, text in helps.items() if text},
        "seed": "of everything that is drawn.",
        "allow": "permissions: ``network``, ``import:mypkg``.",
    }
    lines = [
        inspect.cleandoc(cls.__doc__ or ""),
        "",
        "Args:",
        *(f"    {name}: {text}" for name, text in arguments.items()),
        "",
        "Returns:",
        "    The model, or the state dict, after the step; it shares no storage with `subject`.",
        "",
        "Raises:",
        "    SurgeryError: everything that is wrong.",
        "",
        f"Example, as a step: ``{cls.example}``",
    ]
    return "\n".join(lines)


def _signature(name: str) -> inspect.Signature:
    """The subject, then the step's fields; only the main one may be given by place."""
    kinds = inspect.Parameter
    parameters = [kinds("subject", kinds.POSITIONAL_ONLY)]
    fields = sorted(fields_of(STEPS[name]), key=lambda field: not field.main)
    for field in fields:
        default = kinds.empty if field.required else field.default
        kind = kinds.POSITIONAL_OR_KEYWORD if field.main else kinds.KEYWORD_ONLY
        parameters.append(kinds(field.attribute, kind, default=default))
    parameters.append(kinds("seed", kinds.KEYWORD_ONLY, default=0))
    parameters.append(kinds("allow", kinds.KEYWORD_ONLY, default=()))
    return inspect.Signature(parameters)


def _plain(value: Any) -> Any:
    """Tuples as lists: what a recipe is written in."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _run(data: Mapping[str, Any], subject: Any, allow: Iterable[str]) -> Any:
    from surgery.api import load

    recipe = load(data)
    if isinstance(subject, Mapping):
        return recipe.run(state_dict=subject, allow=allow).state_dict
    result = recipe.run(model=subject, allow=allow)
    return result.model if result.plan.subject.skeleton is not None else result.state_dict
