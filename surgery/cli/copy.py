"""``surgery copy``: the text of a recipe, as a file of one's own."""

from __future__ import annotations

import sys

import click

from surgery.cli.options import limit_option, quiet_option, recipe_argument
from surgery.cli.session import session

__all__ = ["command"]


@click.command("copy")
@recipe_argument
@click.option("-o", "--output", metavar="FILE", help="Where to write it; without it, it is printed.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@limit_option
@quiet_option
def command(recipe: str, output: str | None, force: bool) -> None:
    """Print a recipe, or write it to a file, to change it: a shipped one, or one from a repository.

    \b
    surgery copy vit/timm_to_transformers -o mine.yaml
    surgery copy github:org/repo//clean.yaml@v1 -o clean.yaml
    """
    from surgery.cli.loading import load_recipe
    from surgery.files.text import write_text
    from surgery.report.lines import line, piece

    text = load_recipe(recipe).text
    current = session()
    if output is None:
        if sys.stdout.isatty():
            current.show([line(each) for each in text.splitlines()])
        else:
            # a copy is the text as it stands
            sys.stdout.buffer.write(text.encode())
        return
    write_text(output, text, overwrite=force)
    if not current.quiet:
        current.show([line(piece("wrote ", "good"), output)])
