"""Write the reference pages that follow from the code: steps, operations, sources, outputs, errors, command line.

    python docs/generate.py            # writes docs/reference/*.md
    python docs/generate.py --check    # says which pages are not fresh, and ends with status 1

What is registered speaks for itself: a docstring is the text of its section, its fields are the table, and its example
is the example. So to change a page, change the docstring.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from surgery.api import load
from surgery.codes import all_codes, page
from surgery.document.quotes import quote
from surgery.fields import Field, Kind, either, fields_of, list_of, mapping_of, one_of, rules, selection
from surgery.fields.selected import by_selector
from surgery.foreign.remarks import Reading
from surgery.importers.base import IMPORTERS
from surgery.library import shipped
from surgery.limits import NAMES, about, shown_limit
from surgery.ops import OPS
from surgery.ops.base import Op
from surgery.permissions import PERMISSIONS
from surgery.places import place
from surgery.schema import schema_text
from surgery.sinks import SINKS
from surgery.sinks.base import Output
from surgery.sources import SOURCES
from surgery.steps import STEPS

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- written by docs/generate.py from the code: change the docstrings there, and run it again -->"
_STATUS = {1: "a check failed", 2: "usage or recipe", 3: "source or output", 4: "execution"}


def _page(title: str, introduction: str, sections: Iterable[str]) -> str:
    return "\n\n".join([_NOTE, f"# {title}", introduction, *sections]) + "\n"


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown: literals in single backquotes, doctests and lists of attributes left out."""
    text = inspect.cleandoc(docstring or "").split("\n>>> ")[0]
    paragraphs = [part for part in text.split("\n\n") if not part.startswith(("Attributes:", "Args:", "Raises:"))]
    return "\n\n".join(" ".join(part.split()) for part in paragraphs).replace("``", "`")


def _links(names: Iterable[str]) -> str:
    return " · ".join(f"[`{name}`](#{name})" for name in names)


def _yaml(example: str) -> str:
    return f"```yaml\n{example}\n```"


# fields


def _value(kind: Kind) -> str:
    """A kind of value in words."""
    if isinstance(kind, one_of):
        return " or ".join(f"`{word}`" for word in kind.words)
    if isinstance(kind, either):
        return ", or ".join(_value(each) for each in kind.kinds)
    if isinstance(kind, list_of):
        return f"{_value(kind.item)}, or a list of such"
    if isinstance(kind, by_selector):
        return f"a mapping from [selectors](language.md#selectors): {_value(kind.item)}"
    if isinstance(kind, mapping_of):
        return f"a mapping from names: {_value(kind.item)}"
    if isinstance(kind, rules):
        return "[rules](language.md#rules)"
    if kind is selection:
        return "a [selector](language.md#selectors), or a list of selectors as their union"
    if kind is place:
        return "a [place](recipes.md#places)"
    words = getattr(kind, "what", None) or _prose(kind.__doc__).split(". ")[0].rstrip(".")
    return words[0].lower() + words[1:]


def _default(field: Field) -> str:
    if field.required:
        return "must be given"
    return "" if field.default in (None, ()) else f"`{_literal(field.default)}`"


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(fields: Iterable[Field]) -> str:
    rows = ["| word | value | default | |", "| --- | --- | --- | --- |"]
    for field in fields:
        name = f"**`{field.name}`**" if field.main else f"`{field.name}`"
        cells = (name, _value(field.kind), _default(field), field.help)
        rows.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(row.replace("|  |", "| |") for row in rows)


def _registered(registry: Mapping[str, type] | Iterable[str], prefix: str = "") -> list[str]:
    """One section for each thing that has fields, a docstring and an example."""
    sections = []
    for name in registry:
        cls = registry[name]  # type: ignore[index]
        parts = [f"## {name}", _prose(cls.__doc__)]
        if fields_of(cls):
            parts.append(_table(fields_of(cls)))
        if cls.example:
            parts.append(_yaml(prefix + cls.example))
        if getattr(cls, "needs_model", False):
            parts.insert(2, "Works on a model; on a bare state dict it is an error.")
        sections.append("\n\n".join(parts))
    return sections


# pages


def _steps() -> str:
    introduction = f"""\
A recipe's `steps` are a list; each item is a mapping with the name of one step, and perhaps `when: $flag` (whether it
is done) and `note: text` (why). A word in **bold** may stand alone: `freeze: "**"`. Rules and selectors are explained
in [the language](language.md).

{_links(STEPS)}"""
    return _page("Steps", introduction, _registered(STEPS))


def _sources() -> str:
    introduction = f"""\
Where a recipe's tensors come from: `source: {{…}}`, each of `sources: {{a: {{…}}, b: {{…}}}}`, and `from:` of a
[`load`](steps.md#load). A text alone is a checkpoint: `source: model.pth` is `source: {{checkpoint: model.pth}}`.
Opening a source reads headers only.

{_links(SOURCES)}"""
    return _page("Sources", introduction, _registered(SOURCES, "source: "))


def _outputs() -> str:
    introduction = f"""\
`output:` is a path, a mapping with the words below, or a list of them. Without an output the result is used from
Python, or the command is given `-o PATH`.

{_table(fields_of(Output))}

```yaml
output: {{path: out/, format: safetensors, shard_size: 5GB}}
```

Each file is written under a temporary name beside its target, flushed, and renamed, so that the name stands for the
whole old or the whole new file, always. See [how bytes move](../explanation/how-bytes-move.md)."""
    sections = []
    for name in SINKS:
        sink = SINKS[name]
        suffixes = ", ".join(f"`{suffix}`" for suffix in sink.suffixes)
        asked = f"Without `format`, it is chosen for paths that end in {suffixes}." if suffixes else ""
        sections.append("\n\n".join(part for part in (f"## {name}", _prose(sink.__doc__), asked) if part))
    return _page("Outputs", introduction, sections)


_ARITY = {"each": "one to one", "split": "one to many", "join": "many to one", "many": "many to many"}


def _operations() -> str:
    introduction = """\
What may stand behind `via` in a rule of [`convert`](steps.md#convert) or [`copy`](steps.md#copy), joined by `|`. Each
operation knows the shapes and dtypes of its results without data, so a plan is exact. *Bytes only*: where the tensors
lie contiguous in a file and the dimension is the first one, the operation only rearranges ranges of bytes, and costs no
more than a rename. *Inverse*: there is an operation that gives the inputs back bit for bit."""
    rows = ["| operation | tensors | bytes only | inverse |", "| --- | --- | --- | --- |"]
    sections = []
    for name in OPS:
        op = OPS[name]
        marks = ["yes" if getattr(op, m) is not getattr(Op, m) else "" for m in ("rearrange", "inverse")]
        cells = (f"[`{name}`](#{name})", _ARITY[op.arity], *marks)
        rows.append(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
        example = _yaml(f"convert: {quote(op.example)}")
        sections.append(f"## {name}\n\n`{_call(op)}`\n\n{_prose(op.__doc__)}\n\n{example}")
    return _page("Operations", introduction + "\n\n" + "\n".join(rows), sections)


def _call(op: type[Op]) -> str:
    """The operation as it is called: ``pad(size, dim=0, fill=0)``."""
    written = []
    for field in dataclasses.fields(op):  # type: ignore[arg-type]  # every operation is a dataclass
        if field.name == op.variadic:
            written.append(f"*{field.name}")
        elif field.name == op.keywords:
            written.append(f"**{field.name}")
        elif field.default is dataclasses.MISSING:
            written.append(field.name)
        else:
            written.append(f"{field.name}={field.default!r}")
    return f"{op.name}({', '.join(written)})"


def _errors() -> str:
    introduction = """\
Every error has a code, which stands in brackets behind `error`, and a page here. `surgery explain CODE` prints the same
page. The exit status is that of a command that ends with the error. [How to read an error](../how-to/read-an-error.md)
explains the rest of a message."""
    rows = ["| code | | status |", "| --- | --- | --- |"]
    sections = []
    for code in all_codes():
        found = page(code)
        rows.append(f"| [`{code}`](#{code}) | {found.title} | {found.exit_code} |")
        status = f"Exit status {found.exit_code}: {_STATUS[found.exit_code]}."
        sections.append(f"## {code}\n\n**{found.title}.** {status}\n\n{found.body.strip()}")
    return _page("Errors", introduction + "\n\n" + "\n".join(rows), sections)


def _commands() -> str:
    from surgery.cli.main import command

    context = click.Context(
        command, info_name="surgery", help_option_names=["-h", "--help"], max_content_width=100, terminal_width=100
    )
    names = command.list_commands(context)
    introduction = f"{_prose(command.help)}\n\n{_links(names)}"
    return _page(
        "Command line", introduction, [_command(name, command.get_command(context, name), context) for name in names]
    )


def _command(name: str, found: Any, parent: click.Context) -> str:
    context = click.Context(found, info_name=name, parent=parent)
    usage = " ".join((f"surgery {name}", *found.collect_usage_pieces(context)))
    records = [param.get_help_record(context) for param in found.get_params(context)]
    rows = [(names, text) for names, text in filter(None, records) if text]
    parts = [f"## {name}", f"```\n{usage}\n```", *map(_paragraph, inspect.cleandoc(found.help or "").split("\n\n"))]
    if rows:
        lines = ["| option | |", "| --- | --- |", *(f"| `{_cell(names)}` | {_cell(text)} |" for names, text in rows)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _paragraph(text: str) -> str:
    """A paragraph of a command's help; what click is told to leave as it is (``\\b``) is code."""
    return f"```sh\n{text[2:]}\n```" if text.startswith("\b\n") else _prose(text)


def _limits() -> str:
    introduction = """What a recipe may not do by itself, and what it, or a file, may cost. Both are the caller's: no
recipe, no file and no environment variable can change them. See [trust](../explanation/trust.md)."""
    allowed = [
        "| permission | allows |",
        "| --- | --- |",
        *(f"| `{_cell(word)}` | {_cell(text)} |" for word, text in PERMISSIONS.items()),
    ]
    permissions = """On the command line `--allow WORD`, any number of times; in Python `allow=["WORD", …]`. A pickled
module: [how to](../how-to/pickled-modules.md)."""
    raised = """On the command line `--limit NAME=VALUE`, in Python `limits={"NAME": VALUE}` of `load`, `plan` and
`run`; for everything else there, `with surgery.limits.limited({"NAME": VALUE}): …`. Sizes are numbers of bytes, or text
such as `500MB`, in powers of 1000. An error that a limit causes names it."""
    rows = [
        "| limit | by default | of |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {shown_limit(name)}{_most(name)} | {_cell(about(name)['about'])} |" for name in NAMES),
    ]
    fixed = """Some bounds are not limits but what the language or a format is, and have no option: numbers of 64 bits
in recipes, brackets 40 deep in a rule, integers of 1024 bytes and tensors of 64 dimensions in a checkpoint."""
    sections = ["## Permissions", permissions, "\n".join(allowed), "## Limits", raised, "\n".join(rows), fixed]
    return _page("Permissions and limits", introduction, sections)


def _most(name: str) -> str:
    most = about(name)["most"]
    return f", {most} at most" if most else ""


def _library() -> str:
    introduction = """What ships with surgery: `surgery list recipes` lists it, `surgery show NAME` says what a recipe
wants, `surgery run NAME -p …` runs it, and `surgery copy NAME` prints it, to be changed. Parameters in bold must be
given; others have defaults, or stand in a file beside the weights.

Each recipe has its proof in it: `surgery test NAME --allow import:…` makes a small model of the one library, converts
it, and compares what both compute ([how](../how-to/test-a-recipe.md)). `surgery test recipes/` does so for all. See
also [convert between implementations](../how-to/between-implementations.md)."""
    families: dict[str, list[str]] = {}
    for name, path in shipped().items():
        recipe = load(path)
        given = ", ".join(f"**{param}**" if found.required else param for param, found in recipe.params.items())
        row = f"| [`{name}`](../../recipes/{name}.yaml) | {_cell(recipe.description)} | {given} |"
        families.setdefault(name.rpartition("/")[0], []).append(row)
    head = "| recipe | | parameters |\n| --- | --- | --- |"
    sections = []
    for family, rows in sorted(families.items(), key=lambda item: (item[0] == "", item[0])):
        sections += [f"## {family or 'for any model'}", "\n".join([head, *rows])]
    return _page("Shipped recipes", introduction, sections)


def _importers() -> str:
    introduction = """\
What [`surgery import`](cli.md#import) reads, as `KIND:WHAT`. Files are JSON, YAML or Python; Python is read and never
run, and `file.py#NAME` names one of its dicts or lists. A text that begins with a bracket is the rules themselves.
[How to bring the rules you have](../how-to/bring-your-rules.md)."""
    sections = [
        f"## `{name}`\n\n{_prose(IMPORTERS[name].__doc__)}\n\n```sh\nsurgery import {IMPORTERS[name].example}\n```"
        for name in IMPORTERS
    ]
    readings = "\n".join(f"- {reading.value[0].upper()}{reading.value[1:]}." for reading in Reading)
    sections.append(f"## How rules are read\n\n{_READINGS}\n\n{readings}")
    return _page("Importers", introduction, sections)


_READINGS = """\
A regular expression may say things of a key that our rules cannot. Where a rule says less or more than what it was made
from, the recipe says so at its top, and how many rules are concerned:"""


#: file name -> what writes its content
PAGES: dict[str, Callable[[], str]] = {
    "steps.md": _steps,
    "operations.md": _operations,
    "sources.md": _sources,
    "outputs.md": _outputs,
    "errors.md": _errors,
    "cli.md": _commands,
    "library.md": _library,
    "limits.md": _limits,
    "importers.md": _importers,
    "../recipe.schema.json": schema_text,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them."""
    stale = []
    for name, write in PAGES.items():
        content = write()
        file = REFERENCE / name
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            stale.append(name)
            if "--check" not in arguments:
                file.write_text(content, encoding="utf-8")
    for name in stale:
        print(f"{'not fresh' if '--check' in arguments else 'written'}: docs/reference/{name}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
