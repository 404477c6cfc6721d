"""Planes of DICOM: where each one lies, and in which order they make a volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.files.affine import Affine

Numbers = tuple[float, ...]

_TOLERANCE = 0.01  # share of the spacing that planes may lie off; positions are rounded text
_DISTORTION = 1e-3  # that a direction may differ from another, and still be the same one


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a series.

    Parameters
    ----------
    path : Path
        Its file.
    frame : int
        Which one in the file.
    position : tuple of float or None
        Centre of its first voxel, (x, y, z), millimetres, in DICOM's axes (LPS).
    directions : tuple of float or None
        Along a row, then along a column: six numbers.
    pixel_mm : tuple of float or None
        Distance between rows, then between columns, millimetres.
    slope, intercept : float
        Of its rescaling.
    number : int
        ``InstanceNumber``, the order where no positions are stated.
    apart_mm : float or None
        Distance between planes as stated, where there are no positions to tell.
    """

    path: Path
    frame: int
    position: Numbers | None
    directions: Numbers | None
    pixel_mm: Numbers | None
    slope: float
    intercept: float
    number: int
    apart_mm: float | None

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return self.path.name if not self.frame else f"{self.path.name} frame {self.frame}"


@dataclass(frozen=True, slots=True)
class Series:
    """Planes in the order of space, and the affine of their voxels.

    Parameters
    ----------
    planes : tuple of Plane
        Along growing z.
    affine : ndarray of float, shape (4, 4), or None
        Voxel indices (x, y, z) to millimetres, RAS; None where no positions are stated.
    voxel_size_mm : tuple of float or None
        (z, y, x); None where nothing is stated.
    """

    planes: tuple[Plane, ...]
    affine: Affine | None
    voxel_size_mm: tuple[float, float, float] | None


def planes_of(uri: str, path: Path, head: Any) -> list[Plane]:
    """List the planes of a file, from its header alone.

    Parameters
    ----------
    uri : str
        Of the series, for messages.
    path : Path
        The file.
    head : pydicom.Dataset
        Its header.

    Raises
    ------
    SourceError
        If frames are not described one by one, or a number is none.
    """
    count = int(head.get("NumberOfFrames") or 1)
    shared = _first(head.get("SharedFunctionalGroupsSequence"))
    each = list(head.get("PerFrameFunctionalGroupsSequence") or [])
    if each and len(each) != count:
        raise SourceError(
            f"{uri}: {path.name} has {count} frames, of which {len(each)} are described; it is "
            "damaged: copy it again"
        )
    try:
        return [
            _plane(
                path,
                n,
                (each[n] if each else {}, shared, head),
                int(head.get("InstanceNumber") or 0),
            )
            for n in range(count)
        ]
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"{uri}: a position, spacing or rescaling in {path.name} is no number ({error}); mend "
            "it"
        ) from error


def _plane(path: Path, frame: int, levels: Sequence[Any], number: int) -> Plane:
    directions = _numbers(_find(levels, "PlaneOrientationSequence", "ImageOrientationPatient"))
    slope = _find(levels, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _find(levels, "PixelValueTransformationSequence", "RescaleIntercept")
    measures = "PixelMeasuresSequence"
    apart = _find(levels, measures, "SpacingBetweenSlices")
    apart = _find(levels, measures, "SliceThickness") if apart in (None, "") else apart
    return Plane(
        path=path,
        frame=frame,
        position=_numbers(_find(levels, "PlanePositionSequence", "ImagePositionPatient")),
        directions=directions,
        pixel_mm=_numbers(_find(levels, measures, "PixelSpacing"))
        or _numbers(_find(levels, measures, "ImagerPixelSpacing")),
        slope=1.0 if slope in (None, "") else float(slope),
        intercept=0.0 if intercept in (None, "") else float(intercept),
        number=number,
        apart_mm=None if apart in (None, "") else abs(float(apart)),
    )


def _find(levels: Sequence[Any], group: str, name: str) -> Any:
    """Look a value up for a frame: its own group, the shared one, then the plain header."""
    for level in levels:
        for place in (_first(level.get(group)), level):
            if place.get(name) is not None:
                return place.get(name)
    return None


def _first(sequence: Any) -> Mapping[str, Any]:
    return sequence[0] if sequence else {}


def _numbers(values: Any) -> Numbers | None:
    return tuple(float(v) for v in values) if values else None


def order_planes(uri: str, planes: Sequence[Plane]) -> Series:
    """Bring planes into the order of space.

    Raises
    ------
    SourceError
        If two lie at one place, one is missing between others, or they do not lie one above the
        other; the message names the files.
    """
    first = planes[0]
    pixel = first.pixel_mm if first.pixel_mm and min(first.pixel_mm) > 0 else None
    if first.directions is None or any(p.position is None for p in planes):
        return _by_number(uri, planes, pixel)
    for plane in planes:
        _check_alike(uri, first, plane)
    row, column = (np.array(v) for v in (first.directions[:3], first.directions[3:]))
    normal = np.cross(row, column)
    placed = sorted(planes, key=lambda p: (float(np.dot(p.position or 0, normal)), p.number))
    at = np.array([p.position for p in placed])
    step = _step(uri, placed, at, normal) if len(placed) > 1 else normal * (first.apart_mm or 0)
    apart = float(np.linalg.norm(step)) or 1.0
    affine = np.eye(4)
    x, y = (pixel[1], pixel[0]) if pixel else (1.0, 1.0)
    affine[:3] = np.stack([row * x, column * y, step if step.any() else normal, at[0]], axis=1)
    affine[:2] *= -1  # DICOM's axes are Left, Posterior, Superior
    size = None if pixel is None else (apart if step.any() else pixel[0], y, x)
    return Series(tuple(placed), affine, size)


def _check_alike(uri: str, first: Plane, plane: Plane) -> None:
    for name in ("directions", "pixel_mm"):
        ours, theirs = getattr(first, name), getattr(plane, name)
        if (ours is None) != (theirs is None) or (
            ours and not np.allclose(ours, theirs, rtol=_DISTORTION, atol=_DISTORTION / 10)
        ):
            raise SourceError(
                f"{uri}: {plane.name} has {name} {theirs}, {first.name} has {ours}; the planes of "
                "one volume are parallel and alike: keep one series in the folder"
            )


def _step(uri: str, placed: Sequence[Plane], at: Affine, normal: Affine) -> Affine:
    """Find the step from plane to plane, which must be one and the same, along the normal."""
    along = np.diff(at @ normal)
    usual = float(np.median(along))
    slack = max(_TOLERANCE * usual, 1e-4)
    for n in np.flatnonzero(along < slack).tolist():
        raise SourceError(
            f"{uri}: {placed[n].name} and {placed[n + 1].name} lie at one place; keep one of "
            "them, or store the time points apart"
        )
    for n in np.flatnonzero(np.abs(along - usual) > slack).tolist():
        raise SourceError(
            f"{uri}: {along[n]:.4g} mm lie between {placed[n].name} and {placed[n + 1].name}, "
            f"{usual:.4g} mm between most others; a plane is missing, or two series are mixed: "
            "complete the folder"
        )
    step = (at[-1] - at[0]) / (len(at) - 1)
    aside = float(np.linalg.norm(step - normal * np.dot(step, normal)))
    if aside > slack:
        raise SourceError(
            f"{uri}: each plane lies {aside:.4g} mm aside of the one before it, as a tilted "
            "gantry does; such a volume is sheared: resample it first"
        )
    return np.asarray(step)


def _by_number(uri: str, planes: Sequence[Plane], pixel: Numbers | None) -> Series:
    """Order planes that state no positions: frames as stored, files by their number."""
    placed = sorted(planes, key=lambda p: (p.number, p.frame))
    for one, two in pairwise(placed):
        if (one.number, one.frame) == (two.number, two.frame):
            raise SourceError(
                f"{uri}: {one.name} and {two.name} state neither positions nor different "
                "instance numbers, so that their order is not known; convert the series with a "
                "tool of its maker"
            )
    apart = planes[0].apart_mm
    size = None if pixel is None else (apart or pixel[0], pixel[0], pixel[1])
    return Series(tuple(placed), None, size)
