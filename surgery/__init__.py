"""Surgery: a declarative model-surgery language for PyTorch."""
