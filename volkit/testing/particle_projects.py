"""Copick projects on disk: synthetic tomograms, the true picks of them, and perfect heat maps."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.open import create_volume
from volkit.io.points.copick import open_copick
from volkit.io.points.table import centres_of, points_frame
from volkit.testing.tomograms import TomogramSpecimen
from volkit.testing.tomograms_particles import KINDS
from volkit.training.heatmaps import heat_maps, sigmas_in_voxels

ALL = tuple(kind.name for kind in KINDS)
_SIGMA = 3.0  # voxels
_ANGSTROM_PER_NM = 10.0


def particle_project(
    folder: Path,
    *,
    shape: Coord = (32, 96, 104),
    seeds: Sequence[int] = (6, 15),
    classes: Sequence[str] = ALL,
) -> Path:
    """Write a copick project of synthetic tomograms, with the picks of a curator.

    ::

        FOLDER/copick.json
        FOLDER/static/ExperimentRuns/TS_1/VoxelSpacing10.012/denoised.zarr
        FOLDER/overlay/ExperimentRuns/TS_1/Picks/curation_0_ribosome.json
        FOLDER/heat/TS_1.zarr      the maps of a network that is never wrong, not of copick

    Parameters
    ----------
    folder : Path
        Where to; made where it is not there.
    shape : tuple of int
        Of every tomogram, (z, y, x), voxels.
    seeds : sequence of int
        One for every tomogram, which are called TS_1, TS_2 and so on.
    classes : sequence of str
        The kinds that are objects of the project, in the order of the heat maps.

    Returns
    -------
    Path
        The configuration, ``copick.json``.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "copick.json"
    config.write_text(json.dumps(_config(folder, classes), indent=1), encoding="utf-8")
    project = None
    for number, seed in enumerate(seeds, 1):
        name, specimen = f"TS_{number}", TomogramSpecimen(shape, seed=seed, density=1.0)
        size, box = specimen.voxel_size_nm, Box.from_shape(shape)
        spacing = f"VoxelSpacing{size[0] * _ANGSTROM_PER_NM:.3f}"
        at = folder / "static" / "ExperimentRuns" / name / spacing
        _store(at / "denoised.zarr", specimen.image(box), size)
        truth = true_points(specimen, classes)
        _store(folder / "heat" / f"{name}.zarr", perfect_heat(truth, classes, shape, size), size)
        project = project or open_copick(str(config))
        project.write_picks(name, truth, user="curation", session="0")
    return config


def true_points(specimen: TomogramSpecimen, classes: Sequence[str] = ALL) -> pd.DataFrame:
    """List the particles of a specimen as a table of points.

    Parameters
    ----------
    specimen : TomogramSpecimen
        The tomogram.
    classes : sequence of str
        Which kinds.

    Returns
    -------
    pandas.DataFrame
        See :func:`~volkit.io.points.table.points_frame`.
    """
    points = specimen.points(Box.from_shape(specimen.shape))
    centres = np.stack([points[name] for name in ("z_nm", "y_nm", "x_nm")], axis=1)
    wanted = np.isin(points["class"], list(classes))
    return points_frame(centres[wanted], points["class"][wanted].tolist())


def perfect_heat(
    truth: pd.DataFrame, classes: Sequence[str], shape: Coord, voxel_size_nm: Vector
) -> NDArray[np.float32]:
    """Draw what a network would answer that is never wrong: a Gaussian at every centre.

    Parameters
    ----------
    truth : pandas.DataFrame
        Points of these classes.
    classes : sequence of str
        Channels.
    shape : tuple of int
        (z, y, x), voxels.
    voxel_size_nm : tuple of float
        (z, y, x).

    Returns
    -------
    ndarray of float32, shape (C, Z, Y, X)
    """
    voxels = (centres_of(truth) - VoxelScale(voxel_size_nm).origin_nm) / voxel_size_nm
    kinds = np.array([list(classes).index(name) for name in truth["class"]], np.int64)
    sigmas = sigmas_in_voxels([_SIGMA] * len(classes), "voxels", voxel_size_nm)
    return heat_maps(voxels, kinds, Box.from_shape(shape), sigmas=sigmas)


def _config(folder: Path, classes: Sequence[str]) -> dict[str, Any]:
    radius = {kind.name: kind.radius for kind in KINDS}
    return {
        "config_type": "filesystem",
        "name": "synthetic tomograms",
        "description": "made by volkit.testing",
        "version": "1.0.0",
        "pickable_objects": [
            {"name": name, "is_particle": True, "label": n, "radius": float(radius[name])}
            for n, name in enumerate(classes, 1)
        ],
        "overlay_root": f"local://{folder}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
        "static_root": f"local://{folder}/static",
        "static_fs_args": {"auto_mkdir": True},
    }


def _store(path: Path, values: NDArray[np.float32], voxel_size_nm: Vector) -> None:
    volume = create_volume(
        path,
        shape=values.shape[-3:],
        channels=None if values.ndim == 3 else len(values),
        dtype=values.dtype,
        voxel_size_nm=voxel_size_nm,
    )
    volume.write(volume.domain, values)
