"""``surgery explain``: a key of a plan, an error code, a step, an operation or a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from surgery.cli.options import allow_option, json_option, limit_option, params_option
from surgery.cli.session import session
from surgery.cli.usage import Misused
from surgery.report.lines import Line
from surgery.suggest import did_you_mean

__all__ = ["command"]


def _words() -> list[str]:
    """Every word that has a page."""
    from surgery.codes import all_codes
    from surgery.ops import OPS
    from surgery.sources import SOURCES
    from surgery.steps import STEPS

    return sorted({*all_codes(), *STEPS, *OPS, *SOURCES})


def _complete_word(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [word for word in _words() if word.startswith(incomplete)]


@click.command("explain")
@click.argument("word", metavar="KEY|CODE|STEP|OPERATION", shell_complete=_complete_word)
@click.argument("recipe", required=False)
@click.option("--recipe", "recipe_option", metavar="RECIPE", help="The recipe whose key it is.")
@params_option
@allow_option
@limit_option
@json_option
def command(
    word: str, recipe: str | None, recipe_option: str | None, params: Mapping[str, Any], allow: tuple[str, ...]
) -> None:
    """Explain a word: an error code, a step, an operation or a source; with a recipe, a key.

    Of a key it says where the tensor comes from, or what became of it, and by which rules.

    \b
    surgery explain unused-rule
    surgery explain convert
    surgery explain fc.weight recipe.yaml
    """
    if recipe and recipe_option:
        raise Misused("the recipe is given twice")
    if recipe or recipe_option:
        _key(word, recipe or recipe_option or "", params, allow)
        return
    if session().json:
        raise Misused("`--json` is for keys", "give the recipe: `surgery explain KEY RECIPE --json`")
    session().show(_page(word))


def _key(key: str, recipe: str, params: Mapping[str, Any], allow: tuple[str, ...]) -> None:
    from surgery.cli.loading import plan_of
    from surgery.report.explain import explain_lines, fates_of

    # nothing is written here, so an output of an earlier run is in nobody's way
    plan = plan_of(recipe, params, allow=allow, overwrite=True)
    if session().json:
        from surgery.report.json import explain_document

        session().print_json(explain_document(plan, key, fates_of(plan, key)))
    else:
        session().show(explain_lines(plan, key))


def _page(word: str) -> list[Line]:
    """Every page there is for a word: `cast` is a step and an operation."""
    from surgery.codes import all_codes, page
    from surgery.ops import OPS
    from surgery.report.reference import code_lines, op_lines, source_lines, step_lines
    from surgery.sources import SOURCES
    from surgery.steps import STEPS

    name = word.strip().removeprefix("error[").removeprefix("warning[").removesuffix("]")
    pages = []
    if name in all_codes():
        pages.append(code_lines(page(name), session().columns))
    if name in STEPS:
        pages.append(step_lines(name, STEPS[name]))
    if name in OPS:
        pages.append(op_lines(name, OPS[name]))
    if name in SOURCES:
        pages.append(source_lines(name, SOURCES[name]))
    if not pages:
        notes = ["a key is explained with its recipe: `surgery explain KEY RECIPE`"]
        near = did_you_mean(name, _words())
        raise Misused(f"there is no code, step, operation or source `{name}`", *([near] if near else []), *notes)
    return [one for number, lines in enumerate(pages) for one in ([(), *lines] if number else lines)]
