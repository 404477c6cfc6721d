"""Boxes and coordinates as they are written on a command line."""

import re
from typing import TYPE_CHECKING

from volkit.errors import ConfigError

if TYPE_CHECKING:
    from volkit.geometry.scale import Vector

_RANGE = re.compile(r"\s*(-?\d+)\s*:\s*(-?\d+)\s*")


def parse_box(text: str) -> dict[str, list[int]]:
    """Read a box, axes z, y, x.

    Returns
    -------
    dict
        ``start`` and ``stop``, as a workflow file has them.

    Raises
    ------
    ConfigError
        If it is not three ranges.

    Examples
    --------
    >>> parse_box("0:64,128:256,-8:8")
    {'start': [0, 128, -8], 'stop': [64, 256, 8]}
    """
    found = [_RANGE.fullmatch(part) for part in text.split(",")]
    if len(found) != 3 or not all(found):
        raise ConfigError(
            f"--box {text}: write three ranges z0:z1,y0:y1,x0:x1 in voxels, such as "
            "0:64,128:256,128:256"
        )
    spans = [(int(f[1]), int(f[2])) for f in found if f]
    return {"start": [a for a, _ in spans], "stop": [b for _, b in spans]}


def parse_shape(text: str) -> list[int]:
    """Read an extent on each axis, z, y, x.

    Raises
    ------
    ConfigError
        If it is not three numbers.

    Examples
    --------
    >>> parse_shape("64,512,512")
    [64, 512, 512]
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise ConfigError(f"{text}: write three numbers z,y,x, such as 64,512,512")
    return [int(part) for part in parts]


def parse_vector(text: str | None, name: str, *, one: bool = False) -> "Vector | None":
    """Read a number for each axis, z, y, x.

    Parameters
    ----------
    text : str or None
        What was given; None where nothing was.
    name : str
        Of the option.
    one : bool
        Whether one number may stand for three.

    Raises
    ------
    ConfigError
        If it is not three numbers.

    Examples
    --------
    >>> parse_vector("40,4,4", "--voxel-size"), parse_vector("1", "--voxel-size", one=True)
    ((40.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    """
    if text is None:
        return None
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if one and len(found) == 1:
        found *= 3
    if len(found) != 3:
        like = "40,4,4" if one else "20,512,512"
        raise ConfigError(f"{name} {text}: write three numbers, z,y,x, such as {like}")
    z, y, x = found
    return z, y, x
