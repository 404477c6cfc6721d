"""Boundary probabilities as they come: checked, and brought to float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

_ROUNDING = 1e-5  # blending windows that all answer 1 gives 1.0000001


def probabilities(values: NDArray[Any]) -> NDArray[np.float32]:
    """Check a map of probabilities and give it as float32.

    Parameters
    ----------
    values : ndarray of float or uint8
        Floats from 0 to 1, or uint8, where 255 stands for 1.

    Returns
    -------
    ndarray of float32
        The same shape, 0 to 1; what rounding put outside is clipped.

    Raises
    ------
    ContractError
        If a value is NaN or lies outside 0 to 1, or the type is none of these.

    Examples
    --------
    >>> probabilities(np.array([0, 51, 255], np.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    if values.dtype.kind != "f":
        raise ContractError(
            f"probabilities are {values.dtype}; give floats from 0 to 1, or uint8 where 255 is 1"
        )
    if values.size:
        low, high = values.min(), values.max()
        # NaN fails both comparisons.
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
            bad = "NaN" if np.isnan(low) else f"{low:g} to {high:g}"
            raise ContractError(
                f"probabilities are {bad}; give finite values from 0 to 1: apply a sigmoid to "
                "logits, scale integers, and replace NaN (numpy.nan_to_num)"
            )
        if low < 0 or high > 1:
            values = np.clip(values, 0, 1)
    return values.astype(np.float32, copy=False)
