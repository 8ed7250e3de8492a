"""The commands, by name, with the line that ``surgery --help`` shows: asking for help imports none of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Entry"]


class Entry(NamedTuple):
    """A command: its module in `surgery.cli`, its line of help, and the section it stands in."""

    module: str
    help: str
    section: str


_RECIPES, _SHARING, _CHECKPOINTS = "Recipes", "Sharing recipes", "Checkpoints"
_WRITING, _REFERENCE = "Writing recipes", "Reference"

#: name -> command, in the order of the help
COMMANDS = {
    "run": Entry("run", "Carry a recipe out.", _RECIPES),
    "plan": Entry("plan", "Show what a recipe will do; nothing is written.", _RECIPES),
    "check": Entry("check", "Check recipes without weights.", _RECIPES),
    "test": Entry("test", "Try the tests of recipes.", _RECIPES),
    "lock": Entry("lock", "Write down what recipes and weights are.", _SHARING),
    "update": Entry("update", "Show what changed since a recipe was locked.", _SHARING),
    "vendor": Entry("vendor", "Copy what a locked recipe brings in.", _SHARING),
    "docs": Entry("docs", "Write an index of the recipes of a repository.", _SHARING),
    "copy": Entry("copy", "Copy a recipe, to change it.", _SHARING),
    "inspect": Entry("inspect", "Show what a checkpoint holds.", _CHECKPOINTS),
    "match": Entry("match", "Show what a selector selects, or a rule does.", _CHECKPOINTS),
    "apply": Entry("apply", "Apply steps to a checkpoint, or convert it, without a recipe.", _CHECKPOINTS),
    "verify": Entry("verify", "Check a file against what it says made it.", _CHECKPOINTS),
    "new": Entry("new", "Begin a recipe.", _WRITING),
    "import": Entry("import_", "Write a recipe from the rules of another tool.", _WRITING),
    "invert": Entry("invert", "Print the recipe that takes back what a recipe does.", _WRITING),
    "fmt": Entry("fmt", "Format recipes.", _WRITING),
    "schema": Entry("schema", "Print the JSON Schema of recipes.", _WRITING),
    "explain": Entry("explain", "Explain a key, an error code, a step or an operation.", _REFERENCE),
    "list": Entry("list_", "List shipped recipes, steps, operations and sources.", _REFERENCE),
    "show": Entry("show", "Show what a recipe is for, or which recipe made a file.", _REFERENCE),
}
