"""From a recipe to a plan: rules applied to a subject, everything accounted for, no tensor data read."""
