"""Dropout spread: numbers known by hand, and the bounds that theory gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ContractError
from volkit.kernels.dropout_spread import dropout_spread


def test_numbers_known_by_hand() -> None:
    found = dropout_spread(np.array([[[0.2], [0.4]], [[0.6], [0.8]]]))
    assert found["mean"] == pytest.approx([0.5])
    assert found["std"] == pytest.approx([np.sqrt(0.05)])
    assert found["range"] == pytest.approx([0.6])
    assert found["entropy"] == pytest.approx([1.0])
    # H(0.2) = 0.721928, H(0.4) = 0.970951 bits
    assert found["mutual_info"] == pytest.approx([1 - (0.7219281 + 0.9709506) / 2])


@given(st.integers(0, 10**6))
def test_passes_that_agree_share_no_information_and_none_is_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.random((5, 2, 7))
    found = dropout_spread(samples)
    assert (found["mutual_info"] >= 0).all()
    assert (found["mutual_info"] <= found["entropy"] + 1e-12).all()
    same = dropout_spread(np.broadcast_to(samples[:1, :1], samples.shape))
    np.testing.assert_allclose(same["mutual_info"], 0, atol=1e-12)
    np.testing.assert_allclose(same["std"], 0, atol=1e-12)


@pytest.mark.parametrize("samples", [np.zeros((0, 2, 3)), np.zeros((2, 3)), np.full((1, 1, 1), 2)])
def test_what_is_no_probability_is_refused(samples) -> None:
    with pytest.raises(ContractError, match=r"\(passes, folds, examples\)"):
        dropout_spread(samples)
