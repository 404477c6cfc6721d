"""Files: the formats of single files and stacks, one module each, all of them read-only."""
