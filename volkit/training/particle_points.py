"""Points: where the particles of a tomogram are, for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Box
from volkit.io.registry import opened
from volkit.io.sources import OpenOptions

_NM = ("z_nm", "y_nm", "x_nm")
_ANGSTROM = ("z", "y", "x")


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
        A CSV table with ``z_nm, y_nm, x_nm, class`` (nanometres), or, as the CZII challenge has
        it, ``experiment, particle_type, x, y, z`` (ångström); or ``specimen://tomogram?...``.
    names : sequence of str
        The kinds, in the order of the network's channels; rows of other kinds are left out.
    run : str
        Value of ``experiment`` to take; empty takes all.

    Returns
    -------
    Points

    Raises
    ------
    SourceError
        If there is no such table, or a coordinate is not finite.
    ConfigError
        If it lacks columns, or holds none of the kinds.
    """
    columns = _from_source(uri) if "://" in uri else _from_table(Path(uri), run)
    number = {name: n for n, name in enumerate(names)}
    kinds = np.array([number.get(str(name), -1) for name in columns["class"]], np.int64)
    places = np.stack([np.asarray(columns[name], float) for name in _NM], axis=1)
    if len(kinds) and kinds.max() < 0:
        raise ConfigError(
            f"{uri} has none of the kinds {', '.join(names)}, but "
            f"{', '.join(sorted(set(map(str, columns['class']))))}; name those"
        )
    if not np.isfinite(places).all():
        raise SourceError(f"{uri}: coordinates that are not finite; mend the table")
    return Points(places[kinds >= 0], kinds[kinds >= 0])


def _from_source(uri: str) -> dict[str, NDArray[Any]]:
    source = opened(uri, 0, OpenOptions())
    points = getattr(source, "points", None)
    if points is None:
        raise SourceError(f"{uri} knows of no particles; give a table, or specimen://tomogram")
    found: dict[str, NDArray[Any]] = points(Box.from_shape(source.shape))
    return found


def _from_table(path: Path, run: str) -> dict[str, NDArray[Any]]:
    import pandas as pd

    if not path.is_file():
        raise SourceError(f"there is no table of points at {path}; check the path")
    table = pd.read_csv(path)
    if run:
        if "experiment" not in table:
            raise ConfigError(f"{path} has no column experiment to find run {run!r} in")
        table = table[table["experiment"] == run]
    if {*_NM, "class"} <= set(table):
        return {name: table[name].to_numpy() for name in (*_NM, "class")}
    if {*_ANGSTROM, "particle_type"} <= set(table):
        places = {nm: table[a].to_numpy() / 10 for nm, a in zip(_NM, _ANGSTROM, strict=True)}
        return {**places, "class": table["particle_type"].to_numpy()}
    raise ConfigError(
        f"{path} has the columns {', '.join(map(str, table.columns))}; expected z_nm, y_nm, x_nm and class, or "
        "x, y, z and particle_type"
    )
