"""Calibration: maps from a network's probabilities to frequencies, as arrays of numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from volkit.errors import ContractError

Floats = NDArray[np.float64]
METHODS = ("isotonic", "centred", "platt", "temperature")
_BY_POINTS = ("isotonic", "centred")
_LEAST = 1e-7  # probabilities nearer to 0 or 1 have logits that say nothing


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator:
    """A map of probabilities.

    Parameters
    ----------
    method : str
        ``isotonic`` and ``centred``: linear between the points ``x``, ``y``, constant beyond;
        ``platt``: the logistic function of ``y[0] * logit(p) + y[1]``; ``temperature``: that of
        ``logit(p) / y[0]``.
    x, y : ndarray of float64
        What was fitted; ``x`` is empty but for ``isotonic`` and ``centred``.
    prior : float
        Share of positives in what it was fitted on.

    Raises
    ------
    ContractError
        If the arrays are not those of the method.
    """

    method: str
    x: Floats
    y: Floats
    prior: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.asarray(self.x, np.float64))
        object.__setattr__(self, "y", np.asarray(self.y, np.float64))
        sizes = {**dict.fromkeys(_BY_POINTS, len(self.x)), "platt": 2, "temperature": 1}
        sound = (
            self.method in sizes
            and self.x.ndim == self.y.ndim == 1
            and len(self.y) == sizes[self.method] > 0
            and np.isfinite([*self.x, *self.y]).all()
            and (self.method != "temperature" or self.y[0] > 0)
        )
        if not sound or (np.diff(self.x) <= 0).any() or not 0 <= self.prior <= 1:
            raise ContractError(
                f"a calibrator of method {self.method!r} with {len(self.x)} and {len(self.y)} "
                f"numbers and prior {self.prior}; fit one with fit_calibrator"
            )

    def __call__(self, probability: NDArray[Any]) -> Floats:
        """Map probabilities, any shape, to calibrated ones (float64)."""
        given = np.asarray(probability, np.float64)
        if self.method in _BY_POINTS:
            return np.interp(given, self.x, self.y)
        slope, shift = (1 / self.y[0], 0.0) if self.method == "temperature" else self.y
        return np.asarray(expit(slope * _logits(given) + shift))

    def to_json(self) -> dict[str, Any]:
        """Write it as numbers and text, from which ``from_json`` makes the same bits."""
        return {
            "method": self.method,
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "prior": self.prior,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Calibrator":
        """Read what ``to_json`` wrote.

        Raises
        ------
        ContractError
            If it is no calibrator.
        """
        try:
            x, y = (np.array(values[name], np.float64) for name in "xy")
            return cls(str(values["method"]), x, y, float(values["prior"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"no calibrator can be read ({error}); give what to_json wrote"
            ) from error


def fit_calibrator(
    probability: NDArray[Any], positive: NDArray[np.bool_], *, method: str = "isotonic"
) -> Calibrator:
    """Fit a calibrator on examples that the network has not been trained on.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        Answers, 0 to 1: of the ensemble, after averaging.
    positive : ndarray of bool, shape (N,)
        Truth.
    method : str
        ``isotonic`` (the monotone steps nearest to the truth), ``centred`` (lines between the
        centres of these steps), ``platt`` (slope and shift of the logits) or ``temperature`` (their
        slope alone), the latter two by greatest likelihood.  All but ``isotonic`` increase
        strictly, so that what the network ranks stays ranked; steps make ties.

    Returns
    -------
    Calibrator

    Raises
    ------
    ContractError
        If the method is unknown, values are no probabilities, or one class is missing.

    References
    ----------
    A. Oron and N. Flournoy, Centered isotonic regression, 2017,
    https://doi.org/10.1080/19466315.2017.1286256; J. Platt, Probabilistic outputs for support
    vector machines, 1999; C. Guo et al., On calibration of modern neural networks, 2017,
    https://doi.org/10.48550/arXiv.1706.04599

    Examples
    --------
    >>> fit = fit_calibrator(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 1, 0, 1], bool))
    >>> fit(np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    given, truth = checked(probability, positive)
    if method not in METHODS:
        raise ContractError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    if truth.all() or not truth.any():
        raise ContractError(
            f"all {len(truth)} examples are of one class; give positive and negative ones"
        )
    x, y = np.zeros(0), np.zeros(0)
    if method == "isotonic":
        x, y = _isotonic(given, truth)
    elif method == "centred":
        x, y = _centred(given, truth)
    elif method == "platt":
        y = _platt(_logits(given), truth)
    else:
        y = _temperature(_logits(given), truth)
    return Calibrator(method, x, y, float(truth.mean()))


def with_prior(probability: NDArray[Any], *, fitted: float, wanted: float) -> Floats:
    """Move probabilities to a population with another share of positives.

    Parameters
    ----------
    probability : ndarray of float
        Calibrated where the share of positives is ``fitted``.
    fitted, wanted : float
        Shares of positives, between 0 and 1.

    Returns
    -------
    ndarray of float64
        The same shape: the odds times the ratio of the two priors' odds.

    Raises
    ------
    ContractError
        If a prior is not strictly between 0 and 1.

    Examples
    --------
    >>> with_prior(np.array([0.5]), fitted=0.5, wanted=0.003).tolist()
    [0.003]
    """
    if not (0 < fitted < 1 and 0 < wanted < 1):
        raise ContractError(f"priors are {fitted} and {wanted}; give shares between 0 and 1")
    given = np.asarray(probability, np.float64)
    up, down = wanted * (1 - fitted), fitted * (1 - wanted)
    return np.asarray(given * up / (given * up + (1 - given) * down))


def checked(probability: NDArray[Any], positive: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """Refuse what are no probabilities beside as many truths.

    Raises
    ------
    ContractError
        If shapes differ, there are none, or a value is NaN or outside 0 to 1.
    """
    given, truth = np.asarray(probability, np.float64), np.asarray(positive)
    if given.ndim != 1 or given.shape != truth.shape or not len(given):
        raise ContractError(
            f"probabilities are {given.shape}, truths {truth.shape}; give one of each per example"
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise ContractError("a probability is NaN or outside 0 to 1; apply a sigmoid to logits")
    return given, truth.astype(bool)


def _logits(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, _LEAST, 1 - _LEAST)))


@dataclass(frozen=True, slots=True)
class _Step:
    """Points that are pooled: how many examples, how many of them positive, where they lie."""

    positive: float
    count: float
    first: float
    last: float
    place: float  # sum over examples

    @property
    def share(self) -> float:
        return self.positive / self.count

    def joined(self, after: "_Step") -> "_Step":
        return _Step(
            self.positive + after.positive,
            self.count + after.count,
            self.first,
            after.last,
            self.place + after.place,
        )


def _steps(given: Floats, truth: NDArray[np.bool_]) -> list[_Step]:
    """Pool adjacent violators."""
    points, at, count = np.unique(given, return_inverse=True, return_counts=True)
    steps: list[_Step] = []
    for x, positive, n in zip(
        points.tolist(), np.bincount(at, truth).tolist(), count.tolist(), strict=True
    ):
        steps.append(_Step(positive, float(n), x, x, x * n))
        while (
            len(steps) > 1
            and steps[-2].positive * steps[-1].count >= steps[-1].positive * steps[-2].count
        ):
            last = steps.pop()
            steps[-1] = steps[-1].joined(last)
    return steps


def _isotonic(given: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Keep the first and the last point of each step."""
    pairs = [(x, s.share) for s in _steps(given, truth) for x in sorted({s.first, s.last})]
    x, y = np.array(pairs).T
    return x, y


def _centred(given: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Keep the centre of each step, and 0 and 1.

    The published method stays constant beyond the outer centres, and at shares of 0 and 1, which
    few examples do not prove: these are taken as half an example less sure (Jeffreys' prior), and
    the ends of the scale stay where they are.
    """
    steps = _steps(given, truth)
    x = np.clip([s.place / s.count for s in steps], 0, 1)
    y = np.array([s.share for s in steps])
    if y[0] == 0:
        y[0] = min(0.5 / (steps[0].count + 1), y[1] / 2)
    if y[-1] == 1:
        y[-1] = max(1 - 0.5 / (steps[-1].count + 1), (1 + y[-2]) / 2)
    before, after = ([end] if end not in x else [] for end in (0.0, 1.0))
    return np.concatenate([before, x, after]), np.concatenate([before, y, after])


def _platt(logits: Floats, truth: NDArray[np.bool_]) -> Floats:
    # Platt's targets: with few examples the slope stays finite even where classes are apart.
    up, down = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (up + 1) / (up + 2), 1 / (down + 2))

    def loss(values: Floats) -> tuple[float, Floats]:
        z = values[0] * logits + values[1]
        error = expit(z) - target
        return (
            float((np.logaddexp(0, z) - target * z).sum()),
            np.array([(error * logits).sum(), error.sum()]),
        )

    return np.asarray(minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x)


def _temperature(logits: Floats, truth: NDArray[np.bool_]) -> Floats:
    def loss(log_scale: float) -> float:
        z = logits * np.exp(-log_scale)
        return float((np.logaddexp(0, z) - truth * z).sum())

    found = minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-9})
    return np.array([np.exp(found.x)])
