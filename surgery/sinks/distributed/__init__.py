"""What makes a distributed checkpoint of a state dict: it is made flat, and described."""
