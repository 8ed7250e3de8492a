"""``surgery verify``: check an output against what it says made it."""

from __future__ import annotations

import click

from surgery.cli.options import json_option, limit_option, quiet_option
from surgery.cli.session import session

__all__ = ["command"]


@click.command("verify")
@click.argument("output", type=click.Path())
@click.option(
    "-s",
    "--source",
    "sources",
    multiple=True,
    metavar="PATH",
    type=click.Path(),
    help="Check the sources too: a checkpoint, or a directory to look in, such as `.`.",
)
@limit_option
@json_option
@quiet_option
def command(output: str, sources: tuple[str, ...]) -> int:
    """Check a file that Surgery wrote against the record in it.

    The recipe against its digest, the tensors against their names, dtypes and shapes, the contents against the
    checksums of the format, where it has any. A record may name any file there is, so sources are looked for only where
    --source says; one that is then not there is a failure.

    Exit status: 0 everything that was checked is as it was; 1 something is not; 3 there is no record, or no such file.
    """
    from surgery.provenance.verifying import verify
    from surgery.report.provenance import verification_document, verification_lines

    found = verify(output, sources=sources)
    current = session()
    if current.json:
        current.print_json(verification_document(found, output))
    elif not current.quiet:
        current.show(verification_lines(found, output, columns=current.columns))
    return 0 if found.ok else 1
