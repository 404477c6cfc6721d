"""Bench of particles: ours and the peers find the same, on small inputs; no time is tested."""

import pytest

from volkit.bench import particles
from volkit.bench.harness import BENCHES, run_case


@pytest.mark.parametrize("number", range(4))
def test_peaks_agree_with_their_peers(number) -> None:
    case = list(particles._peaks(40))[number]
    row = run_case(case, rounds=1)
    if not row.skipped:
        assert row.agrees


def test_scoring_agrees_with_scipy_and_everything_runs() -> None:
    cases = [
        *particles._scoring(3000, 300, quick=True),
        particles._suppression(1000),
        particles._postprocessing((20, 40, 40)),
    ]
    rows = [run_case(case, rounds=1) for case in cases]
    assert all(row.value > 0 for row in rows)
    assert [row.agrees for row in rows if row.peer is not None] == [True]


def test_is_registered_and_quick_has_the_same_cases() -> None:
    assert BENCHES["particles"] == particles.__name__
    quick, full = (len(list(particles.cases(quick=q))) for q in (True, False))
    assert quick == full
