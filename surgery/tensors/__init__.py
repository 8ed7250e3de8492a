"""Tensors as the plan sees them: specifications, expressions over stored bytes, and the subject that steps work on."""
