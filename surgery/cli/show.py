"""``surgery show``: what a recipe is for."""

from __future__ import annotations

import click

from surgery.cli.options import recipe_argument
from surgery.cli.session import session

__all__ = ["command"]


@click.command("show")
@recipe_argument
@click.option("--source", "as_text", is_flag=True, help="Print the recipe itself.")
def command(recipe: str, as_text: bool) -> None:
    """Show what a recipe is for, its parameters, and what it takes and gives; a file, or a shipped one."""
    from surgery.api import load
    from surgery.report.recipe import recipe_lines

    loaded = load(recipe)
    if as_text:
        click.echo(loaded.text.rstrip("\n"))
        return
    session().show(recipe_lines(loaded, columns=session().columns))
