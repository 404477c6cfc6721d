"""Synthetic tissue as a source of voxels, and its address."""

from dataclasses import fields
from typing import get_args

import numpy as np

from volkit.testing.specimen_source import SpecimenSource, address_of, made
from volkit.testing.tissue import Part, TissueSpecimen


def open_tissue(uri: str, level: int = 0) -> SpecimenSource:
    """Open synthetic tissue by its address.

    Parameters
    ----------
    uri : str
        ``specimen://tissue?shape=64,128,512&seed=7&part=labels``; further keys are
        ``voxel_size_nm`` and ``noise``, parts ``image``, ``labels``, ``cells`` and ``regions``.
    level : int
        Only 0 exists.

    Returns
    -------
    SpecimenSource

    Raises
    ------
    SourceError
        If the address cannot be understood.

    Examples
    --------
    >>> open_tissue("specimen://tissue?shape=8,16,64&part=cells").dtype
    dtype('uint64')
    """
    keys = [f.name for f in fields(TissueSpecimen)]
    part, values = address_of(
        uri, level, keys=keys, parts=get_args(Part), needed="shape=64,128,512"
    )
    specimen = made(uri, TissueSpecimen, values)
    return SpecimenSource.of("tissue", specimen, part, np.uint64 if part == "cells" else np.uint8)
