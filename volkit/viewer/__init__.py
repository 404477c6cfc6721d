"""Viewer: volumes, tables and whole runs in a browser, from a server of this machine alone."""
