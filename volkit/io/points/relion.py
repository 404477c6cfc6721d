"""RELION's particle tables: coordinates in pixels of a tomogram, or from its middle in ångström.

Names of classes stand in a block of our own, ``data_volkit_classes``, which RELION leaves alone;
without it classes are called after their numbers.
"""

from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import SourceError
from volkit.io.points.options import (
    ANGSTROM_PER_NM,
    NM_PER_ANGSTROM,
    PointOptions,
    stated_voxel_nm,
)
from volkit.io.points.star import Block, format_star, parse_star
from volkit.io.points.table import centres_of, points_frame

_PIXELS = ("rlnCoordinateZ", "rlnCoordinateY", "rlnCoordinateX")
_CENTRED = (
    "rlnCenteredCoordinateZAngst",
    "rlnCenteredCoordinateYAngst",
    "rlnCenteredCoordinateXAngst",
)
_SIZES = (
    "rlnTomoTiltSeriesPixelSize",
    "rlnMicrographOriginalPixelSize",
    "rlnMicrographPixelSize",
    "rlnPixelSize",
    "rlnDetectorPixelSize",
    "rlnImagePixelSize",
)
_TOMOGRAMS = ("rlnTomoName", "rlnMicrographName")
_SCORE, _CLASS = "rlnAutopickFigureOfMerit", "rlnClassNumber"
_OWN, _OWN_NAME = "volkit_classes", "volkitClassName"


def read_relion(uri: str, data: bytes, options: PointOptions) -> pd.DataFrame:
    """Read the particles of a STAR file.

    Parameters
    ----------
    uri : str
        For messages.
    data : bytes
        The file.
    options : PointOptions
        Voxel size, shape and class, where the file does not state them.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    SourceError
        If it has no coordinates, a value is no number, or nothing states the voxel size.
    """
    try:
        blocks = parse_star(data.decode("utf-8"), uri=uri)
        table = _particles(uri, blocks)
        size = stated_voxel_nm(uri, options, _pixel(blocks, table))
        centres = _centres(uri, table, options, np.asarray(size))
        scores = np.array(table.get(_SCORE, ["1"] * len(centres)), np.float64)
    except (ValueError, UnicodeDecodeError) as error:
        raise SourceError(f"{uri} has a value that is no number ({error}); mend it") from error
    tomograms = next((table[name] for name in _TOMOGRAMS if name in table), None)
    kinds = _classes(uri, blocks, table, options, len(centres))
    return points_frame(centres, kinds, scores=scores, tomograms=tomograms)


def relion_star(frame: pd.DataFrame, options: PointOptions) -> bytes:
    """Write particles, in pixels.

    Parameters
    ----------
    frame : pandas.DataFrame
        Points.
    options : PointOptions
        With the voxel size, and the tomogram's name where the table has none.

    Returns
    -------
    bytes

    Raises
    ------
    SourceError
        If there is no voxel size, or voxels are no cubes.
    """
    size = stated_voxel_nm("the file", options, None)
    if len(set(size)) > 1:
        raise SourceError(f"RELION has one pixel size, voxels are {size} nm; resample to cubes")
    pixels = (centres_of(frame) - options.origin_nm) / size[0]
    names = list(dict.fromkeys(frame["class"]))
    numbers = {name: str(n) for n, name in enumerate(names, 1)}
    table: Block = {}
    if "tomogram" in frame.columns or options.tomogram is not None:
        single = [str(options.tomogram)] * len(frame)
        table["rlnTomoName"] = frame["tomogram"].tolist() if "tomogram" in frame else single
    for axis in (2, 1, 0):
        table[_PIXELS[axis]] = [repr(value) for value in pixels[:, axis].tolist()]
    table[_SCORE] = [repr(value) for value in frame["score"].tolist()]
    table[_CLASS] = [numbers[name] for name in frame["class"]]
    table["rlnOpticsGroup"] = ["1"] * len(frame)
    optics = {"rlnOpticsGroup": ["1"], _SIZES[0]: [repr(size[0] * ANGSTROM_PER_NM)]}
    own = {_CLASS: list(numbers.values()), _OWN_NAME: names}
    return format_star({"optics": optics, "particles": table, _OWN: own}).encode()


def _particles(uri: str, blocks: dict[str, Block]) -> Block:
    for names in (_PIXELS, _CENTRED):
        for block in blocks.values():
            if set(names) <= set(block):
                return block
    raise SourceError(
        f"{uri} has no table with {', '.join('_' + name for name in _PIXELS)} or "
        f"{', '.join('_' + name for name in _CENTRED)}; blocks are {', '.join(blocks) or 'none'}"
    )


def _pixel(blocks: dict[str, Block], table: Block) -> float | None:
    for name in _SIZES:
        for block in (blocks.get("optics", {}), table):
            if block.get(name):
                return float(block[name][0])
    return None


def _centres(
    uri: str, table: Block, options: PointOptions, size: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    if set(_PIXELS) <= set(table):
        pixels = np.array([table[name] for name in _PIXELS], np.float64).T
        return np.asarray(options.origin_nm) + pixels * size
    if options.shape is None:
        raise SourceError(
            f"{uri} counts from the middle of the tomogram; pass shape=(z, y, x), its voxels"
        )
    shifts = np.array([table[name] for name in _CENTRED], np.float64).T * NM_PER_ANGSTROM
    return np.asarray(options.origin_nm) + np.asarray(options.shape) / 2 * size + shifts


def _classes(
    uri: str, blocks: dict[str, Block], table: Block, options: PointOptions, count: int
) -> list[str]:
    if options.class_name is not None:
        return [options.class_name] * count
    if _CLASS not in table:
        raise SourceError(f"{uri} does not say what its points are; pass class_name")
    own = blocks.get(_OWN, {})
    names = dict(zip(own.get(_CLASS, []), own.get(_OWN_NAME, []), strict=False))
    return [names.get(number, f"class {number}") for number in table[_CLASS]]
