"""``surgery show``: what a recipe is for, and which recipe made a file."""

from __future__ import annotations

import os

import click

from surgery.cli.options import json_option, limit_option, recipe_argument
from surgery.cli.session import session

__all__ = ["command"]


@click.command("show")
@recipe_argument
@click.option("--source", "as_text", is_flag=True, help="Of a recipe, print the text itself.")
@click.option("--provenance", is_flag=True, help="Of a file that a recipe made, show all that it says of that.")
@limit_option
@json_option
def command(recipe: str, as_text: bool, provenance: bool) -> None:
    """Show what a recipe is for, its parameters, and what it takes and gives; a file, or a shipped one.

    Of a file that Surgery wrote: print the recipe that made it.
    """
    from surgery.api import load
    from surgery.formats import is_checkpoint
    from surgery.report.recipe import recipe_lines

    if os.path.isdir(recipe) or provenance or session().json or is_checkpoint(recipe):
        _show_record(recipe, provenance=provenance)
        return
    loaded = load(recipe)
    if as_text:
        click.echo(loaded.text.rstrip("\n"))
        return
    session().show(recipe_lines(loaded, columns=session().columns))


def _show_record(name: str, *, provenance: bool) -> None:
    from surgery.provenance.reading import read_record
    from surgery.report.provenance import record_document, record_lines

    record = read_record(name)
    current = session()
    if current.json:
        current.print_json(record_document(record, name))
    elif provenance:
        current.show(record_lines(record, name, columns=current.columns))
    else:
        click.echo(record.recipe, nl=False)
