"""``surgery fmt``: one form for recipe files, that keeps comments and the author's own lines."""

from surgery.formatting.recipe import SCHEMA_LINE, format_recipe

__all__ = ["SCHEMA_LINE", "format_recipe"]
