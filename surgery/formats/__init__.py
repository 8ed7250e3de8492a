"""Checkpoint formats, read without torch and without running anything that they hold."""
