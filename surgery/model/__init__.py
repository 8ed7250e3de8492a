"""Models without their weights: building them, editing them, putting the weights in. All of this needs torch."""
