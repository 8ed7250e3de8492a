"""``surgery vendor``: copies of what a recipe brings in, for machines without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from surgery.cli.options import allow_option, limit_option, params_option, quiet_option, recipe_argument
from surgery.cli.session import session
from surgery.report.lines import line, piece

__all__ = ["command"]


@click.command("vendor")
@recipe_argument
@params_option
@allow_option
@limit_option
@quiet_option
def command(recipe: str, params: Mapping[str, Any], allow: tuple[str, ...]) -> None:
    """Copy the recipes and weights that a locked recipe brings in into `surgery.vendor`, beside its lock.

    Whoever has that directory can run the recipe without a network. What differs from the lock is an error, as with
    `run --locked`.
    """
    from surgery.cli.loading import plan_of
    from surgery.locking.copying import copy_all
    from surgery.locking.lock import read_lock
    from surgery.locking.vendored import Vendored

    plan = plan_of(recipe, params, allow=allow, lock="strict")
    directory = plan.recipe.directory
    lock = read_lock(directory)
    assert lock is not None, "a strict plan has one"
    current = session()
    for path in copy_all(plan, lock, Vendored(directory)):
        if not current.quiet:
            current.show([line(piece("wrote ", "good"), str(path))])
