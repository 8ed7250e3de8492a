"""Parameters of a recipe: how they are declared, and what may be given for them.

A declaration is a default (``classes: 10``) or a mapping (``weights: {type: path, help: …}``). Each becomes a small
JSON Schema, against which values from Python, from the command line and from files are checked alike.
"""

from surgery.params.arguments import Argument, arguments
from surgery.params.declare import read_params
from surgery.params.param import REQUIRED, Param
from surgery.params.values import bind_params

__all__ = ["REQUIRED", "Argument", "Param", "arguments", "bind_params", "read_params"]
