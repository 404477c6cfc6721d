"""Addresses of synthetic tomograms."""

from dataclasses import fields
from typing import get_args

from volkit.testing.specimen_source import address_of, made
from volkit.testing.tomograms import Part, TomogramSource, TomogramSpecimen


def open_tomogram(uri: str, level: int = 0) -> TomogramSource:
    """Open a synthetic tomogram by its address.

    Parameters
    ----------
    uri : str
        ``specimen://tomogram?shape=64,192,192&seed=7``; further keys are ``voxel_size_nm``,
        ``noise``, ``tilt``, ``density`` and ``part`` (image or density).
    level : int
        Only 0 exists.

    Returns
    -------
    TomogramSource

    Raises
    ------
    SourceError
        If the address cannot be understood.

    Examples
    --------
    >>> open_tomogram("specimen://tomogram?shape=8,16,16&seed=2").shape
    (8, 16, 16)
    """
    keys = [f.name for f in fields(TomogramSpecimen)]
    part, values = address_of(
        uri, level, keys=keys, parts=get_args(Part), needed="shape=64,192,192"
    )
    specimen = made(uri, TomogramSpecimen, values)
    return TomogramSource(specimen, part)  # type: ignore[arg-type]
