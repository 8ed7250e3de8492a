"""The command line. One file for each command; nothing heavy is imported until a command runs."""
