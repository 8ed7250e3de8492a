"""Models without their weights: building them, editing them, and putting the weights in. Everything here needs torch."""
