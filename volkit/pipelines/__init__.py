"""Pipelines: workflows in YAML, checked and carried out."""
