"""The inverse as the text of a recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from surgery.content import FORMAT
from surgery.document import ListNode, MapNode, Node
from surgery.document.emit import emit
from surgery.document.nodes import plain
from surgery.formatting import SCHEMA_LINE, format_recipe
from surgery.inversion.ground import source_parameter
from surgery.inversion.pieces import Piece
from surgery.params.declare import depends_on
from surgery.recipe import Recipe

__all__ = ["beside", "recipe_text", "step_nodes"]

_NAMED = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def recipe_text(recipe: Recipe, pieces: Sequence[Piece], conditions: Sequence[str] = ()) -> str:
    """The recipe that does `pieces` to what `recipe` makes.

    Args:
        recipe: what is taken back.
        pieces: its steps.
        conditions: what is taken for granted, as comments.
    """
    steps = [piece.data for piece in pieces]
    kept = {name for pair in _NAMED.findall(emit(steps)) for name in pair if name in recipe.params}
    kept |= {other for name in kept for other in _needed(recipe, name)}
    header: dict[str, Any] = {"surgery": FORMAT, **_names(recipe)}
    params = {name: _declaration(recipe, name, kept) for name in recipe.params if name in kept}
    source = {}
    if isinstance(recipe.document, MapNode) and ("source" in recipe.document or "sources" in recipe.document):
        name = source_parameter(recipe) or "checkpoint"
        name = next(n for n in (name, "checkpoint", "result", "made") if n not in kept)
        params = {name: {"type": "path", "help": f"what {recipe.name} made"}, **params}
        source = {"source": {"checkpoint": f"${name}"}}
    body: dict[str, Any] = {**({"params": params} if params else {}), **source, **({"steps": steps} if steps else {})}
    if recipe.content.expect is not None and recipe.content.expect.finite is True:
        body["expect"] = {"finite": True}
    comments = "".join(f"# taken for granted: {condition}\n" for condition in conditions)
    return format_recipe(f"{SCHEMA_LINE}\n{comments}{emit({**header, **body})}", recipe.name)


def _names(recipe: Recipe) -> dict[str, str]:
    """The name and the description; a recipe that came from no file, and says none, has none."""
    if not recipe.content.name and recipe.display.startswith("<"):
        return {"name": "inverse"}
    what = " ".join(recipe.description.split()).removesuffix(".")
    description = f"The inverse of {recipe.name} ({what})." if what else f"The inverse of {recipe.name}."
    return {"name": f"{recipe.name}-inverse", "description": description}


def _needed(recipe: Recipe, name: str) -> list[str]:
    """The parameters that the default of another is made of."""
    param = recipe.params[name]
    return depends_on(param) if param.default_node is not None and param.origin is None else []


def _declaration(recipe: Recipe, name: str, kept: set[str]) -> Any:
    """How a parameter is declared; what lay beside the old checkpoint does not lie beside the new one."""
    params = recipe.document.get("params")  # type: ignore[attr-defined]
    declared = plain(params.get(name))
    if not isinstance(declared, dict) or "from" not in declared:
        return declared
    if not set(depends_on(recipe.params[name])) - kept:
        return declared
    where = _NAMED.sub("", declared.pop("from")).lstrip("/")
    file, _, pointer = where.partition("#")
    declared.setdefault("help", f"{pointer.strip('/')} of {file}")
    return declared


def step_nodes(node: Node | None) -> dict[Any, MapNode]:
    """The steps of a document, those inside of other steps too, by the place of their names."""
    steps = node.get("steps") if isinstance(node, MapNode) else node
    found: dict[Any, MapNode] = {}
    for step in steps.items if isinstance(steps, ListNode) else ():
        for key, value in step.pairs if isinstance(step, MapNode) else ():
            found[key.span] = step  # type: ignore[assignment]
            if isinstance(value, MapNode):
                found |= step_nodes(value)
    return found


def beside(nodes: Mapping[Any, MapNode], span: Any) -> dict[str, Any]:
    """What stands beside a step: `when` and `note`."""
    node = nodes.get(span)
    return {} if node is None else {word: plain(value) for word, value in node if word in ("when", "note")}
