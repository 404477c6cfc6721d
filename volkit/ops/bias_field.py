"""Bias field: the shading that coils of a scanner leave on a head, found and divided out by N4."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError, missing_extra

Floats = NDArray[np.float32]

_FEWEST = 4  # voxels that must be left along an axis: B-splines of order 3 need four


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasOptions:
    """How shading is found.

    Parameters
    ----------
    method : {"n4", "none"}
        ``none`` leaves the scan as it is.
    shrink : int
        The field is fitted to every so many voxels along each axis, and then laid over all.
    iterations : tuple of int
        At most, on each level, from coarse to fine.
    tolerance : float
        A level ends when the field changes less than this.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    method: str = "n4"
    shrink: int = 4
    iterations: tuple[int, ...] = (50, 50, 30, 20)
    tolerance: float = 0.001

    def __post_init__(self) -> None:
        if self.method not in ("n4", "none"):
            raise ConfigError(f"bias.method is {self.method!r}; choose n4 or none")
        if self.shrink < 1 or not self.iterations or min(self.iterations) < 1:
            raise ConfigError(
                f"bias.shrink {self.shrink} and bias.iterations {list(self.iterations)}: give "
                "whole numbers of 1 or more"
            )
        if not 0 < self.tolerance < 1:
            raise ConfigError(f"bias.tolerance is {self.tolerance}; give a number from 0 to 1")


class _OneThread:
    """One thread for ITK while a field is fitted: filters inside N4 ask for the process' default.

    Fits may go on side by side; the default comes back after the last.
    """

    def __init__(self) -> None:
        self._lock, self._fits, self._before = Lock(), 0, 0

    @contextmanager
    def given_to(self, process: Any) -> Iterator[None]:
        with self._lock:
            if not self._fits:
                self._before = process.GetGlobalDefaultNumberOfThreads()
                process.SetGlobalDefaultNumberOfThreads(1)
            self._fits += 1
        try:
            yield
        finally:
            with self._lock:
                self._fits -= 1
                if not self._fits:
                    process.SetGlobalDefaultNumberOfThreads(self._before)


_ONE_THREAD = _OneThread()


def without_bias(
    values: Floats,
    spacing_mm: tuple[float, float, float],
    options: BiasOptions | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[Floats, Floats]:
    """Divide the shading out of a scan.

    It is computed in one thread, so that the result is the same on every machine: sums over
    threads are not. Meanwhile every filter of ITK in this process has one thread.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        A head, 0 or above.
    spacing_mm : tuple of float
        Edges of a voxel, (z, y, x), millimetres.
    options : BiasOptions, optional
        How the field is fitted; the method is not looked at.
    mask : ndarray of bool, shape (Z, Y, X), optional
        Where it is fitted; None takes what is above Otsu's threshold.

    Returns
    -------
    values : ndarray of float32, shape (Z, Y, X)
        Divided by the field.
    field : ndarray of float32, shape (Z, Y, X)
        1 where nothing changed.

    Raises
    ------
    ContractError
        If the head is too small, or nothing is bright enough to fit a field to.
    MissingExtraError
        If SimpleITK is not installed.

    References
    ----------
    Tustison et al., N4ITK: Improved N3 bias correction, IEEE TMI 2010,
    https://doi.org/10.1109/TMI.2010.2046908
    """
    how, sitk = options or BiasOptions(), _simpleitk()
    if min(values.shape) // how.shrink < _FEWEST:
        raise ContractError(
            f"a scan of {values.shape} voxels has less than {_FEWEST} voxels on an axis after "
            f"bias.shrink {how.shrink}; give a smaller one"
        )
    head = sitk.GetImageFromArray(np.maximum(values, 0))
    head.SetSpacing([float(v) for v in spacing_mm[::-1]])
    inside = _mask(sitk, head, mask)
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)
    corrector.SetMaximumNumberOfIterations([int(n) for n in how.iterations])
    corrector.SetConvergenceThreshold(how.tolerance)
    small, where = (sitk.Shrink(image, [how.shrink] * 3) for image in (head, inside))
    if not sitk.GetArrayViewFromImage(where).any():
        raise ContractError(
            "no bias field can be fitted: the mask of what is bright is empty; give bias.method: "
            "none, or a scan of a head"
        )
    try:
        with _ONE_THREAD.given_to(sitk.ProcessObject):
            corrector.Execute(small, where)
            logarithm = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(head))
    except RuntimeError as error:
        raise ContractError(
            f"no bias field can be fitted ({_last_line(error)}); give bias.method: none, or a scan "
            "of a head"
        ) from error
    field = np.exp(logarithm.astype(np.float32))
    return (values / field).astype(np.float32), field


def _mask(sitk: Any, head: Any, mask: NDArray[np.bool_] | None) -> Any:
    if mask is None:
        chooser = sitk.OtsuThresholdImageFilter()
        chooser.SetInsideValue(0)
        chooser.SetOutsideValue(1)
        chooser.SetNumberOfHistogramBins(200)
        chooser.SetNumberOfThreads(1)
        return chooser.Execute(head)
    found = sitk.GetImageFromArray(mask.astype(np.uint8))
    found.CopyInformation(head)
    return found


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _simpleitk() -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise missing_extra("SimpleITK", "mri") from error
    return SimpleITK
