"""A case, and the list of them in a recipe."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.cases.made import Made, made
from surgery.codes import all_codes
from surgery.diagnostics import Span
from surgery.document import ListNode, MapNode, Node, Scalar, texts
from surgery.expect import Expect, expect
from surgery.fields import Kind, Reader, anything, boolean, either, integer, main, mapping_of, one_of, option, string
from surgery.fields.declare import REQUIRED
from surgery.fields.kinds import describe
from surgery.fields.reader import parameters_in
from surgery.fields.schema import fields_schema, object_schema
from surgery.suggest import did_you_mean

__all__ = ["Case", "Failure", "cases"]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that the recipe must end with."""

    code: str = main(string, help="its code: `unused-rule`")
    says: str | None = option(string, help="words of its message or its notes")
    at: str | None = option(string, help="the words in the recipe that it points at")


@dataclass(frozen=True, slots=True)
class _FailureKind(Kind):
    """The code of an error, or a mapping with `code`, `says` and `at`."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Failure | None:
        read = reader.fields(Failure, node)
        if read is not None and read.code not in all_codes():
            place = node.get("code") if isinstance(node, MapNode) else node
            near = did_you_mean(str(read.code), all_codes()) or "`surgery explain` knows them all"
            reader.report("unknown-word", f"there is no error `{read.code}`", (place or node).span, (near,))
        return read

    def schema(self) -> dict[str, Any]:
        return fields_schema(Failure)


@dataclass(frozen=True, slots=True)
class Case:
    """What the recipe is given, and what must come of it: a result that is as expected, or an error.

    A case runs as if the recipe stood in an empty directory with the `files` in it: relative paths of the recipe and of
    `params` are relative to that directory, and what the recipe writes goes there. What is in the files, `source` and
    objects that are `given` can be named as ``{given: PATH}``, ``{given: source}`` and ``{given: NAME}`` in `expect`,
    to compare the result with the model that it was made of.

    Attributes:
        span: the place of its name.
        node: its text.
    """

    example: ClassVar[str] = (
        "{name: strips the wrapper, files: {in.pth: {keys: {module.fc.weight: [4, 8]}}}, "
        "params: {checkpoint: in.pth}, expect: {keys: {fc.weight: [4, 8]}}}"
    )

    name: str = option(string, default=REQUIRED, help="what is tested, in a few words")
    files: tuple[tuple[Scalar, str, Made], ...] = option(
        mapping_of(made), default=(), help="the files that are there: path -> what is in it"
    )
    source: Made | None = option(made, help="what the recipe operates on, in the place of its own source")
    given: tuple[tuple[Scalar, str, Made], ...] = option(
        mapping_of(made), default=(), help="objects that a caller gives from Python: name -> object"
    )
    params: tuple[tuple[Scalar, str, Any], ...] = option(
        mapping_of(anything), default=(), help="values of the recipe's parameters"
    )
    seed: int = option(integer, default=0, help="of the values that are drawn")
    expect: Expect | None = option(expect, help="what the result must be, as in the recipe itself")
    error: Failure | None = option(_FailureKind(), help="the error that the recipe must end with instead")
    inverse: bool | str = option(
        either(boolean, one_of("partial")),
        default=False,
        help="whether the inverse of the recipe gives every tensor back; `partial`: but for what it leaves behind",
    )
    span: Span | None = None
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class _Cases(Kind):
    """A list of cases, each a mapping with a `name`."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> tuple[Case, ...]:
        if not isinstance(node, ListNode):
            value = node.value if isinstance(node, Scalar) else node
            note = "each begins with a hyphen: `- name: …`"
            reader.report("wrong-type", f"a list of cases stands here, not {describe(value)}", node.span, (note,))
            return ()
        found: dict[str, Case] = {}
        for item in node.items:
            case = self._case(item, reader)
            if case is not None and case.name in found:
                reader.report("wrong-type", f"two cases are called `{case.name}`", case.span)
            elif case is not None:
                found[case.name] = case
        return tuple(found.values())

    def _case(self, node: Node, reader: Reader) -> Case | None:
        named = [scalar for scalar, value in texts(node) if next(parameters_in(scalar), None)]
        for scalar in named:
            note = "`params` of the case has them; a dollar sign is `$$`"
            reader.report("parameter", "a case has values, and no parameters", scalar.span, (note,))
        # without the parameters of the recipe, and so the same whatever these are
        read = Reader({}, reader.diagnostics).fields(Case, node) if not named else None
        if read is None or not isinstance(node, MapNode):
            return None
        self._check(read, node, reader)
        return dataclasses.replace(read, span=(node.get("name") or node).span, node=node)

    def _check(self, case: Case, node: MapNode, reader: Reader) -> None:
        """What the words of a case do not go together with."""
        for place, name, _ in case.params:
            if name not in reader.parameters:
                near = did_you_mean(name, reader.parameters)
                reader.report("parameter", f"the recipe has no parameter `{name}`", place.span, (near,) if near else ())
        for place, name, _ in case.files:
            parts = name.rstrip("/").split("/")
            odd = any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)
            if odd or name.startswith("~") or ":" in name:
                note = "such as `model.safetensors`, `model/config.json`, or `model/` for a directory"
                reader.report("place", f"`{name}` is no file below the directory of the case", place.span, (note,))
        if case.error is not None:
            for other in ("expect", "inverse"):
                beside = node.key(other)
                if beside is not None:
                    reader.report("unknown-word", f"`{other}` is for a result, and there is an error", beside.span)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": object_schema(Case)}


#: the cases of a recipe
cases = _Cases()
