"""Proposals: a workflow for data that somebody has, written after looking at them."""
