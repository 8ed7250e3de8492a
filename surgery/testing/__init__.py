"""``surgery test``: the cases of recipes, each tried in an empty directory of its own."""
