"""``surgery invert``: the recipe that takes back what a recipe does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from surgery.cli.options import allow_option, limit_option, params_option, quiet_option, recipe_argument
from surgery.cli.session import session

__all__ = ["command"]


@click.command("invert")
@recipe_argument
@click.argument("checkpoint", required=False, type=click.Path())
@params_option
@click.option("--partial", is_flag=True, help="Forget the tensors that the recipe leaves behind.")
@click.option("-o", "--output", metavar="FILE", help="Write the inverse to a file, instead of printing it.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@allow_option
@limit_option
@quiet_option
def command(
    recipe: str,
    checkpoint: str | None,
    params: Mapping[str, Any],
    partial: bool,
    output: str | None,
    force: bool,
    allow: tuple[str, ...],
) -> None:
    """Print the inverse of a recipe: a recipe that gives every tensor back, bit for bit, under its old key.

    It is proved on the keys of CHECKPOINT, which takes the place of the recipe's source; without one, on the source
    itself if that is at hand, or from the rules alone. Rules without an inverse are errors, each with the reason.

    \b
    surgery invert vit.yaml vit.safetensors -o back.yaml
    surgery run back.yaml -p model=converted.safetensors -o again.safetensors
    """
    from surgery.cli.files import write_text
    from surgery.cli.loading import load_recipe
    from surgery.report.lines import line, piece

    inverse = load_recipe(recipe).invert(checkpoint, params=params, allow=allow, partial=partial)
    session().complain(inverse.warnings)
    if output is None:
        click.echo(inverse.text, nl=False)
        return
    write_text(output, inverse.text, overwrite=force)
    if not session().quiet:
        session().show([line(piece("wrote ", "good"), output)])
