"""What transformers does to keys and tensors as it loads and saves, as rules."""
