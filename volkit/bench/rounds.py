"""Rounds: several rows of a bench that are made of the same measurements, taken in turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured, round by round: the first row measures, the others read.

    Parameters
    ----------
    figures : list of dict of str to float
        Of the rounds so far, the first call included, which the harness does not count.
    first_counts : bool
        Where nothing is compiled or cached by the first call, it is the first round, too.

    Examples
    --------
    >>> rounds = Rounds()
    >>> first, second = rounds.measured("s", lambda site: {"s": 2.0, "n": 3.0}), rounds.read("n")
    >>> first(None), second(None)
    (2.0, 3.0)
    """

    figures: list[Figures] = field(default_factory=list)
    first_counts: bool = False

    def measured(self, name: str, measure: Callable[[Any], Figures]) -> Callable[[Any], float]:
        """Make what measures a round when it is called, and gives one figure of it."""

        def call(site: Any) -> float:
            known = self.first_counts and len(self.figures) == 1
            self.figures.append(self.figures[0] if known else measure(site))
            return self.figures[-1][name]

        return call

    def read(self, name: str) -> Callable[[Any], float]:
        """Make what gives another figure of the same rounds, one with every call."""
        following = iter(self.figures)

        def call(site: Any) -> float:
            return next(following)[name]

        return call
