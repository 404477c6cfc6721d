"""Roles of scans: nobody learns from those they are judged by, unless that is measured."""

from dataclasses import replace

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.testing.scan_sets import write_scan_set
from volkit.training.scan_roles import known_share, scan_roles, trainings
from volkit.training.scan_split import fold_scans

QUARTER = {"subjects": 16, "scans": 3, "shape": (4, 4, 4)}


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    return write_scan_set(tmp_path_factory.mktemp("folds"), folds=4, **QUARTER)


def test_every_scan_is_judged_once_by_who_has_not_met_its_subject(folds) -> None:
    assert trainings(folds) == 4
    judged = []
    for number in range(4):
        roles = scan_roles(folds.rows, number, aside=0.25, seed=1)
        parts = (roles.learnt, roles.choosing, roles.judged)
        subjects = [{folds.rows[n].subject for n in part} for part in parts]
        assert not subjects[0] & subjects[1] | subjects[2] & (subjects[0] | subjects[1])
        assert sorted(np.concatenate(parts)) == list(range(48))
        # A quarter of the other 36, which each class misses by less than a subject's three.
        assert abs(len(roles.choosing) - 9) < 6
        judged += roles.judged.tolist()
    assert sorted(judged) == list(range(48))
    assert known_share(folds.rows, 4, aside=0, seed=0) == 0


def test_parts_have_the_roles_of_their_names(tmp_path) -> None:
    manifest = write_scan_set(tmp_path, folds=0, **QUARTER)
    roles = scan_roles(manifest.rows, 0, aside=0.5, seed=0)  # the part val is what is set aside
    for name, numbers in (("train", roles.learnt), ("val", roles.choosing), ("test", roles.judged)):
        assert [manifest.rows[n] for n in numbers] == list(manifest.part(name))
    assert trainings(manifest) == 1
    alone = replace(manifest, rows=manifest.part("train"))
    with pytest.raises(ConfigError, match="has the parts train; give train and test"):
        trainings(alone)


def test_divided_at_random_nearly_every_subject_was_met_before(folds) -> None:
    rows = fold_scans(folds.rows, 4, seed=0, by="scan")
    assert [row.scan for row in rows] == [row.scan for row in folds.rows]
    each = [sum(row.fold == n for row in rows) for n in range(4)]
    assert each == [sum(row.fold == n for row in folds.rows) for n in range(4)] == [12] * 4
    assert known_share(rows, 4, aside=0, seed=0) > 0.8


def test_one_class_alone_is_refused(folds) -> None:
    rows = [replace(row, fold=0 if row.label == "AD" else 1) for row in folds.rows]
    roles = scan_roles(rows, 0, aside=0, seed=0)
    with pytest.raises(ConfigError, match="fold 0: the 24 scans that are learnt from are of CN"):
        roles.check(rows, which="fold 0", choose="last")


def test_the_digest_follows_bytes_and_roles(folds) -> None:
    roles = scan_roles(folds.rows, 0, aside=0, seed=0)
    other = list(folds.rows)
    other[5] = replace(other[5], sha256="0" * 64)
    found = {
        roles.digest(folds.rows),
        roles.digest(other),
        scan_roles(folds.rows, 1, aside=0, seed=0).digest(folds.rows),
    }
    assert len(found) == 3
