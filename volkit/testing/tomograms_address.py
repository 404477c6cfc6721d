"""Addresses of synthetic tomograms."""

from dataclasses import fields
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

from volkit.errors import SourceError
from volkit.testing.address_values import parsed_value
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
    if level:
        raise SourceError(f"{uri} has level 0 only, level {level} was asked for")
    given = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    known = [f.name for f in fields(TomogramSpecimen)] + ["part"]
    if stray := sorted(set(given) - set(known)):
        raise SourceError(f"{uri}: {', '.join(stray)} is unknown; known are {', '.join(known)}")
    part = given.pop("part", "image")
    if part not in get_args(Part):
        raise SourceError(f"{uri}: part {part!r} is unknown; choose one of {get_args(Part)}")
    if "shape" not in given:
        raise SourceError(f"{uri} has no shape; write shape=64,192,192")
    try:
        specimen = TomogramSpecimen(
            **{name: parsed_value(name, text) for name, text in given.items()}
        )
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error
    return TomogramSource(specimen, part)  # type: ignore[arg-type]
