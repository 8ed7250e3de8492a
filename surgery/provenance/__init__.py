"""Provenance: every output says what made it. The record, how it is made, read, and checked again."""
