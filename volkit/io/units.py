"""Units: what files say about voxel sizes, in nanometres."""

from collections.abc import Mapping, Sequence
from typing import Any

from volkit.errors import SourceError

# What a length in each unit is in nanometres: names of UDUNITS, as OME-Zarr has them, and symbols.
_NANOMETRES = {
    "angstrom": 0.1,
    "ångström": 0.1,
    "å": 0.1,
    "picometer": 1e-3,
    "pm": 1e-3,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "nm": 1.0,
    "micrometer": 1e3,
    "micrometre": 1e3,
    "micron": 1e3,
    "microns": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "μm": 1e3,
    "\\u00b5m": 1e3,  # as ImageJ writes it
    "millimeter": 1e6,
    "millimetre": 1e6,
    "mm": 1e6,
    "centimeter": 1e7,
    "cm": 1e7,
    "inch": 2.54e7,
    "meter": 1e9,
    "m": 1e9,
}


def nanometres(unit: str, *, uri: str) -> float:
    """Say how many nanometres one unit is.

    Raises
    ------
    SourceError
        If the unit is no length that is known here.

    Examples
    --------
    >>> nanometres("micrometer", uri="em.zarr")
    1000.0
    """
    try:
        return _NANOMETRES[unit.strip().lower()]
    except KeyError:
        raise SourceError(
            f"{uri} has lengths in {unit!r}; known units are {', '.join(sorted(_NANOMETRES))}: "
            "mend the unit, or pass voxel_size_nm where it does not matter"
        ) from None


def stated_voxel_size(
    attributes: Mapping[str, Any], axes: int, *, uri: str
) -> tuple[float, ...] | None:
    """Find a voxel size among the attributes of a dataset.

    Understood are ``voxel_size_nm``, ``element_size_um`` (ilastik, PlantSeg) and ``resolution``
    (CREMI, funlib; nanometres).

    Parameters
    ----------
    attributes : mapping
        Of the dataset, and of what it lies in.
    axes : int
        Number of values expected: one for each spatial axis, in stored order.
    uri : str
        Which dataset, for the message.

    Returns
    -------
    tuple of float or None
        Nanometres, in stored order; None where nothing is said.

    Raises
    ------
    SourceError
        If a size has another number of values, or is not positive.

    Examples
    --------
    >>> stated_voxel_size({"element_size_um": [0.04, 0.004, 0.004]}, 3, uri="em.h5")
    (40.0, 4.0, 4.0)
    """
    for key, factor in (("voxel_size_nm", 1.0), ("element_size_um", 1e3), ("resolution", 1.0)):
        if key not in attributes:
            continue
        given = attributes[key]
        values = tuple(given) if isinstance(given, Sequence) else (given,)
        try:
            size = tuple(round(float(v) * factor, 9) for v in values)
        except (TypeError, ValueError):
            size = ()
        if len(size) != axes or not all(0 < v < float("inf") for v in size):
            raise SourceError(
                f"{uri}: attribute {key} is {given!r}; expected {axes} positive numbers, one for "
                "each spatial axis: mend it"
            )
        return size
    return None
