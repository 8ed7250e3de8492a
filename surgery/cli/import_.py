"""``surgery import``: a recipe from the rules of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from surgery.cli.options import limit_option, quiet_option
from surgery.cli.session import session
from surgery.report.lines import line, piece

__all__ = ["command"]


@click.command("import")
@click.argument("what", metavar="KIND:WHAT")
@click.option("-r", "--reverse", is_flag=True, help="The way back, where the other tool has one.")
@click.option("-o", "--output", metavar="RECIPE", help="Write a file, and the schema beside it; default: print.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@limit_option
@quiet_option
def command(what: str, reverse: bool, output: str | None, force: bool) -> int:
    """Write a recipe from the rules that another tool has.

    \b
    surgery import transformers:mixtral          what transformers does as it loads
    surgery import revise_keys:pairs.json        regular expressions, as mmengine takes them
    surgery import replace:renames.json          pieces of text to replace
    surgery import dict:keys.json                old keys and new ones
    surgery import torchtune:weights.py#_FROM_HF

    Files are JSON, YAML or Python, which is read and never run. The recipe is printed. What no rule can say is left
    out, with a comment in its place and a warning; the exit status is then 1.
    """
    from surgery.importers.base import importer_of
    from surgery.importers.writing import recipe_text, warnings_of

    importer, words = importer_of(what)
    imported = importer.read(words, reverse=reverse)
    text = recipe_text(imported, f"{what} --reverse" if reverse else what)
    session().complain(warnings_of(imported))
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(Path(output), text, force=force)
    return int(bool(imported.left_out))


def _write(file: Path, text: str, *, force: bool) -> None:
    from surgery.cli.files import write_text
    from surgery.schema import SCHEMA_FILE, schema_text

    schema = file.parent / SCHEMA_FILE
    write_text(str(file), text, overwrite=force)
    write_text(str(schema), schema_text(), overwrite=True)
    if not session().quiet:
        session().show([line(piece("wrote ", "good"), str(file)), line(piece("wrote ", "good"), str(schema))])
