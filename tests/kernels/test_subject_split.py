"""Subject splits: whole subjects, targets within one subject's scans, whatever the order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ContractError
from volkit.kernels.subject_split import deal_subjects, subjects_in_two_classes

SHARES = [0.8, 0.1, 0.1]


@given(
    scans=st.lists(st.integers(1, 9), min_size=8, max_size=60),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_parts_share_no_subject_and_meet_their_targets(scans, seed, order) -> None:
    subject = np.repeat([f"s{n}" for n in range(len(scans))], scans)
    label = np.repeat(np.arange(len(scans)) % 2, scans)
    part = deal_subjects(subject, label, SHARES, seed=seed)

    whose = {}
    for name, number in zip(subject, part, strict=True):
        assert whose.setdefault(name, number) == number
    for kind in (0, 1):
        mine = label == kind
        most = max(n for i, n in enumerate(scans) if i % 2 == kind)
        held = np.bincount(part[mine], minlength=3)
        assert (held > 0).all()
        # No part has more than its target by more than the scans of one subject.
        assert (held - np.array(SHARES) * mine.sum() <= most).all()

    mixed = list(range(len(subject)))
    order.shuffle(mixed)
    again = deal_subjects(subject[mixed], label[mixed], SHARES, seed=seed)
    np.testing.assert_array_equal(again, part[mixed])


def test_many_subjects_meet_their_targets_closely() -> None:
    rng = np.random.default_rng(0)
    scans = rng.integers(1, 8, 300)
    subject = np.repeat(np.arange(300), scans)
    label = np.repeat(np.arange(300) < 150, scans)
    part = deal_subjects(subject, label, SHARES, seed=1)
    for kind in (True, False):
        held = np.bincount(part[label == kind])
        np.testing.assert_allclose(held, np.array(SHARES) * held.sum(), atol=1)
    assert (part != deal_subjects(subject, label, SHARES, seed=2)).any()


def test_a_subject_in_two_classes_is_refused() -> None:
    subject, label = np.array(list("aabbcc")), np.array([0, 1, 0, 0, 1, 1])
    assert subjects_in_two_classes(subject, label) == ["a"]
    with pytest.raises(ContractError, match=r"1 subject has scans of two classes: a;"):
        deal_subjects(subject, label, [1, 1])


def test_too_few_subjects_and_empty_shares_are_refused() -> None:
    subject, label = np.array(list("aab")), np.array([0, 0, 0])
    with pytest.raises(ContractError, match="class 0 has 2 subjects for 3 parts"):
        deal_subjects(subject, label, [1, 1, 1])
    with pytest.raises(ContractError, match="each part needs one above 0"):
        deal_subjects(subject, label, [1, 0])
