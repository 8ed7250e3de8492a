"""``surgery plan``: show what a recipe will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import click

from surgery.cli.options import (
    allow_option,
    json_option,
    limit_option,
    locked_option,
    output_options,
    params_option,
    recipe_argument,
)
from surgery.cli.session import session

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["command", "show_plan"]


@click.command("plan")
@recipe_argument
@params_option
@output_options
@allow_option
@locked_option
@limit_option
@click.option("--all", "full", is_flag=True, help="Show every line of every rule, however many there are.")
@json_option
def command(
    recipe: str,
    params: Mapping[str, Any],
    output: str | None,
    force: bool,
    allow: tuple[str, ...],
    locked: bool,
    full: bool,
) -> None:
    """Show what a recipe will do. Only headers are read, and nothing is written.

    `layers.{0-11}.w` stands for exactly these twelve keys.
    """
    from surgery.cli.loading import plan_of

    lock: Literal["use", "strict"] = "strict" if locked else "use"
    plan = plan_of(recipe, params, allow=allow, output=output, overwrite=force, lock=lock)
    show_plan(plan, full=full)


def show_plan(plan: Plan, *, full: bool = False) -> None:
    """Print a plan: for people, or as JSON; `full` shows every line of every rule."""
    current = session()
    if current.json:
        from surgery.report.json import plan_document

        current.print_json(plan_document(plan))
        return
    from surgery.report.plan import plan_lines

    current.show(plan_lines(plan, full=full, columns=current.columns))
