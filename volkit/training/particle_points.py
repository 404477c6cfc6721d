"""Points: where the particles of a tomogram are, for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Box
from volkit.io.points.files import read_points as read_table
from volkit.io.points.options import PointOptions
from volkit.io.registry import opened
from volkit.io.sources import OpenOptions

_NM = ("z_nm", "y_nm", "x_nm")
_SPECIMEN = "specimen://"


@dataclass(frozen=True, slots=True)
class Points:
    """Particles of a tomogram.

    Parameters
    ----------
    places_nm : ndarray of float64, shape (N, 3)
        Centres, (z, y, x), nanometres.
    kinds : ndarray of int64, shape (N,)
        Number of each one's kind, from 0.
    """

    places_nm: NDArray[np.float64]
    kinds: NDArray[np.int64]

    def of(self, kind: int) -> NDArray[np.float64]:
        """Centres of one kind, shape (M, 3), nanometres."""
        return self.places_nm[self.kinds == kind]


def read_points(uri: str, names: Sequence[str], *, run: str = "") -> Points:
    """Read the particles of a tomogram.

    Parameters
    ----------
    uri : str
        What `volkit.io.points.files.read_points` takes: tables, picks of copick, STAR and others;
        or ``specimen://tomogram?...``.
    names : sequence of str
        The kinds, in the order of the network's channels; rows of other kinds are left out.
    run : str
        Tomogram of a table of several that is meant; empty takes all.

    Returns
    -------
    Points

    Raises
    ------
    SourceError
        If there is no such table, it is damaged, or has not the tomogram.
    ConfigError
        If it holds none of the kinds.
    """
    columns: Any = (
        _from_source(uri)
        if uri.startswith(_SPECIMEN)
        else read_table(uri, PointOptions(tomogram=run or None))
    )
    number = {name: n for n, name in enumerate(names)}
    kinds = np.array([number.get(str(name), -1) for name in columns["class"]], np.int64)
    places = np.stack([np.asarray(columns[name], float) for name in _NM], axis=1)
    if len(kinds) and kinds.max() < 0:
        raise ConfigError(
            f"{uri} has none of the kinds {', '.join(names)}, but "
            f"{', '.join(sorted(set(map(str, columns['class']))))}; name those"
        )
    return Points(places[kinds >= 0], kinds[kinds >= 0])


def _from_source(uri: str) -> dict[str, NDArray[Any]]:
    source = opened(uri, 0, OpenOptions())
    points = getattr(source, "points", None)
    if points is None:
        raise SourceError(f"{uri} knows of no particles; give a table, or specimen://tomogram")
    found: dict[str, NDArray[Any]] = points(Box.from_shape(source.shape))
    return found
