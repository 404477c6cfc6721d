"""The command line: parsing and printing, no logic."""

from volkit.cli.app import main

__all__ = ["main"]
