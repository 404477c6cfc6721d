"""Training: patches, targets, losses and the loop (needs the extra torch)."""
