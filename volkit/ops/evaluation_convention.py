"""Conventions of scoring: what counts, what is left out, and what is scored, by name.

Scores of the same labels differ by many percent between conventions; every score is printed with
the one that it was computed with.
"""

from dataclasses import dataclass
from typing import Literal

from volkit.errors import ConfigError
from volkit.kernels.counted import PredZero, TrueZero

Scope = Literal["volume", "stack"]


@dataclass(frozen=True, slots=True)
class Convention:
    """How a segmentation is scored.

    Parameters
    ----------
    name : str
        Of the convention.
    scope : {'volume', 'stack'}
        Which score is the one that counts: labels in 3D, or in every section alone.
    true_zero : {'ignore', 'segment'}
        True label 0: does not count, or is an object.
    rand_pred_zero, voi_pred_zero : {'singletons', 'segment', 'ignore'}
        Predicted label 0, for the Rand scores and for the variation of information.
    background : int
        Id that stands for "no object" in the truth.
    border_nm : float
        Voxels of the truth this near to a border of their section do not count, nanometres.
    components : bool
        Objects are the 4-connected components of the truth in every section.
    thin : bool
        Segments are grown in every section until borders are one pixel wide.
    source : str
        Where it is published.
    """

    name: str
    scope: Scope = "volume"
    true_zero: TrueZero = "ignore"
    rand_pred_zero: PredZero = "singletons"
    voi_pred_zero: PredZero = "singletons"
    background: int = 0
    border_nm: float = 0.0
    components: bool = False
    thin: bool = False
    source: str = ""

    def describe(self) -> str:
        """Say in one line what counts."""
        other = self.voi_pred_zero != self.rand_pred_zero
        counts = "does not count" if self.true_zero == "ignore" else "is an object"
        parts = [
            f"true {self.background} {counts}",
            f"predicted 0: {self.rand_pred_zero}" + f" (VOI: {self.voi_pred_zero})" * other,
            *([f"{self.border_nm:g} nm around borders left out"] if self.border_nm else []),
            *(["objects are 2D components"] if self.components else []),
            *(["borders thinned to one pixel"] if self.thin else []),
        ]
        return ", ".join(parts)


CONVENTIONS = {
    "volkit": Convention("volkit"),
    "skimage": Convention(
        "skimage",
        rand_pred_zero="segment",
        voi_pred_zero="segment",
        source="scikit-image adapted_rand_error, in its default; https://scikit-image.org",
    ),
    "cremi": Convention(
        "cremi",
        voi_pred_zero="segment",
        background=2**64 - 1,
        border_nm=25.0,
        source="https://cremi.org; https://github.com/cremi/cremi_python",
    ),
    "snemi3d": Convention(
        "snemi3d",
        source="https://doi.org/10.3389/fnana.2015.00142; https://snemi3d.grand-challenge.org",
    ),
    "isbi2012": Convention(
        "isbi2012",
        scope="stack",
        components=True,
        thin=True,
        source="https://doi.org/10.3389/fnana.2015.00142",
    ),
}
"""Conventions by name.

* ``volkit``: truth 0 does not count, every unassigned voxel is a segment of its own.
* ``skimage``: as scikit-image scores, where unassigned voxels are one segment.
* ``cremi``: ids of 2**64 - 1 do not count, and neither do voxels within 25 nm of a border; label 0
  of the truth is an object.  The published Python code divides the singletons' sum by the number of
  voxels, which changes the score by less than their share in a sum of squares; here it is not.
* ``snemi3d``: as ``volkit``, in 3D: the adapted Rand error of the challenge.
* ``isbi2012``: foreground-restricted, in sections, borders thinned to one pixel.  The thinning is
  that of the description, not of the Fiji plugin, whose pixels may differ along borders.
"""


def find_convention(convention: str | Convention) -> Convention:
    """Find a convention by name.

    Raises
    ------
    ConfigError
        If there is none of that name.

    Examples
    --------
    >>> find_convention("snemi3d").scope
    'volume'
    """
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        raise ConfigError(
            f"convention {convention!r} is unknown; choose one of {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[convention]
