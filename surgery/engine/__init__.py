"""Execution: from expressions to bytes in files and to tensors in memory."""
