"""``surgery inspect``: what a checkpoint holds."""

from __future__ import annotations

import click

from surgery.cli.options import allow_option, json_option, limit_option
from surgery.cli.session import session

__all__ = ["command"]


@click.command("inspect")
@click.argument("checkpoint", type=click.Path())
@click.option("-l", "--list", "as_list", is_flag=True, help="List every key, its dtype, shape and size.")
@click.option("-d", "--depth", type=click.IntRange(min=1), metavar="N", help="Show the tree no deeper than this.")
@click.option("-e", "--entry", metavar="NAME", help="Only the state dict of this name.")
@allow_option
@limit_option
@json_option
def command(checkpoint: str, as_list: bool, depth: int | None, entry: str | None, allow: tuple[str, ...]) -> None:
    """Show what a checkpoint holds: its tensors as a tree, and everything else. No tensor data is read.

    Siblings that hold the same are one line: `layers.{0-11}` stands for exactly these twelve.
    """
    from surgery.cli.subjects import inspection_of

    found = inspection_of(checkpoint, entry=entry, allow=allow)
    current = session()
    if current.json:
        from surgery.report.json import inspect_document

        current.print_json(inspect_document(found))
        return
    from surgery.report.inspect import inspect_lines

    current.show(inspect_lines(found, as_list=as_list, depth=depth, columns=current.columns))
