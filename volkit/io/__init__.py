"""Volumes and tables: handles to what is stored; the only place where axes are converted."""
