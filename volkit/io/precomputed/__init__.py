"""Neuroglancer precomputed layers and N5, local or in object stores.

Coordinates: voxel (0, 0, 0) of the finest scale has its *centre* at 0 nm, as in the other volumes
of volkit, unless the layer was made here with another origin; a coarser scale is shifted by half
of what its voxels are larger.  (Neuroglancer itself puts the *corner* of that voxel at 0: what it
shows is half a voxel of the finest scale further, at every scale alike.)

Bytes of the formats carry no checksums: a bit that flipped in a raw chunk is not noticed.  Chunks
that are cut, cannot be decoded or are not there are.
"""
