"""Pickles as torch writes them: objects, tensors, whole models, and the zip archives that they lie in."""
