"""The bench of stall tables runs and agrees with its peers; how fast anything is, no test asks."""

import pytest

from volkit.bench import stalls
from volkit.bench.harness import BENCHES, run_case


@pytest.mark.slow
def test_every_case_runs_and_agrees(capfd) -> None:
    rows = [run_case(case, rounds=1) for case in stalls.cases(quick=True)]
    for row in rows:
        if row.skipped:
            pytest.skip(row.skipped)
        assert row.agrees in (True, None), row.name
    assert capfd.readouterr().out == ""


def test_is_registered_and_quick_has_as_many_cases() -> None:
    assert BENCHES["stalls"] == stalls.__name__
    quick, full = (list(stalls.cases(quick=q)) for q in (True, False))
    assert len(quick) == len(full)
