"""``surgery run``: carry a recipe out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from surgery.cli.options import (
    allow_option,
    json_option,
    limit_option,
    locked_option,
    output_options,
    params_option,
    quiet_option,
    recipe_argument,
    record_options,
)
from surgery.cli.session import session
from surgery.cli.usage import Misused

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["command", "execute"]


@click.command("run")
@recipe_argument
@params_option
@output_options
@record_options
@allow_option
@locked_option
@limit_option
@json_option
@quiet_option
def command(
    recipe: str,
    params: Mapping[str, Any],
    output: str | None,
    force: bool,
    digest: bool,
    provenance: bool,
    allow: tuple[str, ...],
    locked: bool,
) -> None:
    """Carry a recipe out: a file, or the name of a shipped one (see `surgery list`).

    The recipe is planned first, and nothing is written unless the whole plan is sound.
    """
    from surgery.cli.loading import plan_of

    plan = plan_of(
        recipe,
        params,
        allow=allow,
        output=output,
        overwrite=force,
        provenance=provenance,
        lock="strict" if locked else "use",
    )
    execute(plan, digest=digest)


def execute(plan: Plan, *, digest: bool = False) -> None:
    """Carry a plan out and show its result."""
    if not plan.outputs:
        raise Misused("the recipe has no output, so nothing would be kept", "give one: `-o result.safetensors`")
    current = session()
    # of a plan it is a warning that the output is there; the run refuses it
    current.complain([warning for warning in plan.warnings if warning.code != "output-exists"])
    from surgery.cli.progress import progress_on_terminal

    with progress_on_terminal(lambda: plan.cost.written, current) as progress:
        result = plan.execute(progress, digest=digest)
    if current.json:
        from surgery.report.json import result_document

        current.print_json(result_document(result))
    elif not current.quiet:
        from surgery.report.result import result_lines

        current.show(result_lines(result, columns=current.columns, warnings=False))
