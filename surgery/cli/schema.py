"""``surgery schema``: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema (draft 7) of recipes, with which an editor completes and checks them.

    \b
    surgery schema > recipe.schema.json
    """
    from surgery.schema import schema_text

    click.echo(schema_text(), nl=False)
