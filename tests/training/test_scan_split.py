"""Splits of scans: whole subjects, near their targets, whatever the order; and what is counted."""

from collections import Counter, defaultdict
from random import Random

import pytest

from volkit.errors import ConfigError, ContractError
from volkit.io.scan_manifest import ScanRow
from volkit.training.scan_split import balance, fold_scans, split_scans


def rows(subjects: int = 60, seed: int = 0) -> list[ScanRow]:
    """As uneven as a study: one to nine scans of a subject."""
    dice = Random(seed)
    found = []
    for n in range(subjects):
        for visit in range(dice.randint(1, 9)):
            name = f"s{n:03d}-{visit}"
            found.append(
                ScanRow(name, f"s{n:03d}", "", ("AD", "CN")[n % 2], f"{name}.nii", "", "0" * 64, "")
            )
    return found


def parts_of(given) -> dict[str, set[str]]:
    found = defaultdict(set)
    for row in given:
        found[row.subject].add(row.place)
    return found


def test_no_subject_is_in_two_parts_and_targets_are_met_within_one_subject() -> None:
    given = rows()
    split = split_scans(given, {"train": 0.7, "val": 0.1, "test": 0.2}, seed=3)
    assert all(len(parts) == 1 for parts in parts_of(split).values())
    assert [row.scan for row in split] == [row.scan for row in given]
    most = max(Counter(row.subject for row in given).values())
    for label in ("AD", "CN"):
        total = sum(row.label == label for row in given)
        for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
            scans = sum(row.label == label and row.part == part for row in split)
            assert abs(scans - share * total) <= most


def test_the_split_depends_on_the_seed_and_on_no_order() -> None:
    given = rows()
    mixed = Random(1).sample(given, len(given))
    one = {row.scan: row.part for row in split_scans(given, seed=5)}
    assert one == {row.scan: row.part for row in split_scans(mixed, seed=5)}
    assert one != {row.scan: row.part for row in split_scans(given, seed=6)}


def test_folds_divide_subjects_and_leave_the_test_out() -> None:
    given = split_scans(rows(), {"train": 0.8, "test": 0.2}, seed=1)
    folds = fold_scans(given, 3, seed=1)
    assert all(len(parts) == 1 for parts in parts_of(folds).values())
    assert {row.scan for row in folds if row.part == "test"} == {
        row.scan for row in given if row.part == "test"
    }
    sizes = Counter(row.fold for row in folds if row.fold is not None)
    assert sorted(sizes) == [0, 1, 2]
    assert max(sizes.values()) - min(sizes.values()) <= 2 * 9
    table = balance(folds)
    assert set(table["place"]) == {"test", "fold 0", "fold 1", "fold 2"}
    assert table["scans"].sum() == len(given)
    assert (table["scans_per_subject"] == table["scans"] / table["subjects"]).all()


def test_scans_dealt_one_by_one_share_subjects() -> None:
    split = split_scans(rows(), seed=1, by="scan")
    assert any(len(parts) > 1 for parts in parts_of(split).values())


@pytest.mark.parametrize(
    "shares", [{"training": 1.0}, {"train": 0.0}, {"train": 1.0, "val": -0.1}, {}]
)
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="shares .* give numbers of 0 or more for train, val"):
        split_scans(rows(), shares)


def test_too_few_subjects_for_a_fold_are_refused() -> None:
    with pytest.raises(ContractError, match="class AD has 2 subjects for 3 parts"):
        fold_scans(rows(4), 3)
    with pytest.raises(ConfigError, match="1 folds"):
        fold_scans(rows(), 1)
