"""The kernel bench runs and compares results; how fast anything is, no test asks."""

from functools import partial

import numpy as np
import pytest

from volkit.bench import kernels, peers
from volkit.bench.harness import run_case

GROUPS = ["_components", "_watershed", "_contingency", "_peaks", "_agglomeration"]


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_runs_and_agrees_with_its_peer(group, capfd) -> None:
    for case in getattr(kernels, group)(24):
        row = run_case(case, rounds=1)
        if row.skipped:
            pytest.skip(row.skipped)
        assert row.value > 0
        assert row.agrees in (True, None)
    assert capfd.readouterr().out == ""


def test_cases_of_both_sizes_have_the_same_names() -> None:
    names = [[case.name for case in kernels.cases(quick=quick)] for quick in (True, False)]
    assert names[0] == names[1]
    assert len({*names[0]}) == len(names[0])


def test_a_peer_that_is_not_installed_skips_its_case(monkeypatch) -> None:
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(peers, "import_module", absent)
    case = next(kernels._agglomeration(8))
    assert "needs the package waterz" in run_case(case, rounds=1).skipped


def test_same_partition_ignores_names() -> None:
    same = partial(kernels.same_partition, np.array([1, 1, 2, 0]))
    assert same(np.array([7, 7, 5, 1]))
    assert not same(np.array([7, 7, 7, 1]))
    assert not same(np.array([7, 8, 5, 1]))
