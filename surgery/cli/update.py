"""``surgery update``: what changed since a recipe was locked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from surgery.cli.options import allow_option, limit_option, params_option, quiet_option, recipe_argument
from surgery.cli.session import session
from surgery.report.lines import Line, line, piece

if TYPE_CHECKING:
    from surgery.locking.comparing import Change

__all__ = ["command"]


@click.command("update")
@recipe_argument
@params_option
@click.option("--take", is_flag=True, help="Write the changes into the lock.")
@allow_option
@limit_option
@quiet_option
def command(recipe: str, params: Mapping[str, Any], take: bool, allow: tuple[str, ...]) -> None:
    """Show what a recipe brings in that is not what it was locked to: the lines of recipes, the digests of weights.

    Nothing is written without --take.
    """
    from surgery.cli.loading import plan_of
    from surgery.files.text import write_text
    from surgery.locking.comparing import changes, updated
    from surgery.locking.lock import LOCK_FILE, Lock, lock_text, read_lock
    from surgery.locking.making import lock_of
    from surgery.locking.vendored import Vendored

    plan = plan_of(recipe, params, allow=allow, lock="ignore")
    directory = plan.recipe.directory
    before, after = read_lock(directory) or Lock(), lock_of(plan, directory)
    found = changes(before, after, plan.included, Vendored(directory))
    current = session()
    if take and found:
        write_text(directory / LOCK_FILE, lock_text(updated(before, after)), overwrite=True)
    if current.quiet:
        return
    current.show(each for change in found for each in _lines(change))
    if not found:
        current.show([line("nothing has changed")])
    elif take:
        current.show([line(piece("wrote ", "good"), str(directory / LOCK_FILE))])
    else:
        current.show([line(piece("`--take` writes it into the lock", "quiet"))])


def _lines(change: Change) -> Iterator[Line]:
    yield line(piece(change.name, "head"))
    yield line("  ", piece(f"{change.before or 'not locked'} -> {change.after}", "quiet"))
    if change.difference is None:
        yield line("  ", piece("the text that it was locked to is not here", "quiet"))
    for text in change.difference or ():
        style = {"+": "new", "-": "gone"}.get(text[:1], "quiet")
        yield line("  ", piece(text, style))
    yield line("")
