"""Pickles, read as data: a machine that can call nothing."""
