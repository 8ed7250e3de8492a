"""``surgery apply``: steps without a recipe, and conversion between formats."""

from __future__ import annotations

import json
import os
from pathlib import PurePath

import click

from surgery.cli.options import allow_option, json_option, limit_option, quiet_option, record_options

__all__ = ["command"]

_PARAMETER = "checkpoint"


@click.command("apply")
@click.argument("checkpoint", metavar="IN", type=click.Path())
@click.argument("output", metavar="OUT", type=click.Path())
@click.option("-e", "--step", "steps", multiple=True, metavar="STEP", help="A step, as in a recipe; in this order.")
@click.option("--entry", metavar="NAME", help="The state dict of this name in the checkpoint.")
@click.option("--format", "form", metavar="FORMAT", help="The format, where the suffix of OUT does not say it.")
@click.option("--shard-size", metavar="SIZE", help="Write shards of at most this size, such as 5GB.")
@click.option("--keep", is_flag=True, help="Write the rest of the checkpoint too: epoch, optimizer and so on.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and write nothing.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
@record_options
@allow_option
@limit_option
@json_option
@quiet_option
def command(
    checkpoint: str,
    output: str,
    steps: tuple[str, ...],
    entry: str | None,
    form: str | None,
    shard_size: str | None,
    keep: bool,
    only_plan: bool,
    force: bool,
    digest: bool,
    provenance: bool,
    allow: tuple[str, ...],
) -> None:
    """Apply steps to a checkpoint and write the result. Without steps, the checkpoint is converted.

    The suffix of OUT says the format. OUT may be a directory, for shards.

    \b
    surgery apply model.pth model.safetensors
    surgery apply ddp.pth plain.pth -e 'rename: "module.** -> **"'
    surgery apply big.safetensors out/ --shard-size 5GB -e 'cast: "** -> bfloat16"'
    """
    from surgery.recipe import Recipe

    # a recipe is text, and not every file name is: such a one is the value of a parameter
    params = {} if checkpoint.isprintable() else {_PARAMETER: checkpoint}
    source = {"path": None if params else checkpoint, "entry": entry}
    target = {
        "path": _nameless(output),
        "format": form,
        "shard_size": shard_size,
        "container": "keep" if keep else None,
    }
    recipe = Recipe.of_text(recipe_text(source, target, steps), "surgery apply")
    plan = recipe.plan(params=params, allow=allow, overwrite=force, output=output, provenance=provenance)
    if only_plan:
        from surgery.cli.plan import show_plan

        show_plan(plan)
        return
    from surgery.cli.run import execute

    execute(plan, digest=digest)


def _nameless(output: str) -> str:
    """A path of the same kind: equal outputs of different names say the same of what made them.

    >>> _nameless("a/b.pth"), _nameless("shards/")
    ('output.pth', 'output/')
    """
    ends = "/" if output.endswith(("/", os.sep)) else ""
    return f"output{PurePath(output).suffix}{ends}"


def recipe_text(source: dict[str, str | None], output: dict[str, str | None], steps: tuple[str, ...]) -> str:
    """The recipe that the arguments stand for. Steps keep their words, so that errors show them as they were typed.

    A source without a path has a parameter for it.

    >>> print(recipe_text({"path": "a.pth"}, {"path": "b.safetensors"}, ('rename: "a -> b"',)), end="")
    source: {checkpoint: {"path": "a.pth"}}
    output: {"path": "b.safetensors"}
    steps:
    - rename: "a -> b"
    """
    items = [step.strip().removeprefix("- ").replace("\n", "\n  ") for step in steps]
    written = "".join(f"- {item}\n" for item in items)
    params, place = "", _literal(source)
    if "path" not in place:
        params, place["path"] = f"params: {{{_PARAMETER}: {{type: path}}}}\n", f"${_PARAMETER}"
    head = f"{params}source: {{checkpoint: {_mapping(place)}}}\noutput: {_mapping(_literal(output))}\n"
    return f"{head}steps:\n{written}" if written else head


def _literal(values: dict[str, str | None]) -> dict[str, str]:
    """What was given; in a recipe `$$` is a dollar sign."""
    return {name: value.replace("$", "$$") for name, value in values.items() if value is not None}


def _mapping(values: dict[str, str]) -> str:
    """A flow mapping."""
    return json.dumps(values, ensure_ascii=False)
