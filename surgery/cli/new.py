"""``surgery new``: begin a recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from surgery.cli.options import allow_option, limit_option, quiet_option
from surgery.cli.session import session
from surgery.cli.usage import Misused
from surgery.report.lines import line, piece

__all__ = ["command"]


@click.command("new")
@click.argument("path", metavar="RECIPE", type=click.Path())
@click.option("--checkpoint", metavar="PATH", help="The checkpoint that it operates on; its keys become rules.")
@click.option("-e", "--entry", metavar="NAME", help="The state dict of this name in the checkpoint.")
@click.option("--model", metavar="NAME", help="The model of torchvision that it operates on, such as resnet50.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@allow_option
@limit_option
@quiet_option
def command(
    path: str, checkpoint: str | None, entry: str | None, model: str | None, force: bool, allow: tuple[str, ...]
) -> None:
    """Begin a recipe: a file that can be planned as it stands, and the schema beside it with which editors help.

    \b
    surgery new mine.yaml --checkpoint old.pth
    surgery new mine.yaml --model resnet50
    """
    from surgery.cli.files import write_text
    from surgery.scaffold import new_recipe
    from surgery.schema import SCHEMA_FILE, schema_text

    if checkpoint and model:
        raise Misused("`--checkpoint` and `--model` are given together", "a recipe has one source; `load` brings more")
    if entry and not checkpoint:
        raise Misused("`--entry` is given without `--checkpoint`", "it names a state dict in a checkpoint")
    if Path(path).suffix not in (".yaml", ".yml") and os.path.exists(path):
        recipe = f"{Path(path).stem}.yaml"
        hint = f"`surgery new {recipe} --checkpoint {path}` begins one for it"
        raise Misused(f"`{path}` is there, and no recipe", hint)
    file = Path(path) if Path(path).suffix in (".yaml", ".yml") else Path(f"{path}.yaml")
    source, tensors = _source(checkpoint, entry, model, file.parent, allow)
    write_text(str(file), new_recipe(file.stem, source=source, tensors=tensors), overwrite=force)
    schema = file.parent / SCHEMA_FILE
    write_text(str(schema), schema_text(), overwrite=True)
    if not session().quiet:
        session().show([line(piece("wrote ", "good"), str(file)), line(piece("wrote ", "good"), str(schema))])


def _source(
    checkpoint: str | None, entry: str | None, model: str | None, directory: Path, allow: tuple[str, ...]
) -> tuple[Mapping[str, Any] | None, Mapping[str, tuple[int, ...]] | None]:
    """The source as a recipe holds it, and the shapes of its tensors by key."""
    name = checkpoint or (f"torchvision:{model}" if model else None)
    if name is None:
        return None, None
    from surgery.cli.subjects import context_of, subject_of

    entries = subject_of(name, context_of(allow), entry=entry).entries
    shapes = {key: entry.spec.shape for key, entry in entries.items()}
    if model:
        return {"torchvision": model, "weights": "DEFAULT"}, shapes
    where = name if "://" in name else _seen_from(directory, name)
    return {"checkpoint": {"path": where, "entry": entry} if entry else where}, shapes


def _seen_from(directory: Path, path: str) -> str:
    """A path of the caller as a recipe in `directory` says it: paths in a recipe are relative to its file."""
    return path if os.path.isabs(path) else Path(os.path.relpath(path, directory)).as_posix()
