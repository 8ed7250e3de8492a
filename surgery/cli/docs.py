"""``surgery docs``: an index of the recipes of a repository."""

from __future__ import annotations

import os
from pathlib import Path

import click

from surgery.cli.options import limit_option, quiet_option
from surgery.cli.session import session

__all__ = ["command"]


@click.command("docs")
@click.argument("place", metavar="PLACE")
@click.option("-o", "--output", metavar="FILE", help="Where to write it; `.html` makes a page of HTML.")
@click.option("--title", help="The title of the page; the name of the place if left out.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@limit_option
@quiet_option
def command(place: str, output: str | None, title: str | None, force: bool) -> int:
    """Write an index of recipes, in Markdown or HTML: what each is for, its parameters, how it is run.

    PLACE is a directory, or what `surgery list` takes. Exit status 1 if one of the recipes cannot be read.

    \b
    surgery docs recipes/ -o recipes/README.md
    surgery docs github:org/repo@v1
    """
    from surgery.catalogue import catalogue
    from surgery.files.text import write_text
    from surgery.report.catalogue import catalogue_html, catalogue_markdown
    from surgery.report.lines import line, piece

    entries = list(catalogue(place))
    is_html = output is not None and output.endswith((".html", ".htm"))
    text = (catalogue_html if is_html else catalogue_markdown)(entries, title or _title(place))
    current = session()
    current.complain(d for entry in entries if entry.error for d in entry.error.diagnostics)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, overwrite=force)
        if not current.quiet:
            current.show([line(piece("wrote ", "good"), output)])
    return 1 if any(entry.error for entry in entries) else 0


def _title(place: str) -> str:
    """The last name of a place; that of a directory, even where it is called ``.``."""
    return (Path(place).resolve() if os.path.isdir(place) else Path(place)).name or place
