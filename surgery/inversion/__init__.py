"""``surgery invert``: the recipe that takes back what a recipe does, and the proof that it does.

Each step is taken backwards by itself. A key rule goes into the mirror (`mirror`, `arithmetic`, `operations`), and is
then made to take just the keys that it should (`judging`, `sharpen`); of other steps the keys are looked at (`others`).
With symbols in the place of tensors (`stages`, `identity`), the inverse of each step must give back just what the step
saw. Without keys to look at, the rules themselves have to be proof (`languages`, `proof`).
"""

from surgery.inversion.invert import invert_recipe

__all__ = ["invert_recipe"]
