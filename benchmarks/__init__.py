"""Benchmarks: whole processes in paired runs, against what a user would do by hand. They judge nothing."""
