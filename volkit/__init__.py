"""volkit: peta-scale brain volumes into segmentations, particles and tables."""

__version__ = "0.1.0"
