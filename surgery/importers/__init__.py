"""Importers: recipes from the rules of other tools. Each is a file that registers itself."""
