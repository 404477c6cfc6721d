"""Proportions: intervals of a share, and what a test with known errors says about it."""

from math import sqrt

from scipy.special import ndtri

from volkit.errors import ContractError


def wilson_interval(count: int, total: int, *, level: float = 0.95) -> tuple[float, float]:
    """Find the interval of a share that holds for rare things, too.

    Parameters
    ----------
    count, total : int
        Such as stalled segments and all of them.
    level : float
        Between 0 and 1.

    Returns
    -------
    low, high : float
        0 to 1; (0, 1) where there is nothing to count.

    Raises
    ------
    ContractError
        If the counts or the level make no sense.

    References
    ----------
    E. B. Wilson, 1927, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> [round(end, 4) for end in wilson_interval(3, 1000)]
    [0.001, 0.0088]
    """
    if not 0 <= count <= total or not 0 < level < 1:
        raise ContractError(
            f"{count} of {total} at level {level}; give counts from 0 to the total, and a level "
            "between 0 and 1"
        )
    if not total:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    share, less = count / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / less
    reach = z / less * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def predictive_value(*, sensitivity: float, specificity: float, prevalence: float) -> float:
    """Say which share of the positive answers is right.

    Parameters
    ----------
    sensitivity, specificity, prevalence : float
        0 to 1.

    Returns
    -------
    float
        NaN where no answer would be positive.

    Raises
    ------
    ContractError
        If one is no share.

    Examples
    --------
    >>> round(predictive_value(sensitivity=0.85, specificity=0.993, prevalence=0.003), 2)
    0.27
    """
    _check(sensitivity=sensitivity, specificity=specificity, prevalence=prevalence)
    right = sensitivity * prevalence
    wrong = (1 - specificity) * (1 - prevalence)
    return right / (right + wrong) if right + wrong else float("nan")


def negative_predictive_value(
    *, sensitivity: float, specificity: float, prevalence: float
) -> float:
    """Say which share of the negative answers is right.

    Parameters
    ----------
    sensitivity, specificity, prevalence : float
        0 to 1.

    Returns
    -------
    float
        NaN where no answer would be negative.

    Raises
    ------
    ContractError
        If one is no share.

    Examples
    --------
    >>> round(negative_predictive_value(sensitivity=0.8, specificity=0.9, prevalence=0.5), 4)
    0.8182
    """
    return predictive_value(
        sensitivity=specificity, specificity=sensitivity, prevalence=1 - prevalence
    )


def corrected_share(observed: float, *, sensitivity: float, specificity: float) -> float:
    """Correct the share of positive answers for the test's errors, within 0 and 1.

    Parameters
    ----------
    observed : float
        Share of positive answers.
    sensitivity, specificity : float
        Of the test; together more than 1.

    Returns
    -------
    float

    Raises
    ------
    ContractError
        If one is no share, or the test is no better than chance.

    References
    ----------
    W. J. Rogan and B. Gladen, 1978, doi:10.1093/oxfordjournals.aje.a112510.

    Examples
    --------
    >>> round(corrected_share(0.00952, sensitivity=0.85, specificity=0.993), 4)
    0.003
    """
    _check(observed=observed, sensitivity=sensitivity, specificity=specificity)
    power = sensitivity + specificity - 1
    if power <= 0:
        raise ContractError(
            f"sensitivity {sensitivity} and specificity {specificity} are no better than chance, "
            "so that nothing can be corrected; give those of a test that tells the classes apart"
        )
    return min(1.0, max(0.0, (observed + specificity - 1) / power))


def _check(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ContractError(f"{name} is {value}; give a share from 0 to 1")
