"""``surgery check``: what can be said of recipes without weights."""

from __future__ import annotations

import click

from surgery.cli.options import json_option, limit_option, quiet_option
from surgery.cli.session import session
from surgery.diagnostics import Diagnostic, SurgeryError

__all__ = ["command"]


@click.command("check")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@limit_option
@json_option
@quiet_option
def command(recipes: tuple[str, ...]) -> int:
    """Check recipes without weights: their YAML, their words, every rule by itself, and the recipes that they bring in.

    What only the keys of a checkpoint can tell (a rule that selects nothing, a shape that does not fit) is for
    `surgery plan`. All errors of all files are reported.
    """
    from surgery.api import load
    from surgery.inclusion_check import check_included

    current = session()
    found: dict[str, tuple[Diagnostic, ...]] = {}
    status = 0
    for name in recipes:
        try:
            recipe = load(name)
            found[name] = (*recipe.warnings, *check_included(recipe))
            errors = [d for d in found[name] if d.severity == "error"]
            status = status or (errors[0].exit_code if errors else 0)
        except SurgeryError as error:
            found[name] = error.diagnostics
            status = status or error.exit_code
    if current.json:
        from surgery.report.json import check_document

        current.print_json(check_document(found))
        return status
    current.complain(diagnostic for diagnostics in found.values() for diagnostic in diagnostics)
    if not current.quiet:
        from surgery.report.check import check_lines

        current.show(check_lines(found))
    return status
