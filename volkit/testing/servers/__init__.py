"""Loopback servers for genuine clients: BossDB, files over HTTP, S3, and faults before them."""
