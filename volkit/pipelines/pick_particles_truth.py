"""True points of tomograms, for ``pick_particles``: where they come from, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import SourceError
from volkit.geometry import Box, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.points.files import read_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import PointChecks, check_points, points_frame
from volkit.io.registry import opened
from volkit.io.sources import OpenOptions
from volkit.pipelines.pick_particles_config import PickParticles, TruthKeys
from volkit.pipelines.pick_particles_inputs import Tomogram, open_options

_SPECIMEN = "specimen://"


def read_truth(uri: str, config: PickParticles) -> pd.DataFrame:
    """Read a table of true points.

    Parameters
    ----------
    uri : str
        What :func:`~volkit.io.points.files.read_points` takes.
    config : PickParticles
        Whose picks are true, where there are those of several.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    told = config.truth or TruthKeys()
    return read_points(
        uri,
        PointOptions(
            user=told.user,
            session=told.session,
            voxel_size_nm=config.input.voxel_size_nm,
            open=open_options(config.input),
        ),
    )


def true_points(
    tomogram: Tomogram,
    config: PickParticles,
    table: pd.DataFrame | None,
    *,
    extent_nm: tuple[Vector, Vector],
) -> pd.DataFrame | None:
    """Find the true points of a tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Which.
    config : PickParticles
        Where they come from.
    table : pandas.DataFrame or None
        That of all tomograms.
    extent_nm : tuple of tuple of float
        Corners, between which they lie.

    Returns
    -------
    pandas.DataFrame or None
        With a column ``tomogram``; None where none are known.

    Raises
    ------
    SourceError
        If they cannot be read, one lies outside or where another one does, or a class is unknown.
    """
    found = _found(tomogram, config, table)
    if found is None or not len(found):
        return None
    classes = (config.truth or TruthKeys()).convention("czii").classes
    checks = PointChecks(classes, extent_nm, unique=True)
    check_points(found, checks, name=f"true points of {tomogram.name}")
    return found


def corners(scale: VoxelScale, domain: Box) -> tuple[Vector, Vector]:
    """Give the outer corners of a domain, nanometres: half a voxel beyond the last centres."""
    z, y, x = scale.origin_nm
    dz, dy, dx = scale.voxel_size_nm
    outer = replace(scale, origin_nm=(z - dz / 2, y - dy / 2, x - dx / 2))
    return outer.to_nm(domain.start), outer.to_nm(domain.stop)


def _found(
    tomogram: Tomogram, config: PickParticles, table: pd.DataFrame | None
) -> pd.DataFrame | None:
    told = config.truth
    if tomogram.truth is not None:
        found = _own(tomogram.truth, config)
    elif table is not None:
        found = table
    elif told is not None and tomogram.project is not None:
        found = tomogram.project.picks(tomogram.name, user=told.user, session=told.session)
    else:
        return None
    if "tomogram" in found.columns:
        return found[found["tomogram"] == tomogram.name].reset_index(drop=True)
    return named(found, tomogram.name)


def named(frame: pd.DataFrame, tomogram: str) -> pd.DataFrame:
    """Say in a table of points in which tomogram they lie."""
    frame = frame.copy()
    frame.insert(0, "tomogram", pd.Series([tomogram] * len(frame), dtype="str"))
    return frame


def _own(uri: str, config: PickParticles) -> pd.DataFrame:
    if not uri.startswith(_SPECIMEN):
        return read_truth(uri, config)
    source = opened(uri, 0, OpenOptions())
    points: Any = getattr(source, "points", None)
    if points is None:
        raise SourceError(f"{uri} knows of no particles; give a table, or specimen://tomogram")
    there = points(Box.from_shape(source.shape))
    centres = np.stack([there[name] for name in ("z_nm", "y_nm", "x_nm")], axis=1)
    return points_frame(centres, [str(name) for name in there["class"]])
