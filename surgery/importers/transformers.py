"""``transformers``: what transformers 5 does to a checkpoint as it loads it, or to a model as it saves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from surgery.foreign.remarks import Inexpressible
from surgery.foreign.rules import Written
from surgery.foreign.transformers.converters import converter_rules
from surgery.foreign.transformers.models import model_of
from surgery.foreign.transformers.prefixes import prefix_rules
from surgery.foreign.transformers.renamings import renaming_rules
from surgery.foreign.transformers.spared import spared_keys
from surgery.importers.base import IMPORTERS, Imported, ImportedStep, Importer, Line

__all__ = ["Transformers", "steps_of"]


@IMPORTERS.register("transformers")
class Transformers(Importer):
    """What the installed transformers (5 or later) does as it loads a model type, a class, or a ``config.json``.

    Its renamings, each a step of its own, those of the parts of the model and those for old names included; its
    converters, in one step; and the prefix of the base model, put before keys or taken away. With ``--reverse``, what
    it does as it saves. The model is built without memory, for which transformers and torch are imported: to name them
    is to allow that. A ``config.json``, or the directory it lies in, gives the class and the sizes of a model of your
    own.
    """

    example: ClassVar[str] = "transformers:mixtral"

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        model = model_of(words)
        import transformers

        name = type(model).__name__
        notes = [
            f"transformers {transformers.__version__}, `{name}`; names and sizes are those of its configuration.",
            "Every rule is optional: no checkpoint needs all of them.",
        ]
        if reverse:
            description = f"A {name} from the names of transformers in memory to those of checkpoints."
            notes.append("A prefix that loading takes away is not put back.")
        else:
            description = f"A checkpoint of a {name} under the names that it has in transformers, in memory."
            notes.append(
                "transformers also leaves alone what is under its new name already; these rules want old names."
            )
        steps = tuple(steps_of(model, reverse=reverse))
        suffix = "_to_checkpoint" if reverse else "_from_checkpoint"
        return Imported(model.config.model_type + suffix, description, steps, tuple(notes))


def steps_of(model: Any, *, reverse: bool = False) -> Iterator[ImportedStep]:
    """The steps of loading, or of saving with `reverse`, in their order."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import PrefixChange, WeightConverter

    transforms = get_model_conversion_mapping(model, add_legacy=not reverse)
    if reverse:
        transforms = [t.reverse_transform() for t in transforms[::-1] if not isinstance(t, PrefixChange)]
    spared = {} if reverse else spared_keys(model, transforms)
    renamings = [_renaming_step(t, spared) for t in transforms if not isinstance(t, WeightConverter)]
    conversions = list(_conversion_steps([t for t in transforms if isinstance(t, WeightConverter)], model))
    if reverse:
        yield from (*conversions, *renamings)
        return
    yield from (*renamings, *conversions)
    prefixes = prefix_rules(model.base_model_prefix, list(model.state_dict()))
    if prefixes:
        yield ImportedStep("rename", _lines(prefixes))


def _renaming_step(transform: Any, spared: dict[str, str]) -> ImportedStep:
    try:
        return ImportedStep("rename", _lines(renaming_rules(transform, spared)))
    except Inexpressible as error:
        return ImportedStep("rename", (_left_out(transform, error),))


def _conversion_steps(converters: list[Any], model: Any) -> Iterator[ImportedStep]:
    first: list[Line] = []
    lines: list[Line] = []
    then: list[Line] = []
    for converter in converters:
        try:
            converted = converter_rules(converter, model)
        except Inexpressible as error:
            lines.append(_left_out(converter, error))
        else:
            first += _lines(converted.first)
            lines += _lines(converted.rules)
            then += _lines(converted.then)
    for each in (first, lines, then):
        if each:
            yield ImportedStep("convert", tuple(each))


def _lines(rules: list[Written]) -> tuple[Line, ...]:
    return tuple(Line(rule.text, readings=rule.readings) for rule in rules)


def _left_out(transform: Any, error: Inexpressible) -> Line:
    scope = f"{transform.scope_prefix}: " if transform.scope_prefix else ""
    left, right = ", ".join(transform.source_patterns), ", ".join(transform.target_patterns)
    operations = getattr(transform, "operations", ())
    via = f" via {', '.join(map(repr, operations))}" if operations else ""
    return Line(f"{scope}{left} -> {right}{via}", str(error))
