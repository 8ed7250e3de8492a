"""Writing files so that a name always stands for a whole file, the old or the new one."""
