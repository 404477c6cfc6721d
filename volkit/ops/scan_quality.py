"""Scan quality: what is measured of every head, and within which limits it may be used."""

from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.io.files.affine import Affine
from volkit.io.scan_files import AcquiredScan
from volkit.kernels.brain_mask import Signal, brain_signal, cut_share
from volkit.kernels.scan_grid import margin_box

FACES = ("inferior", "superior", "posterior", "anterior", "left", "right")
"""Of an array in canonical orientation: the first and last plane along z, y and x."""

Margins = tuple[int, int, int, int, int, int]

_LARGEST_MM = 700  # the bore of the widest scanners: more is a wrong unit, not a head


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a scan must keep, or it is set aside.

    Parameters
    ----------
    brain_ml : tuple of float
        Least and most volume of the brain, millilitres.
    cut_share : float
        Most of the brain's largest section that may lie on a face of the field of view: more, and
        the head was cropped.
    bright_share : float
        Most of the brain that may be much brighter than white matter: more, and there was a
        contrast agent, whatever the file says.
    contrast_agent : bool
        Take scans whose file names a contrast agent.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    brain_ml: tuple[float, float] = (500.0, 2500.0)
    cut_share: float = 0.1
    bright_share: float = 0.01
    contrast_agent: bool = False

    def __post_init__(self) -> None:
        low, high = self.brain_ml
        if not 0 <= low < high:
            raise ConfigError(f"limits.brain_ml is {list(self.brain_ml)}; give the least and most")
        for name in ("cut_share", "bright_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"limits.{name} is {getattr(self, name)}; give a share of 0 to 1")


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of a scan.

    Parameters
    ----------
    brain_ml : float
        Volume of the brain, millilitres.
    cut_share : float
        See Limits.
    signal : Signal
        How bright the brain is, after shading was taken out.
    room : tuple of int
        Voxels between the brain and each of FACES in the field of view.
    field : tuple of float
        Shading: its quantiles at 1 and 99 %; 1 where none was looked for.
    margin : tuple of int
        Voxels between the brain and each of FACES after cropping.
    """

    brain_ml: float
    cut_share: float
    signal: Signal
    room: Margins
    field: tuple[float, float]
    margin: Margins = (0, 0, 0, 0, 0, 0)

    def cropped(self, mask: NDArray[np.bool_]) -> "Quality":
        """Add what is left around a brain after cropping."""
        return replace(self, margin=margins(mask))


NOTHING = Quality(
    nan, nan, Signal(nan, nan, nan, nan, nan), (-1, -1, -1, -1, -1, -1), (nan, nan), (-1,) * 6
)
"""Of a scan that was set aside before it was measured."""


def check_usable(scan: AcquiredScan, limits: Limits) -> None:
    """Refuse a scan that is no head, before anything is done to it.

    Parameters
    ----------
    scan : AcquiredScan
        As it was acquired.
    limits : Limits
        Whether one after a contrast agent is taken.

    Raises
    ------
    ContractError
        If it cannot be used; the message says why.
    """
    agent = scan.facts.get("contrast_agent")
    if agent and not limits.contrast_agent:
        raise ContractError(
            f"it was acquired after a contrast agent ({agent}), which brightens vessels and "
            "meninges; take the scan before it, or allow limits.contrast_agent"
        )
    if min(scan.values.shape) < 2:
        raise ContractError(f"{scan.values.shape} voxels are a plane, no head; give a volume")
    extent = [n * s for n, s in zip(scan.values.shape, scan.spacing_mm, strict=True)]
    if max(extent) > _LARGEST_MM:
        raise ContractError(
            f"its field of view is {' x '.join(f'{mm:g}' for mm in extent)} mm (z, y, x), that of "
            f"a head is below {_LARGEST_MM} mm; correct its voxel size or unit"
        )
    if not np.isfinite(scan.values).all():
        raise ContractError("it has NaN or infinite voxels; convert it again")
    if scan.values.min() == scan.values.max():
        raise ContractError(f"all its voxels are {scan.values.flat[0]:g}; it is empty")


def margins(mask: NDArray[np.bool_]) -> Margins:
    """Count the voxels between a brain and each of FACES.

    Examples
    --------
    >>> mask = np.zeros((4, 5, 6), bool)
    >>> mask[1, 2, 3] = True
    >>> margins(mask)
    (1, 2, 2, 2, 3, 2)
    """
    start, stop = margin_box(mask, 0)
    found = [room for a, b, n in zip(start, stop, mask.shape, strict=True) for room in (a, n - b)]
    return (found[0], found[1], found[2], found[3], found[4], found[5])


def measure(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    affine: Affine,
    limits: Limits,
    *,
    field_range: tuple[float, float],
) -> Quality:
    """Measure a head, and refuse one beyond the limits.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        The head, with its skull.
    mask : ndarray of bool, shape (Z, Y, X)
        Its brain, not empty.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices to millimetres.
    limits : Limits
        What it must keep.
    field_range : tuple of float
        Of the shading.

    Returns
    -------
    Quality

    Raises
    ------
    ContractError
        If it is beyond a limit: all of them are named.
    """
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    found = Quality(
        brain_ml=round(int(mask.sum()) * voxel_ml, 6),
        cut_share=cut_share(mask),
        signal=brain_signal(values, mask),
        room=margins(mask),
        field=field_range,
    )
    wrong = []
    low, high = limits.brain_ml
    if not low <= found.brain_ml <= high:
        wrong.append(f"its brain has {found.brain_ml:.0f} ml, expected {low:g} to {high:g}")
    if found.cut_share > limits.cut_share:
        wrong.append(
            f"the head is cropped: {found.cut_share:.0%} of the brain's largest section lies on a "
            f"face of the field of view, at most {limits.cut_share:.0%} may"
        )
    if found.signal.bright_share > limits.bright_share:
        wrong.append(
            f"{found.signal.bright_share:.1%} of the brain is much brighter than white matter, at "
            f"most {limits.bright_share:.1%} may be: as after a contrast agent"
        )
    if wrong:
        raise ContractError("; ".join(wrong))
    return found
