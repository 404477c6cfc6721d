"""The statistics bench runs and compares results; how fast anything is, no test asks."""

import re

import pytest

from volkit.bench import statistics
from volkit.bench.harness import run_case


@pytest.mark.slow
def test_every_case_runs_and_agrees(monkeypatch, capfd) -> None:
    monkeypatch.setattr(statistics, "_QUICK_SIZE", 32)
    rows = [run_case(case, rounds=1) for case in statistics.cases(quick=True)]
    for row in rows:
        if row.skipped:
            pytest.skip(row.skipped)
        assert row.agrees in (True, None), row.name
    assert rows[-1].value == 0
    assert capfd.readouterr().out == ""


def test_cases_of_both_sizes_have_the_same_names() -> None:
    names = [
        [re.sub(r"\d+(\^3|³)", "N^3", case.name) for case in statistics.cases(quick=quick)]
        for quick in (True, False)
    ]
    assert names[0] == names[1]
    assert len({case.name for case in statistics.cases(quick=True)}) == len(names[0])
