"""Recipes: read with all that can be said against them, and bound to the values of their parameters."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from surgery.content import Content, read_content
from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.document import MapNode, Node
from surgery.document.characters import decode
from surgery.document.parse import parse_document
from surgery.expect import Expect
from surgery.fields import Declared, Reader
from surgery.garbage import without_collection
from surgery.library import shipped
from surgery.limits import limited
from surgery.params import Param, bind_params, read_params
from surgery.params.declare import depends_on
from surgery.references.base import Found, Reference
from surgery.references.builtin import BuiltinReference
from surgery.references.parse import is_path, parse_reference
from surgery.references.path import PathReference
from surgery.sinks.base import Output
from surgery.sources.base import Source
from surgery.steps import STEPS
from surgery.steps.sequence import PlacedStep
from surgery.suggest import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from surgery.plan import Plan
    from surgery.result import Result

__all__ = ["Bound", "Recipe"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A recipe whose parameters have values.

    Attributes:
        values: the parameters by name.
        seed: of everything that is drawn.
        source: where the subject comes from; None if the caller gives it, or if there are several.
        sources: several sources by name.
        steps: what is done, in order.
        outputs: where the result goes.
        expect: what the result must be.
    """

    values: Mapping[str, Any]
    seed: int
    source: Source | None
    sources: Mapping[str, Source]
    steps: tuple[PlacedStep, ...]
    outputs: tuple[Output, ...]
    expect: Expect | None

    @classmethod
    def of(cls, content: Content, values: Mapping[str, Any]) -> Bound:
        """The bound form of what was read with `values`."""
        return cls(
            values,
            content.seed,
            content.source,
            content.sources or {},
            content.steps,
            content.output,
            content.expect,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recipe:
    """A recipe, read and checked as far as it can be without parameters and checkpoints.

    Attributes:
        name: as it says; its file's name if it says none.
        description: what it does, for people.
        display: what messages call its file.
        directory: what its relative paths are relative to.
        reference: what names it; recipes that it names by paths lie beside it.
        is_foreign: whether it came from somewhere else, so that it may read and write only what its caller names.
        origin: where its caller found it, by the caller's word for that; empty where that is a file or a text.
        text: the YAML that it was read from.
        params: its parameters by name.
        document: its nodes, with their places.
        content: what was read, parameters left open.
        warnings: what is worth a look, and no error.
    """

    name: str
    description: str
    display: str
    directory: Path
    reference: Reference
    text: str
    params: Mapping[str, Param]
    document: Node = field(repr=False)
    content: Content = field(repr=False)
    warnings: tuple[Diagnostic, ...] = ()
    is_foreign: bool = False
    origin: Mapping[str, Found] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """The recipe that a reference names: a file, a shipped one by its name, one in a repository.

        Raises:
            SurgeryError: ``reference``, ``no-file``, ``download``, or everything that is wrong in it.
        """
        name = os.fspath(path)
        reference: Reference
        if name in shipped() and not os.path.exists(name):
            reference = BuiltinReference(name)
        else:
            reference = PathReference(name) if is_path(name) else parse_reference(name)
        try:
            found = reference.find(None)
        except SurgeryError as error:
            raise _with_note(error, _meant(name)) from error
        recipe = cls.of_found(found)
        origin = {} if isinstance(reference, PathReference) else {str(reference): found}
        return dataclasses.replace(recipe, origin=origin, warnings=(*recipe.warnings, *_moving(found, name)))

    @classmethod
    def of_found(cls, found: Found) -> Recipe:
        """The recipe in what a reference names.

        Raises:
            SurgeryError: everything that is wrong in it.
        """
        recipe = cls.of_text(decode(found.content, found.display), found.display, directory=found.directory)
        name = recipe.content.name or found.reference.stem
        return dataclasses.replace(recipe, name=name, reference=found.reference, is_foreign=found.is_foreign)

    @classmethod
    def of_text(cls, text: str, name: str = "<recipe>", *, directory: Path | None = None) -> Recipe:
        """The recipe in a text, named `name` in messages.

        Raises:
            SurgeryError: everything that is wrong in it.

        >>> recipe = Recipe.of_text('steps: [{rename: "module.** -> **"}]')
        >>> [step.name for step in recipe.steps]
        ['rename']
        """
        document = parse_document(text, name)
        params, content, warnings = _read_open(document)
        directory = directory or Path()
        return cls(
            name=content.name or Path(name).stem,
            description=content.description,
            display=name,
            directory=directory,
            reference=PathReference(str(directory / name)),
            text=text,
            params=params,
            document=document,
            content=content,
            warnings=warnings,
        )

    @classmethod
    def of_data(cls, data: Mapping[str, Any] | Iterable[Any]) -> Recipe:
        """A recipe built in Python, of plain mappings, lists and scalars.

        It is written as YAML and read from that, so that every error has a place to show.

        Raises:
            SurgeryError: everything that is wrong in it.
        """
        from surgery.document.emit import emit

        return cls.of_text(emit(data if isinstance(data, Mapping) else list(data)), "<recipe>")

    @property
    def steps(self) -> tuple[PlacedStep, ...]:
        """The steps in order; what depends on a parameter is open in them."""
        return self.content.steps

    def bind(self, values: Mapping[str, Any], directory: Path | None = None, *, by_recipe: bool = False) -> Bound:
        """The recipe with `values` for its parameters.

        Args:
            values: values from Python; those from a command line are `surgery.params.Argument`, those from another
                recipe `surgery.references.kind.Passed`.
            directory: what relative paths in the values are relative to: the caller's.
            by_recipe: whether it is another recipe that gives the values.

        Raises:
            SurgeryError: values that are missing, unknown or unfit, or that the recipe cannot take where it uses them.
        """
        if not self.params and not values:
            return Bound.of(self.content, {})
        declared = self.values_of(self.params, values, directory, by_recipe=by_recipe)
        reader = Reader(declared, is_foreign=self.is_foreign)
        content = read_content(self.document, reader)
        if reader.diagnostics or content is None:
            raise SurgeryError(reader.diagnostics)
        return Bound.of(content, reader.values)

    def values_of(
        self, params: Mapping[str, Param], values: Mapping[str, Any], directory: Path | None, *, by_recipe: bool
    ) -> dict[str, Declared]:
        """Values for some of the parameters; as `bind`, without reading the recipe with them.

        Raises:
            SurgeryError: values that are missing, unknown or unfit.
        """
        return bind_params(
            params,
            values,
            directory=directory or Path.cwd(),
            recipe_directory=None if self.is_foreign else self.directory,
            by_recipe=by_recipe,
        )

    def plan(
        self,
        subject: Module | Mapping[str, Tensor] | None = None,
        /,
        *,
        params: Mapping[str, Any] | None = None,
        allow: Iterable[str] = (),
        model: Module | None = None,
        state_dict: Mapping[str, Tensor] | None = None,
        given: Mapping[str, Any] | None = None,
        output: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        provenance: bool = True,
        limits: Mapping[str, Any] | None = None,
        lock: Literal["use", "strict", "ignore"] = "use",
        **named: Any,
    ) -> Plan:
        """What the recipe will do, tensor by tensor. No tensor data is read, and nothing is written.

        Args:
            subject: the model or state dict that a recipe without a source operates on. It is never changed.
            params: values of the parameters by name; `named` takes them as keywords.
            allow: permissions: ``network``, ``import:mypkg``, ``pickle:model.pt``; see `surgery.permissions`.
            model: the same by name, for a model.
            state_dict: the same by name, for a plain dict of tensors.
            given: other objects that the recipe names as ``{given: name}``.
            output: where the result goes, in the place of what the recipe says.
            overwrite: whether an existing output may be replaced.
            provenance: whether the outputs say what made them; a recipe may leave that out by itself.
            limits: limits that are raised: ``{"tensor": "1TB"}``; see `surgery.limits`.
            lock: what ``surgery.lock`` beside the recipe counts: recipes from repositories are what they are locked to;
                with ``strict``, what is not in it, or differs from it, is an error.
            named: values of parameters.

        Raises:
            SurgeryError: everything that is wrong.
        """
        from surgery.api import Wanted, plan_recipe

        words = {name: thing for name, thing in (("model", model), ("state_dict", state_dict)) if thing is not None}
        # a recipe may call its own parameters so: then these words are the parameters
        values = {**(params or {}), **named, **{name: thing for name, thing in words.items() if name in self.params}}
        objects: dict[str, Any] = {name: thing for name, thing in words.items() if name not in self.params}
        if subject is not None:
            objects["state_dict" if isinstance(subject, Mapping) else "model"] = subject
        objects |= given or {}
        wanted = Wanted(output, overwrite=overwrite, provenance=provenance)
        with limited(limits or {}):
            return plan_recipe(self, values, objects, wanted, allow=allow, lock=lock)

    @without_collection()
    def run(
        self, subject: Module | Mapping[str, Tensor] | None = None, /, *, digest: bool = False, **options: Any
    ) -> Result:
        """Plan and execute; the arguments are those of `plan` and of `Plan.execute`."""
        return self.plan(subject, **options).execute(digest=digest)

    @without_collection()
    def invert(
        self,
        checkpoint: str | os.PathLike[str] | Mapping[str, Tensor] | None = None,
        /,
        *,
        params: Mapping[str, Any] | None = None,
        allow: Iterable[str] = (),
        partial: bool = False,
        limits: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> Recipe:
        """The recipe that takes back what this one does; `surgery.inversion.invert` says more of the arguments.

        Its `text` is what a person would have written, and what there is to say of it is among its `warnings`.

        Raises:
            SurgeryError: ``no-inverse``, with every rule that has none; or what else is wrong.

        >>> recipe = Recipe.of_text("steps: [{rename: {rest: error, rules: 'layer.{i} -> blocks.{i}'}}]")
        >>> print(recipe.invert().text.splitlines()[-1].strip())
        - rename: {rest: error, rules: "blocks.{i} -> layer.{i}"}
        """
        from surgery.inversion import invert_recipe

        with limited(limits or {}):
            return invert_recipe(self, checkpoint, params={**(params or {}), **named}, allow=allow, partial=partial)

    def __repr__(self) -> str:
        from surgery.report.recipe import recipe_text

        return recipe_text(self).rstrip("\n")

    def _repr_html_(self) -> str:
        from surgery.report.html import recipe_html

        return recipe_html(self)


def _read_open(document: Node) -> tuple[dict[str, Param], Content, tuple[Diagnostic, ...]]:
    """The parameters and the content of a recipe, whatever the values of the parameters, and warnings.

    Raises:
        SurgeryError: everything that is wrong, in the order in which it stands in the file.
    """
    errors: list[Diagnostic] = []
    node = document.get("params") if isinstance(document, MapNode) else None
    params = read_params(node, errors) if node is not None else {}
    reader = Reader({name: Declared(name) for name in params}, errors)
    content = read_content(document, reader)
    for param in params.values():
        for other in depends_on(param):
            reader.known(other, (param.origin or param.default_node or document).span)
    if errors or content is None:
        raise SurgeryError(sorted(errors, key=_position))
    return params, content, tuple(_unused(param) for name, param in params.items() if name not in reader.used)


def _meant(name: str) -> str | None:
    """What may have been meant by the name of a recipe that cannot be found."""
    if not is_path(name):
        return None
    near = did_you_mean(name, shipped())
    if near:
        return f"among the shipped recipes: {near}"
    if name in STEPS:
        return f"`surgery explain {name}` explains the step"
    return None if os.sep in name or Path(name).suffix else "`surgery list recipes` shows the shipped ones"


def _moving(found: Found, name: str) -> list[Diagnostic]:
    note = f"`@{found.commit}` in place of it is what it is now, for ever"
    message = f"`{name}` follows a branch"
    return [Diagnostic("moving-reference", message, None, (note,), "warning")] if found.is_moving else []


def _position(diagnostic: Diagnostic) -> tuple[int, int]:
    return (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)


def _unused(param: Param) -> Diagnostic:
    message = f"the parameter `{param.name}` is not used"
    return Diagnostic("parameter", message, param.span, (f"`${param.name}` would be its value",), "warning")


def _with_note(error: SurgeryError, note: str | None) -> SurgeryError:
    if not note:
        return error
    return SurgeryError(Diagnostic(d.code, d.message, d.span, (*d.notes, note), d.severity) for d in error.diagnostics)
