"""``surgery lock``: write down what recipes and weights are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from surgery.cli.options import allow_option, limit_option, params_option, quiet_option, recipe_argument
from surgery.cli.session import session
from surgery.report.lines import line, piece
from surgery.wording import counted

__all__ = ["command"]


@click.command("lock")
@recipe_argument
@params_option
@allow_option
@limit_option
@quiet_option
def command(recipe: str, params: Mapping[str, Any], allow: tuple[str, ...]) -> None:
    """Write `surgery.lock` beside a recipe: the commits and digests of all that it names.

    The recipe is planned, and the weights that it names are read for their digests; what a parameter names is the
    caller's, and not locked. What is locked already stays as it is: `surgery update` moves it on. Recipes of one
    directory share a lock.

    \b
    surgery lock main.yaml --allow network
    surgery run main.yaml --allow network --locked
    """
    from surgery.cli.loading import plan_of
    from surgery.files.text import write_text
    from surgery.locking.lock import LOCK_FILE, lock_text, read_lock
    from surgery.locking.making import joined, lock_of

    plan = plan_of(recipe, params, allow=allow)
    directory = plan.recipe.directory
    current = session()
    current.complain([warning for warning in plan.warnings if warning.code != "output-exists"])
    before = read_lock(directory)
    found = lock_of(plan, directory)
    lock = joined([found, before] if before is not None else [found])
    write_text(directory / LOCK_FILE, lock_text(lock), overwrite=True)
    if not current.quiet:
        held = f"{counted(len(lock.recipes), 'recipe')}, {counted(len(lock.sources), 'source')}"
        current.show([line(piece("wrote ", "good"), str(directory / LOCK_FILE), "  ", piece(held, "quiet"))])
