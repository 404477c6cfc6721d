"""Exact moments: those of Python's whole numbers and fractions, in any order of adding."""

from fractions import Fraction

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.exact_moments import (
    MOMENTS,
    SQUARES,
    carry,
    length_deviation,
    lengths_of,
    mean_length,
    moments,
)

UNIT = Fraction(1, 2**34)


def of(table, names) -> int:
    return sum(int(table[name].sum()) << (32 * k) for k, name in enumerate(names))


def test_a_length_and_its_square_are_what_fractions_say() -> None:
    rng = np.random.default_rng(0)
    lengths = np.concatenate([2.0 ** rng.uniform(-40, 28, 200), [0.0, 2**-34, 2**28 - 2**-20]])
    table = moments(lengths)
    for n, length in enumerate(lengths):
        row = {name: column[n : n + 1] for name, column in table.items()}
        units = round(Fraction(length) / UNIT)
        assert of(row, ("low", "high")) == units
        assert of(row, SQUARES) == units**2
        assert all(0 <= row[name][0] < 2**32 for name in MOMENTS)


def test_mean_and_deviation_are_those_of_exact_sums() -> None:
    lengths = np.random.default_rng(1).uniform(3, 5, 1000)
    table = moments(np.append(lengths, np.nan))
    values = [round(Fraction(x) / UNIT) * UNIT for x in lengths]
    mean = sum(values) / 1000
    assert mean_length(table) == float(mean)
    assert length_deviation(table) == float(sum((v - mean) ** 2 for v in values) / 999) ** 0.5
    assert mean_length(table) == pytest.approx(lengths.mean(), rel=1e-11)
    equal = moments(np.full(9, 7.3))
    assert length_deviation(equal) == 0
    none = moments(np.full(2, np.nan))
    assert np.isnan([mean_length(none), length_deviation(moments(np.ones(1)))]).all()


def test_sums_of_billions_carry() -> None:
    """A length of which every digit is full, 2^33 times."""
    length = 2.0**28 - 2**-25
    table = moments(np.full(2, length))
    for _ in range(33):
        table = carry(
            {name: np.tile(column.sum(keepdims=True), 2) for name, column in table.items()}
        )
        assert all(table[name].max() < 2**32 for name in ("low", *SQUARES[:-1]))
    table = {name: column[:1] for name, column in table.items()}
    assert table["known"][0] == 2**33
    assert mean_length(table) == length
    assert length_deviation(table) == 0
    assert lengths_of(table["low"], table["high"])[0] == length * 2**33


def test_lengths_that_would_not_fit_are_refused() -> None:
    for wrong in (2.0**28, -1.0, np.inf):
        with pytest.raises(ContractError, match="cannot be added exactly"):
            moments(np.array([1.0, wrong]))
