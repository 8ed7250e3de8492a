"""Usage errors in the project's own style: what is wrong, and what was probably meant."""

from __future__ import annotations

import re

import click

from surgery.diagnostics import Diagnostic
from surgery.suggest import did_you_mean

__all__ = ["Misused", "diagnostic_of"]

_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)")
_QUOTED = re.compile(r"'([^']*)'")


class Misused(click.UsageError):
    """A usage error with notes of its own."""

    def __init__(self, message: str, *notes: str) -> None:
        super().__init__(message)
        self.notes = notes


def diagnostic_of(error: click.ClickException) -> Diagnostic:
    """An error of click's as a diagnostic."""
    context = getattr(error, "ctx", None)
    notes = [*getattr(error, "notes", ())]
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option `{error.option_name}`"
        known = _options(context)
        near = did_you_mean(error.option_name, known)
        notes.append(near or f"options: {', '.join(known)}")
    else:
        message = _plain(error)
    notes += _choice_note(error) + _step_note(error, context)
    if context is not None and not any(note.startswith("usage:") for note in notes):
        notes.append(f"usage: {_usage(context)}")
    return Diagnostic("usage", message, None, tuple(notes))


def _options(context: click.Context | None) -> list[str]:
    if context is None:
        return []
    options = [p for p in context.command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    return [name for option in options for name in option.opts if name.startswith("--")]


def _usage(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _plain(error: click.ClickException) -> str:
    """Click's message in the style of the others: ``Missing argument 'RECIPE'.`` is ``missing argument `RECIPE` ``."""
    if isinstance(error, click.MissingParameter) and error.param is not None:
        kind = "argument" if isinstance(error.param, click.Argument) else "option"
        return f"the {kind} `{error.param.make_metavar(error.ctx)}` is missing" if error.ctx else error.format_message()
    if isinstance(error, Misused):
        return error.format_message()
    if isinstance(error, click.BadOptionUsage) and "requires" in error.format_message():
        return f"the option `{error.option_name}` wants a value"
    extra = _EXTRA.match(error.format_message())
    if extra:
        return f"too many arguments: {extra[1]}"
    text = _QUOTED.sub(r"`\1`", error.format_message().rstrip("."))
    text = text.replace("is not a valid integer range", "is no integer")
    return text[:1].lower() + text[1:]


def _step_note(error: click.ClickException, context: click.Context | None) -> list[str]:
    """For a step that the shell took apart, the quotes around it."""
    if context is None or context.command.name != "apply" or not _EXTRA.match(error.format_message()):
        return []
    return ["a step is one argument: `-e 'rename: \"a -> b\"'`"]


def _choice_note(error: click.ClickException) -> list[str]:
    """For a word that is none of a choice, the nearest that is."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
    found = _QUOTED.search(error.format_message().partition(": ")[2])
    if not isinstance(kind, click.Choice) or found is None:
        return []
    near = did_you_mean(found[1], [str(choice) for choice in kind.choices])
    return [near] if near else []
