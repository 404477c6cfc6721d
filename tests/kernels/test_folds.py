"""Folds: groups stay together, shares stay even, as scikit-learn divides them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ContractError
from volkit.kernels.folds import groups_in_two_folds, stratified_folds


def examples(seed: int, groups: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Groups of 1 to 30 examples, with 0 to 60 % positives."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 31, groups)
    group = np.repeat([f"P{n:03d}" for n in range(groups)], sizes)
    positive = rng.random(len(group)) < np.repeat(rng.random(groups) * 0.6, sizes)
    return positive, group


@given(st.integers(0, 10**6), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_no_group_is_in_two_folds_and_shares_are_even(seed: int, count: int) -> None:
    positive, group = examples(seed)
    fold = stratified_folds(positive, group, count=count, seed=seed)
    assert groups_in_two_folds(fold, group) == []
    assert set(fold) == set(range(count))
    largest = np.unique(group, return_counts=True)[1].max()
    for side in (False, True):
        sizes = np.bincount(fold[positive == side], minlength=count)
        assert sizes.max() - sizes.min() <= largest


def test_the_order_of_examples_does_not_matter() -> None:
    positive, group = examples(3)
    fold = stratified_folds(positive, group, count=5, seed=1)
    order = np.random.default_rng(0).permutation(len(group))
    shuffled = stratified_folds(positive[order], group[order], count=5, seed=1)
    np.testing.assert_array_equal(shuffled, fold[order])
    assert (stratified_folds(positive, group, count=5, seed=2) != fold).any()


def spread(positive: np.ndarray, fold: np.ndarray) -> float:
    """Deviation over folds of the share of each class, as scikit-learn minimises it."""
    sides = [np.bincount(fold[positive == s], minlength=5) / (positive == s).sum() for s in (0, 1)]
    return float(np.std(sides, axis=1).mean())


def test_shares_are_as_even_as_those_of_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    ours, theirs = [], []
    for seed in range(20):
        positive, group = examples(seed)
        ours.append(spread(positive, stratified_folds(positive, group, count=5)))
        fold = np.empty(len(group), int)
        split = selection.StratifiedGroupKFold(5).split(group, positive, group)
        for number, (_, rows) in enumerate(split):
            fold[rows] = number
        theirs.append(spread(positive, fold))
    assert np.mean(ours) <= np.mean(theirs)
    assert max(ours) <= max(theirs)


def test_leaks_are_named() -> None:
    fold, group = np.array([0, 0, 1, 1, 2]), np.array(["a", "b", "b", "c", "a"])
    assert groups_in_two_folds(fold, group) == ["a", "b"]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ContractError, match="2 groups, of which 1 have positives and 2 negatives"):
        stratified_folds(np.array([1, 0, 0], bool), np.array([1, 1, 2]), count=2)
    with pytest.raises(ContractError, match="cannot be divided into 3 folds"):
        stratified_folds(np.array([1, 0, 1, 0], bool), np.array([1, 1, 2, 2]), count=3)
