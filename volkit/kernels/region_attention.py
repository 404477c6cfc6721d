"""Attention in a region: how much of a map lies in it, beside how much of the tissue does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError


@dataclass(frozen=True, slots=True)
class RegionShare:
    """How a map and a region go together.

    Parameters
    ----------
    inside : float
        Share of the map that lies in the region; NaN where the map is 0 everywhere.
    expected : float
        Share of the tissue that the region is: what a map without preference would have inside.
    voxels : int
        Of the region within the tissue.
    """

    inside: float
    expected: float
    voxels: int

    @property
    def enrichment(self) -> float:
        """How many times more of the map lies inside than expected; NaN without a region."""
        return self.inside / self.expected if self.expected else float("nan")


def region_share(
    attention: NDArray[Any], region: NDArray[np.bool_], tissue: NDArray[np.bool_]
) -> RegionShare:
    """Measure how much of a map lies in a region.

    Parameters
    ----------
    attention : ndarray of real, shape (Z, Y, X)
        0 or more; what lies outside of the tissue does not count.
    region, tissue : ndarray of bool, same shape
        Such as a hippocampus, and the brain.

    Returns
    -------
    RegionShare

    Raises
    ------
    ContractError
        If shapes differ, there is no tissue, or a value is below 0 or not finite.

    Examples
    --------
    >>> region = np.array([[[True, False, False, False]]])
    >>> found = region_share(np.array([[[2.0, 1.0, 1.0, 0.0]]]), region, np.ones_like(region))
    >>> found.inside, found.expected, found.enrichment
    (0.5, 0.25, 2.0)
    """
    given = np.asarray(attention, np.float64)
    if given.shape != region.shape or given.shape != tissue.shape or not tissue.any():
        raise ContractError(
            f"a map of {given.shape}, a region of {region.shape} and tissue of {tissue.shape} "
            f"with {int(tissue.sum())} voxels; give three of one shape, and some tissue"
        )
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise ContractError("the map has values below 0 or not finite; give what gradient_map gave")
    part = region & tissue
    total = float(given[tissue].sum())
    inside = float(given[part].sum()) / total if total > 0 else float("nan")
    return RegionShare(inside, float(part.sum() / tissue.sum()), int(part.sum()))
