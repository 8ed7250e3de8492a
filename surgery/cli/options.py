"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from surgery.cli.session import Session

__all__ = [
    "allow_option",
    "json_option",
    "limit_option",
    "locked_option",
    "output_options",
    "params_option",
    "quiet_option",
    "recipe_argument",
    "record_options",
]

F = TypeVar("F", bound=Callable[..., Any])


def _set(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        current = ctx.find_object(Session)
        if value and current is not None:
            setattr(current, name, True)

    return callback


def json_option(function: F) -> F:
    """``--json``."""
    return click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set("json"), help="Print JSON."
    )(function)


def quiet_option(function: F) -> F:
    """``--quiet``."""
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set("quiet"), help="Print nothing but errors."
    )(function)


def params_option(function: F) -> F:
    """``-p name=value``, any number of times; the command gets a dict by name."""
    return click.option(
        "-p",
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_arguments,
        shell_complete=_complete_params,
        help="Give a parameter of the recipe a value.",
    )(function)


def _arguments(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    if not values:
        return {}
    from surgery.params import arguments

    return dict(arguments(values))


def allow_option(function: F) -> F:
    """``--allow WHAT``, any number of times."""
    return click.option(
        "--allow",
        multiple=True,
        metavar="WHAT",
        help="Permit what a recipe may not do by itself: network, include:PATH, import:PACKAGE, pickle:PATH, pickle.",
    )(function)


def locked_option(function: F) -> F:
    """``--locked``."""
    return click.option("--locked", is_flag=True, help="Take what `surgery.lock` says, and nothing else.")(function)


def limit_option(function: F) -> F:
    """``--limit NAME=VALUE``, any number of times: in force while the command runs."""
    return click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        expose_value=False,
        is_eager=True,
        callback=_limit,
        shell_complete=_complete_limits,
        help="Raise a limit, such as tensor=1TB; `surgery list limits` shows them.",
    )(function)


def _limit(ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
    if not values:
        return
    from surgery.cli.usage import Misused
    from surgery.limits import limited

    pairs = [value.partition("=") for value in values]
    for name, equals, _value in pairs:
        if not equals:
            raise Misused(f"a limit is a name and a value: `{name}` is none", "such as `--limit tensor=1TB`")
    ctx.with_resource(limited({name.strip(): value.strip() for name, _, value in pairs}))


def _complete_limits(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from surgery.limits import NAMES

    return [f"{name}=" for name in NAMES if name.startswith(incomplete)]


def output_options(function: F) -> F:
    """``-o PATH`` and ``--force``."""
    function = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")(function)
    return click.option("-o", "--output", metavar="PATH", help="Where to write, in place of what the recipe says.")(
        function
    )


def record_options(function: F) -> F:
    """``--digest`` and ``--no-provenance``."""
    function = click.option(
        "--no-provenance", "provenance", flag_value=False, default=True, help="Leave out of the output what made it."
    )(function)
    return click.option("--digest", is_flag=True, help="Digest all contents: of large sources too, and of the output.")(
        function
    )


def recipe_argument(function: F) -> F:
    """``RECIPE``: a file, or the name of a shipped recipe."""
    return click.argument("recipe", shell_complete=_complete_recipe)(function)


def _complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from surgery.library import shipped

    names = [CompletionItem(name) for name in shipped() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def _complete_params(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from surgery.diagnostics import SurgeryError

    # behind a `-p` that has no value yet, click leaves the arguments unread
    recipe = ctx.params.get("recipe") or next(iter(ctx.args), None)
    if not recipe or "=" in incomplete:
        return []
    try:
        from surgery.api import load

        params = load(recipe).params
    except SurgeryError:
        return []
    return [f"{name}=" for name in params if name.startswith(incomplete)]
