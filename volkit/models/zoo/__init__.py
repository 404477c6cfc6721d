"""Checkpoints that ship with volkit: NAME.yaml beside its weights, opened as builtin:NAME."""
