"""Models: checkpoints, architectures and predictors (needs the extra torch)."""
