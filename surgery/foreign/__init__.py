"""Rules that were written for other tools, read and said again in the language of recipes."""
