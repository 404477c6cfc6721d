"""Attention in a region: shares that can be counted by hand."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.region_attention import region_share

SHAPE = (2, 4, 5)


def test_an_even_map_has_what_is_expected_inside() -> None:
    tissue = np.ones(SHAPE, bool)
    tissue[1] = False
    region = np.zeros(SHAPE, bool)
    region[:, :2] = True  # 20 voxels, 10 of them in the tissue of 20
    found = region_share(np.full(SHAPE, 0.25), region, tissue)
    assert (found.inside, found.expected, found.voxels) == (0.5, 0.5, 10)
    assert found.enrichment == 1.0


def test_what_lies_outside_of_the_tissue_does_not_count() -> None:
    tissue, region, attention = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), np.zeros(SHAPE)
    tissue[0, 0] = True  # five voxels
    region[0, 0, 0] = True
    attention[0, 0, :2] = 3, 1
    attention[1] = 100
    found = region_share(attention, region, tissue)
    assert (found.inside, found.expected) == (0.75, 0.2)
    assert found.enrichment == pytest.approx(3.75)


def test_no_attention_and_no_region_are_not_numbers() -> None:
    tissue = np.ones(SHAPE, bool)
    assert np.isnan(region_share(np.zeros(SHAPE), tissue, tissue).inside)
    assert np.isnan(region_share(np.ones(SHAPE), ~tissue, tissue).enrichment)


def test_what_does_not_fit_is_refused() -> None:
    tissue = np.ones(SHAPE, bool)
    with pytest.raises(ContractError, match="three of one shape, and some tissue"):
        region_share(np.ones((2, 4, 4)), tissue, tissue)
    with pytest.raises(ContractError, match="tissue of .* with 0 voxels"):
        region_share(np.ones(SHAPE), tissue, ~tissue)
    with pytest.raises(ContractError, match="below 0 or not finite"):
        region_share(np.full(SHAPE, np.nan), tissue, tissue)
