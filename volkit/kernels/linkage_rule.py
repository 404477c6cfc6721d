"""Rules of linkage: what the score of two regions is, and how a threshold is written exactly."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from volkit.errors import ConfigError
from volkit.kernels.contacts import ONE

MEAN, LOWEST, HIGHEST = -1, -2, -3
"""How kernels know the rules; any other number is a quantile in per cent, of bins."""

OF_VALUES = 100
"""Added to a quantile that is one of values, not of bins."""

_EXACT = 2**40  # of denominators: 53 bits of a threshold and this stay below 128


@dataclass(frozen=True, slots=True)
class Linkage:
    """How the score of two regions follows from the affinities between them.

    The lowest score merges first.  Mean: 1 - their mean.  Max: 1 - the largest.  Min: 1 - the
    smallest.  Quantile: 1 - the middle of the bin, of 256, in which the quantile lies, as waterz
    counts.

    Parameters
    ----------
    kind : {'mean', 'max', 'min', 'quantile'}
        Which.
    percent : int
        Of affinities that lie below the quantile.
    contact : {'all', 'largest'}
        What the contact of two fragments counts in a quantile: all affinities across it, or only
        the largest (``InitWithMax`` in waterz); regions of several have a quantile of those.
    exact : bool
        Take the quantile itself rather than its bin (``QuantileAffinity`` in waterz); of the
        largest of contacts only: of all, there is one value for every face to be kept.

    Raises
    ------
    ConfigError
        If the kind is unknown, or the quantile is none.
    """

    kind: Literal["mean", "max", "min", "quantile"] = "mean"
    percent: int = 50
    contact: Literal["all", "largest"] = "all"
    exact: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("mean", "max", "min", "quantile"):
            raise ConfigError(
                f"linkage is {self.kind!r}; choose 'mean', 'max', 'min' or 'quantile'"
            )
        if not 0 <= self.percent < 100:
            raise ConfigError(f"percent is {self.percent}; give a quantile of 0 to 99 per cent")
        if self.contact not in ("all", "largest"):
            raise ConfigError(f"contact is {self.contact!r}; choose 'all' or 'largest'")
        if self.contact == "largest" and self.kind != "quantile":
            raise ConfigError(
                f"contact is 'largest', linkage {self.kind!r}; only quantiles begin with the "
                "largest affinity: choose 'quantile', or leave contact out"
            )
        if self.exact and self.contact != "largest":
            raise ConfigError(
                f"exact is true, linkage {self.kind!r} of contact {self.contact!r}; only quantiles "
                "of the largest affinities are told without bins: give contact 'largest', or leave "
                "exact out"
            )

    @property
    def rule(self) -> int:
        """The number by which kernels know it."""
        quantile = self.percent + OF_VALUES * self.exact
        return {"mean": MEAN, "max": LOWEST, "min": HIGHEST, "quantile": quantile}[self.kind]


def ratio(score: float) -> tuple[int, int]:
    """Write a score as the ratio of two whole numbers, in units of 2**-30.

    Raises
    ------
    ConfigError
        If it lies outside 0 to 1.
    """
    if not 0 <= score <= 1:
        raise ConfigError(f"threshold is {score}; give 1 - an affinity, 0 to 1")
    exact = Fraction(score * ONE)
    if exact.denominator > _EXACT:
        exact = exact.limit_denominator(_EXACT)
    return exact.numerator, exact.denominator
