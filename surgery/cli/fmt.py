"""``surgery fmt``: one form for recipe files."""

from __future__ import annotations

import sys

import click

from surgery.cli.options import limit_option, quiet_option
from surgery.cli.session import session
from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.report.lines import Line, line, piece

__all__ = ["command"]


@click.command("fmt")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 where something would change.")
@limit_option
@quiet_option
def command(recipes: tuple[str, ...], only_check: bool) -> int:
    """Format recipes in place: arrows below each other, words in their order, the line for editors.

    What a recipe means, and its comments, stay. `-` formats standard input to standard output.
    """
    if recipes == ("-",):
        from surgery.formatting import format_recipe

        click.echo(format_recipe(sys.stdin.read(), "<stdin>"), nl=False)
        return 0
    found: list[Line] = []
    wrong: list[Diagnostic] = []
    changed = False
    for name in recipes:
        try:
            if _format(name, write=not only_check):
                changed = True
                found.append(line(piece("would change  " if only_check else "formatted  ", "changed"), name))
        except SurgeryError as error:
            wrong += error.diagnostics
    if not session().quiet:
        session().show(found)
    if wrong:
        raise SurgeryError(wrong)
    return int(changed and only_check)


def _format(name: str, *, write: bool) -> bool:
    """Format a file, and write it if that is wanted; whether its form is another than before.

    Raises:
        SurgeryError: it cannot be read, is no YAML, or cannot be written.
    """
    from surgery.cli.files import read_text, write_text
    from surgery.formatting import format_recipe

    text = read_text(name)
    formatted = format_recipe(text, name)
    if formatted != text and write:
        write_text(name, formatted, overwrite=True)
    return formatted != text
