"""Volumes and tables: where voxels come from and go to; the one place that knows axis orders."""

from volkit.io.sources import OpenOptions, Source
from volkit.io.volume import Volume, create_volume, open_volume

__all__ = ["OpenOptions", "Source", "Volume", "create_volume", "open_volume"]
