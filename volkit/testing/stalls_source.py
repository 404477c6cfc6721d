"""Specimens of blood as sources of voxels, and their addresses."""

from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.testing.specimen_source import SpecimenSource, address_of, made
from volkit.testing.stalls import StallSpecimen, stall_specimen

Part = Literal["image", "mask", "segments", "stalled"]

_KEYS = ("shape", "seed", "stalled", "segments", "noise", "motion", "voxel_size_nm")
_SIZE_NM = (1000.0, 1000.0, 1000.0)


def open_stalls(uri: str, level: int = 0) -> SpecimenSource:
    """Open a specimen of blood by its address.

    Parameters
    ----------
    uri : str
        ``specimen://stalls?shape=72,144,144&seed=7&part=mask``; further keys are those of
        `stall_specimen` and ``voxel_size_nm``.  Parts are ``image``, what the microscope shows;
        ``mask``, 1 in vessels; ``segments``, the number of the vessel; ``stalled``, 1 in stalled
        ones.
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
    >>> open_stalls("specimen://stalls?shape=40,48,48&seed=1&segments=3&part=segments").dtype
    dtype('uint64')
    """
    part, texts = address_of(
        uri, level, keys=_KEYS, parts=get_args(Part), needed="shape=72,144,144&seed=7"
    )
    numbers: dict[str, Any] = made(uri, dict, texts)
    about = {"kind": "stalls", "part": part, "voxel_size_nm": _SIZE_NM, **numbers}
    numbers.pop("voxel_size_nm", None)
    specimen = made(uri, partial(stall_specimen, **numbers), {})
    dtype = np.dtype(np.uint64 if part == "segments" else np.uint8)
    return SpecimenSource(specimen, about, dtype, partial(_drawn, specimen, part))


def _drawn(specimen: StallSpecimen, part: str, box: Box) -> NDArray[Any]:
    if part == "image":
        return specimen.image(box)
    labels = specimen.tree.labels(box)
    if part == "segments":
        return labels
    shown = np.concatenate([[False], specimen.stalled | (part == "mask")])
    return shown[labels.astype(np.intp)].astype(np.uint8)
