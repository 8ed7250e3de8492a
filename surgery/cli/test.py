"""``surgery test``: try the tests of recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from surgery.cli.options import allow_option, json_option, limit_option, quiet_option
from surgery.cli.session import session
from surgery.cli.usage import Misused
from surgery.diagnostics import SurgeryError

if TYPE_CHECKING:
    from surgery.testing.outcome import Tested

__all__ = ["command"]


@click.command("test")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-k", "select", default="", metavar="TEXT", help="Only cases with this text in their names.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Try N recipes at a time.")
@click.option("--strict", is_flag=True, help="Fail where a case is skipped, or a recipe has no tests.")
@click.option("--junit", metavar="FILE", help="Write a report for continuous integration, as JUnit XML.")
@allow_option
@limit_option
@json_option
@quiet_option
def command(
    paths: tuple[str, ...], select: str, jobs: int, strict: bool, junit: str | None, allow: tuple[str, ...]
) -> int:
    """Try the `tests` of recipes: files, directories of recipes, and names of shipped ones.

    Each case makes its own small inputs in an empty directory. Nothing else is read or written, and nothing is fetched
    from the network. A case that lacks a package or a permission is skipped, and says so.

    \b
    surgery test recipes/
    surgery test recipes/ --strict --allow import:transformers --allow import:timm --junit report.xml
    """
    from surgery.permissions import permissions
    from surgery.report.tests import summary_lines, tested_lines, tests_document
    from surgery.testing.finding import recipes_below
    from surgery.testing.parallel import try_recipes

    allowed = permissions(allow)
    if "network" in allowed:
        raise Misused("`--allow network` is given, and tests use none", "a case makes what a recipe would download")
    current = session()
    shown = not current.json and not current.quiet
    found = []
    for tested in try_recipes(recipes_below(paths), allowed, select, jobs=jobs):
        if select and not tested.outcomes and not tested.errors:
            continue
        found.append(tested)
        # failures are errors, and are shown even where nothing else is
        if shown or (current.quiet and (tested.errors or tested.count("failed"))):
            current.show(tested_lines(tested))
    if junit:
        from surgery.cli.files import write_text
        from surgery.report.junit import junit_text

        write_text(junit, junit_text(found), overwrite=True)
    if not found:
        raise Misused(f"no case has `{select}` in its name")
    if current.json:
        current.print_json(tests_document(found))
    elif shown:
        current.show(summary_lines(found))
    return _status(found, strict=strict)


def _status(found: Sequence[Tested], *, strict: bool) -> int:
    """1 where a case fails, the status of its error where a recipe cannot be read, else 0."""
    if any(tested.count("failed") for tested in found):
        return 1
    for tested in found:
        if tested.errors:
            return SurgeryError(tested.errors).exit_code
    skipped = any(tested.count("skipped") or not tested.outcomes for tested in found)
    return int(strict and skipped)
