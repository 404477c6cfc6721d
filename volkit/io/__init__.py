"""Volumes and tables: where voxels come from and go to; the one place that knows axis orders."""

from volkit.io.open import create_volume, open_volume
from volkit.io.sources import OpenOptions, Source
from volkit.io.volume import Volume

__all__ = ["OpenOptions", "Source", "Volume", "create_volume", "open_volume"]
