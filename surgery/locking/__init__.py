"""``surgery.lock``: what the recipes of a directory were locked to, so that they do the same next year."""

from __future__ import annotations
