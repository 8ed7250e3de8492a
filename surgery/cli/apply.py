"""``surgery apply``: steps without a recipe, and conversion between formats."""

from __future__ import annotations

import json
import os
from pathlib import PurePath

import click

from surgery.cli.options import allow_option, json_option, limit_option, quiet_option, record_options

__all__ = ["command"]


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

    source = {"path": checkpoint, "entry": entry}
    target = {
        "path": _nameless(output),
        "format": form,
        "shard_size": shard_size,
        "container": "keep" if keep else None,
    }
    recipe = Recipe.of_text(recipe_text(source, target, steps), "surgery apply")
    plan = recipe.plan(allow=allow, overwrite=force, output=output, provenance=provenance)
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

    >>> print(recipe_text({"path": "a.pth"}, {"path": "b.safetensors"}, ('rename: "a -> b"',)), end="")
    source: {checkpoint: {"path": "a.pth"}}
    output: {"path": "b.safetensors"}
    steps:
    - rename: "a -> b"
    """
    items = [step.strip().removeprefix("- ").replace("\n", "\n  ") for step in steps]
    written = "".join(f"- {item}\n" for item in items)
    head = f"source: {{checkpoint: {_mapping(source)}}}\noutput: {_mapping(output)}\n"
    return f"{head}steps:\n{written}" if written else head


def _mapping(values: dict[str, str | None]) -> str:
    """A flow mapping without what was not given; in a recipe `$$` is a dollar sign."""
    given = {name: value.replace("$", "$$") for name, value in values.items() if value is not None}
    return json.dumps(given, ensure_ascii=False)
