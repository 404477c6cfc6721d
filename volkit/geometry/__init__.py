"""Geometry: integers in voxels, (z, y, x); no arrays are touched here."""

from volkit.geometry.box import AXES, Box, Coord, coord
from volkit.geometry.grid import Block, Grid
from volkit.geometry.morton import morton_order
from volkit.geometry.scale import VoxelScale
from volkit.geometry.windows import Windows

__all__ = [
    "AXES",
    "Block",
    "Box",
    "Coord",
    "Grid",
    "VoxelScale",
    "Windows",
    "coord",
    "morton_order",
]
