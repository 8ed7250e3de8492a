"""The entry point: commands found by name, and every way in which one can end."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NoReturn

import click

from surgery.cli.commands import COMMANDS
from surgery.cli.open_files import allow_many
from surgery.cli.session import Session
from surgery.cli.streams import prepare, unwritable
from surgery.cli.usage import Misused, diagnostic_of
from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.files.signals import TERMINATED, Terminated, signals_raised
from surgery.garbage import without_collection
from surgery.suggest import did_you_mean

__all__ = ["command", "main"]

INTERRUPTED, BUG, BROKEN_PIPE = 130, 70, 141


class Surgery(click.Group):
    """The group of all commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"surgery.cli.{entry.module}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if name.endswith((".yaml", ".yml")) or os.path.exists(name):
            likely = "run" if name.endswith((".yaml", ".yml")) else "inspect"
            raise Misused(f"`{name}` is no command", f"did you mean `surgery {likely} {name}`?")
        near = did_you_mean(name, COMMANDS)
        raise Misused(f"there is no command `{name}`", near or f"commands: {', '.join(COMMANDS)}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, entries in groupby(COMMANDS.items(), key=lambda item: item[1].section):
            with formatter.section(section):
                formatter.write_dl([(name, entry.help) for name, entry in entries])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            # whoever read the output has enough
            unwritable(sys.stdout)
            raise click.exceptions.Exit(BROKEN_PIPE) from None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command line and exit with its status; `prog_name` is always ``surgery``, however it was started."""
        current = Session()

        def invoke() -> Any:
            return super(Surgery, self).main(args, "surgery", standalone_mode=False, obj=current)

        sys.exit(_status(invoke, current))


def _status(invoke: Callable[[], Any], current: Session) -> int:
    """The exit status of a command line, what went wrong having been said."""
    prepare()
    try:
        with signals_raised(), without_collection():
            result = invoke()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except SurgeryError as error:
        return _fail(error.diagnostics, error.exit_code, current)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(error.format_message() + "\n")
        return 0
    except click.ClickException as error:
        return _fail((diagnostic_of(error),), 2, current)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except OSError as error:
        failed = unwritable(sys.stdout)
        if failed is None:
            return _bug(error)
        return _fail((Diagnostic("output", f"the result cannot be printed: {failed.strerror}"),), 3, current)
    except MemoryError:
        return _fail((Diagnostic("no-memory", "there is not enough memory"),), 4, current)
    except ImportError as error:
        if (error.name or "surgery").startswith("surgery"):
            return _bug(error)
        message = f"a library that is needed cannot be imported: {error}"
        return _fail((Diagnostic("import-failed", message),), 3, current)
    except Exception as error:
        return _bug(error)


def _fail(diagnostics: Sequence[Diagnostic], status: int, current: Session) -> int:
    if current.json:
        from surgery.report.json import errors_document

        current.print_json(errors_document(diagnostics))
    try:
        current.complain(diagnostics)
    except OSError:
        # where errors cannot be printed, the status has to do
        unwritable(sys.stderr)
    return status


def _bug(error: Exception) -> int:
    """An error that nobody foresaw: one line, and the traceback only where it is asked for."""
    if os.environ.get("SURGERY_DEBUG"):
        import traceback

        traceback.print_exception(error)
    from surgery.diagnostics import escape

    words = escape(f"{type(error).__name__}: {error}")
    hint = "" if os.environ.get("SURGERY_DEBUG") else "; SURGERY_DEBUG=1 shows the traceback"
    sys.stderr.write(f"error: this is a bug in Surgery ({words}){hint}\n")
    return BUG


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from surgery.version import __version__

        click.echo(f"surgery {__version__}")
        ctx.exit()


@click.group(
    cls=Surgery,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`surgery COMMAND --help` says more of each. Exit status: 0 done, 1 a check failed, 2 usage or an invalid "
    "recipe, 3 a source or an output, 4 execution.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)
def command() -> None:
    """Model surgery by recipe: operate on PyTorch checkpoints and models."""


def main() -> NoReturn:
    """Run the command line of this process."""
    allow_many()
    command.main()
