"""CSV of the CZII challenge: id, experiment, particle_type, and x, y, z in ångström."""

from io import BytesIO

import numpy as np
import pandas as pd

from volkit.errors import SourceError
from volkit.io.points.options import ANGSTROM_DECIMALS, ANGSTROM_PER_NM
from volkit.io.points.table import centres_of, points_frame

_NEEDED = ("experiment", "particle_type", "x", "y", "z")


def is_czii(data: bytes) -> bool:
    """Tell by the header whether a CSV file is of the challenge."""
    names = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    return set(_NEEDED) <= {name.strip('"') for name in names}


def read_czii(uri: str, data: bytes) -> pd.DataFrame:
    """Read a submission or a solution.

    Parameters
    ----------
    uri : str
        For messages.
    data : bytes
        The file.

    Returns
    -------
    pandas.DataFrame
        Points of several tomograms; a column ``score`` is kept where there is one.

    Raises
    ------
    SourceError
        If columns are missing or hold no numbers.
    """
    try:
        rows = pd.read_csv(BytesIO(data), dtype={"experiment": str, "particle_type": str})
        missing = [name for name in _NEEDED if name not in rows.columns]
        if missing:
            raise SourceError(
                f"{uri} has no column {', '.join(missing)}; the challenge has id, "
                f"{', '.join(_NEEDED)}"
            )
        centres = rows[["z", "y", "x"]].to_numpy(np.float64) / ANGSTROM_PER_NM
        scores = rows["score"].to_numpy(np.float64) if "score" in rows.columns else 1.0
    except ValueError as error:
        raise SourceError(f"{uri} cannot be read as CSV of points ({error}); mend it") from error
    names = {name: rows[name] for name in ("experiment", "particle_type")}
    empty = [name for name, column in names.items() if column.isna().any()]
    if empty:
        raise SourceError(f"{uri} has rows without {', '.join(empty)}; fill or drop them")
    kinds, tomograms = names["particle_type"].tolist(), names["experiment"].tolist()
    return points_frame(centres, kinds, scores=scores, tomograms=tomograms)


def czii_csv(frame: pd.DataFrame, tomogram: str | None) -> bytes:
    """Write a submission; scores are left out, as the challenge has none.

    Parameters
    ----------
    frame : pandas.DataFrame
        Points.
    tomogram : str or None
        Name of their tomogram, where the table has no such column.

    Returns
    -------
    bytes

    Raises
    ------
    SourceError
        If nothing names the tomogram.
    """
    if "tomogram" not in frame.columns and tomogram is None:
        raise SourceError("points of the challenge name their tomogram; pass tomogram='TS_...'")
    angstrom = np.round(centres_of(frame) * ANGSTROM_PER_NM, ANGSTROM_DECIMALS)
    rows = pd.DataFrame(
        {
            "id": np.arange(len(frame)),
            "experiment": frame["tomogram"] if "tomogram" in frame.columns else tomogram,
            "particle_type": frame["class"],
            "x": angstrom[:, 2],
            "y": angstrom[:, 1],
            "z": angstrom[:, 0],
        }
    )
    return rows.to_csv(index=False, lineterminator="\n").encode()
