"""The cache of decoded chunks: each fetched about once, in memory and on a disk."""

from volkit.io.cache.source import CachedSource

__all__ = ["CachedSource"]
