"""Input scaling: what a card asks for, and the numbers it becomes for one volume."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import fsum, isfinite, sqrt
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from volkit.errors import ConfigError

Kind = Literal["none", "fixed", "quantile", "moments"]

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "fixed": ("shift", "divide"),
    "quantile": ("low", "high", "clip", "epsilon"),
    "moments": ("epsilon",),
}


class Scale(NamedTuple):
    """Numbers that scale voxels: ``(clip(x, low, high) - shift) / divide`` in float32.

    Parameters
    ----------
    shift : float
        Subtracted; in the unit of the voxels.
    divide : float
        Divided by, after the shift.
    low, high : float or None
        Voxels are first clipped to these; None does not clip on that side.

    Examples
    --------
    >>> Scale(shift=10.0, divide=20.0, high=50.0).apply([0, 10, 99]).tolist()
    [-0.5, 0.0, 2.0]
    """

    shift: float = 0.0
    divide: float = 1.0
    low: float | None = None
    high: float | None = None

    def apply(self, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Scale voxels into an array of their own.

        Parameters
        ----------
        values : array_like of real, any shape
            Voxels as stored.

        Returns
        -------
        ndarray of float32, same shape
            Computed in float32.
        """
        x = np.array(values, np.float32, order="C", copy=True)
        if self.low is not None or self.high is not None:
            np.clip(x, self.low, self.high, out=x)
        if self.shift:
            x -= np.float32(self.shift)
        if self.divide != 1:
            x /= np.float32(self.divide)
        return x


UNSCALED = Scale()


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a network wants its input scaled.

    Parameters
    ----------
    kind : {"none", "fixed", "quantile", "moments"}
        ``none`` passes voxels as they are; ``fixed`` gives ``(x - shift) / divide``;
        ``quantile`` maps the ``low`` and ``high`` quantiles of the whole volume to 0 and 1;
        ``moments`` subtracts the mean of the whole volume and divides by its deviation.
    shift, divide : float or None
        For ``fixed`` only; ``shift`` is 0 unless given.
    low, high : float or None
        For ``quantile`` only: between 0 and 1.
    clip : bool or None
        For ``quantile`` only: whether voxels outside are clipped; True unless given.
    epsilon : float or None
        For ``quantile`` and ``moments`` only: added to what is divided by, in the unit of the
        voxels, as bioimage.io does; None adds nothing, and does not divide where there is no
        spread.

    Raises
    ------
    ConfigError
        If a number is missing, makes no sense, or belongs to another kind.

    Examples
    --------
    >>> Scaling("quantile", low=0.0, high=0.5).resolve(np.array([1, 5, 9]), np.array([1, 1, 1]))
    Scale(shift=1.0, divide=4.0, low=1.0, high=5.0)
    """

    kind: Kind = "none"
    shift: float | None = None
    divide: float | None = None
    low: float | None = None
    high: float | None = None
    clip: bool | None = None
    epsilon: float | None = None

    def __post_init__(self) -> None:
        wanted = _OPTIONS.get(self.kind)
        if wanted is None:
            raise ConfigError(f"scaling kind {self.kind!r} is unknown; use one of {list(_OPTIONS)}")
        given = [f.name for f in fields(self)[1:] if getattr(self, f.name) is not None]
        if stray := [name for name in given if name not in wanted]:
            raise ConfigError(
                f"scaling of kind {self.kind!r} does not take {', '.join(stray)}; "
                f"it takes {', '.join(wanted) or 'nothing'}"
            )
        if self.kind == "fixed":
            self._check_fixed()
        if self.kind == "quantile":
            self._check_quantile()
        if self.epsilon is not None and not 0 < self.epsilon < float("inf"):
            raise ConfigError(f"epsilon {self.epsilon} is not positive; leave it out, or give 1e-6")

    def _check_fixed(self) -> None:
        if self.divide is None or not isfinite(self.divide) or self.divide == 0:
            raise ConfigError(
                f"scaling of kind 'fixed' needs divide, a number other than 0, not {self.divide}; "
                "give 255 for images of uint8"
            )
        if self.shift is None:
            object.__setattr__(self, "shift", 0.0)

    def _check_quantile(self) -> None:
        low, high = self.low, self.high
        if low is None or high is None or not 0 <= low < high <= 1:
            raise ConfigError(
                f"scaling of kind 'quantile' needs 0 <= low < high <= 1, not {low} and {high}; "
                "give for example low: 0.02, high: 0.98"
            )
        if self.clip is None:
            object.__setattr__(self, "clip", True)

    @property
    def needs_histogram(self) -> bool:
        """Whether the numbers depend on the volume."""
        return self.kind in ("quantile", "moments")

    def resolve(
        self, values: npt.ArrayLike | None = None, counts: npt.ArrayLike | None = None
    ) -> Scale:
        """Find the numbers for a volume, given by its histogram.

        A constant volume, whose spread is 0, is shifted and not divided.

        Parameters
        ----------
        values : array_like of real, shape (N,), or None
            Distinct values of the voxels, ascending; not read unless ``needs_histogram``.
        counts : array_like of int, shape (N,), or None
            How many voxels hold each value.

        Returns
        -------
        Scale
            Plain floats.

        Raises
        ------
        ConfigError
            If the histogram is needed and absent or empty.
        """
        if self.kind == "fixed":
            return Scale(float(self.shift or 0.0), float(self.divide or 1.0))
        if self.kind == "none":
            return Scale()
        if values is None or counts is None or not np.sum(counts):
            raise ConfigError(
                f"scaling of kind {self.kind!r} needs the histogram of the volume; "
                "give the values and how many voxels hold each"
            )
        if self.kind == "moments":
            mean, deviation = moments(values, counts)
            return Scale(mean, self._divisor(deviation))
        low = quantile(values, counts, self.low or 0.0)
        high = quantile(values, counts, 1.0 if self.high is None else self.high)
        divide = self._divisor(high - low)
        top = high if self.epsilon is None else low + divide  # what becomes 1
        bounds = (low, top) if self.clip else (None, None)
        return Scale(low, divide, *bounds)

    def _divisor(self, spread: float) -> float:
        return (spread or 1.0) if self.epsilon is None else spread + self.epsilon


def quantile(values: npt.ArrayLike, counts: npt.ArrayLike, q: float) -> float:
    """Find a quantile of voxels from their histogram.

    Parameters
    ----------
    values : array_like of real, shape (N,)
        Distinct values, ascending.
    counts : array_like of int, shape (N,)
        How many voxels hold each.
    q : float
        Between 0 and 1.

    Returns
    -------
    float
        What ``numpy.quantile`` finds in the voxels themselves (linear interpolation).

    Examples
    --------
    >>> quantile([0, 10], [3, 1], 0.5), quantile([0, 10], [2, 2], 0.5)
    (0.0, 5.0)
    """
    ranks = np.cumsum(np.asarray(counts, np.int64))
    levels = np.asarray(values)
    place = q * (int(ranks[-1]) - 1)
    first = min(int(place), int(ranks[-1]) - 1)
    below, above = np.searchsorted(ranks, [first, min(first + 1, int(ranks[-1]) - 1)], "right")
    low, high = float(levels[below]), float(levels[above])
    return low + (high - low) * (place - first)


def moments(values: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[float, float]:
    """Find mean and deviation of voxels from their histogram.

    Parameters
    ----------
    values : array_like of real, shape (N,)
        Distinct values.
    counts : array_like of int, shape (N,)
        How many voxels hold each.

    Returns
    -------
    tuple of float
        Mean, and standard deviation of the population.

    Examples
    --------
    >>> moments([0, 10], [1, 1])
    (5.0, 5.0)
    """
    x = np.asarray(values, np.float64)
    n = np.asarray(counts, np.float64)
    total = fsum(n)
    mean = fsum(x * n) / total
    return mean, sqrt(fsum((x - mean) ** 2 * n) / total)
