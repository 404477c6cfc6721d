"""Keys of ids: even, whatever the ids are, and in their order where that is wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.kernels.id_keys import mixed_keys, ordered_keys, samples_of

LARGEST = 2**64 - 1


def lists_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Ids as they come: all in a row, far apart, in two heaps, of which one is tiny."""
    ids = {
        "row": np.arange(1, 20_001),
        "far": rng.choice(2**62, 20_000, replace=False),
        "heaps": np.concatenate([np.arange(1, 19_001), 2**62 + np.arange(1_000)]),
        "one": np.array([*range(1, 20_000), LARGEST], np.uint64),
        "squares": np.arange(1, 20_001) ** 4,
    }
    return {name: np.unique(values.astype(np.uint64)) for name, values in ids.items()}


@pytest.mark.parametrize("keys", [7, 64, 1024])
@pytest.mark.parametrize("name", ["row", "far", "heaps", "one", "squares"])
def test_keys_are_spread_evenly(name: str, keys: int) -> None:
    ids = lists_of(np.random.default_rng(1))[name]
    samples = samples_of([{"id": part} for part in np.array_split(ids, 13)], most=512)["id"]
    even = len(ids) / keys
    # Two samples' worth more at most, or what chance does to so many.
    for found, slack in (
        (ordered_keys(ids, samples, keys), 2 * len(ids) / 512),
        (mixed_keys(ids, keys), 5 * even**0.5),
    ):
        assert 0 <= found.min() <= found.max() < keys
        assert np.bincount(found).max() <= even + slack + 1


@given(
    ids=st.lists(st.integers(1, LARGEST), min_size=1, max_size=60, unique=True),
    most=st.integers(2, 70),
    keys=st.integers(1, 100),
)
def test_larger_ids_have_no_smaller_keys(ids: list[int], most: int, keys: int) -> None:
    known = np.sort(np.array(ids, np.uint64))
    samples = samples_of([{"id": known[::2]}, {"id": known}], most=most)["id"]
    assert {known[0], known[-1]} <= set(samples)
    assert len(samples) <= most
    found = ordered_keys(known, samples, keys)
    assert found[0] >= 0
    assert found[-1] < keys
    assert (np.diff(found) >= 0).all()


def test_samples_of_samples_stand_for_all() -> None:
    """The middle of what is chosen is the middle of all, though one part has most of them."""
    parts = [np.arange(1, 90_001), np.arange(10**6, 10**6 + 5_000), np.arange(2, 10)]
    first = [samples_of([{"id": part.astype(np.uint64)}], most=256) for part in parts]
    found = samples_of(first, most=256)
    assert found["weight"].sum() == pytest.approx(95_000, abs=400)
    middle = found["id"][np.searchsorted(np.cumsum(found["weight"]), 47_500)]
    assert abs(int(middle) - 47_500) < 800


def test_no_ids_have_no_samples() -> None:
    none = samples_of([{"id": np.zeros(0, np.uint64)}])
    assert len(none["id"]) == len(none["weight"]) == 0
    assert ordered_keys(np.zeros(0, np.uint64), none["id"], 5).tolist() == []
