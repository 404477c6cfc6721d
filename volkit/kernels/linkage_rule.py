"""Rules of linkage: what the score of two regions is, and how a threshold is written exactly."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from volkit.errors import ConfigError
from volkit.kernels.contacts import ONE

Kind = Literal["mean", "max", "min", "quantile", "max_k"]
"""Names of the rules."""

MEAN, LOWEST, HIGHEST = -1, -2, -3
"""How kernels know the rules; any other number is a quantile in per cent, of bins."""

OF_VALUES = 100
"""Added to a quantile that is one of values, not of bins."""

OF_LARGEST = 200
"""Added to how many of the largest affinities are averaged; 201 and more are such rules."""

_EXACT = 2**40  # of denominators: 53 bits of a threshold and this stay below 128


@dataclass(frozen=True, slots=True)
class Linkage:
    """How the score of two regions follows from the affinities between them.

    The lowest score merges first.  Mean: 1 - their mean.  Max: 1 - the largest.  Min: 1 - the
    smallest.  Quantile: 1 - the middle of the bin, of 256, in which the quantile lies, as waterz
    counts.  Max_k: 1 - the mean of the k largest (``MeanMaxKAffinity`` in waterz), or of all where
    there are fewer.  Such a mean can be above those of the two contacts that are put together; as
    in waterz, a contact made of two merges no earlier than the lower score of these, and its own
    score is taken when that one's turn comes.

    Parameters
    ----------
    kind : {'mean', 'max', 'min', 'quantile', 'max_k'}
        Which.
    percent : int
        Of affinities that lie below the quantile.
    contact : {'all', 'largest'}
        What the contact of two fragments counts in a quantile: all affinities across it, or only
        the largest (``InitWithMax`` in waterz); regions of several have a quantile of those.
    exact : bool
        Take the quantile itself rather than its bin (``QuantileAffinity`` in waterz); of the
        largest of contacts only: of all, there is one value for every face to be kept.
    k : int
        How many of the largest affinities are averaged.

    Raises
    ------
    ConfigError
        If the kind is unknown, the quantile is none, or no affinity is to be averaged.
    """

    kind: Kind = "mean"
    percent: int = 50
    contact: Literal["all", "largest"] = "all"
    exact: bool = False
    k: int = 10

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(
                f"linkage is {self.kind!r}; choose 'mean', 'max', 'min', 'quantile' or 'max_k'"
            )
        if self.k < 1:
            raise ConfigError(
                f"k is {self.k}; give how many of the largest affinities count, 1 or more"
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
        if self.kind == "max_k":
            return OF_LARGEST + self.k
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
