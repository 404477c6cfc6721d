import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError
from volkit.models.scaling import Scale, Scaling, moments, quantile

VOXELS = hnp.arrays(np.uint8, st.integers(1, 60))


@given(VOXELS, st.floats(0, 1))
def test_quantile_of_a_histogram_is_that_of_the_voxels(voxels, q) -> None:
    values, counts = np.unique(voxels, return_counts=True)
    assert quantile(values, counts, q) == pytest.approx(np.quantile(voxels, q), abs=1e-9)


@given(VOXELS)
def test_moments_of_a_histogram_are_those_of_the_voxels(voxels) -> None:
    values, counts = np.unique(voxels, return_counts=True)
    expected = (voxels.mean(dtype=np.float64), voxels.std(dtype=np.float64))
    assert moments(values, counts) == pytest.approx(expected, abs=1e-9)


def test_quantiles_map_to_zero_and_one() -> None:
    scaling = Scaling("quantile", low=0.25, high=0.75)
    scale = scaling.resolve([0, 10, 20, 30, 40], [1, 1, 1, 1, 1])
    assert scale == Scale(10.0, 20.0, 10.0, 30.0)
    assert scale.apply([0, 10, 20, 40]).tolist() == [0, 0, 0.5, 1]


def test_quantiles_without_clipping_leave_the_range_open() -> None:
    scale = Scaling("quantile", low=0, high=0.5, clip=False).resolve([0, 10, 20], [1, 1, 1])
    assert scale.apply([20]).tolist() == [2]


def test_a_quantile_of_billions_of_voxels_is_found() -> None:
    assert quantile([0, 7], [10**15, 10**15], 0.75) == 7


@pytest.mark.parametrize("kind", ["quantile", "moments"])
def test_a_constant_volume_becomes_zero(kind) -> None:
    options = {"low": 0.1, "high": 0.9} if kind == "quantile" else {}
    assert Scaling(kind, **options).resolve([5], [8]).apply([5, 5]).tolist() == [0, 0]


def test_kinds_without_numbers_of_the_volume_need_no_histogram() -> None:
    assert Scaling().resolve() == Scale()
    assert Scaling("fixed", divide=255).resolve() == Scale(0.0, 255.0)
    assert not Scaling("fixed", shift=3, divide=2).needs_histogram
    assert Scaling("moments").needs_histogram


def test_scaling_leaves_the_voxels_as_they_were() -> None:
    voxels = np.ones(3, np.float32)
    Scale(1.0).apply(voxels)
    assert voxels.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "linear"}, "kind 'linear' is unknown; use one of"),
        ({"kind": "fixed", "divide": 2, "low": 0.1}, "does not take low; it takes shift, divide"),
        ({"kind": "none", "divide": 2}, "does not take divide; it takes nothing"),
        ({"kind": "fixed"}, "needs divide, a number other than 0, not None"),
        ({"kind": "fixed", "divide": 0}, "needs divide, a number other than 0, not 0"),
        ({"kind": "quantile", "low": 0.9, "high": 0.1}, "needs 0 <= low < high <= 1"),
        ({"kind": "quantile", "low": 0.9}, "needs 0 <= low < high <= 1, not 0.9 and None"),
    ],
)
def test_nonsense_is_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Scaling(**options)


def test_an_absent_histogram_is_refused() -> None:
    with pytest.raises(ConfigError, match="'moments' needs the histogram of the volume"):
        Scaling("moments").resolve([], [])
