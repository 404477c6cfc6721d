"""Bench of particles: ours and the peers find the same, on small inputs; no time is tested."""

import pytest

from volkit.bench import particle_tomograms, particles
from volkit.bench.harness import BENCHES, run_case


@pytest.mark.parametrize("number", range(4))
def test_peaks_agree_with_their_peers(number) -> None:
    case = list(particles._peaks(40))[number]
    row = run_case(case, rounds=1)
    if not row.skipped:
        assert row.agrees


def test_scoring_agrees_with_scipy_and_everything_runs() -> None:
    cases = [
        *particles._scoring(3000, 300),
        particles._suppression(1000),
        particle_tomograms.share_case((20, 64, 64)),
    ]
    rows = [run_case(case, rounds=1) for case in cases]
    assert all(row.value > 0 for row in rows)
    assert [row.agrees for row in rows if row.agrees is not None] == [True]


def test_the_network_is_taken_to_need_time_by_its_windows() -> None:
    # 184 x 630 x 630 has 22 x 19 x 19 windows of 16 x 64 x 64, the part measured 3 x 3 x 3.
    assert particle_tomograms._times_as_many((184, 630, 630)) == 22 * 19 * 19 / 27
    assert particle_tomograms._times_as_many((16, 64, 64)) == 1


def test_memory_of_a_run_is_told_by_a_process() -> None:
    assert 0 < particle_tomograms.rise_megabytes(1, quick=True) < 1000


def test_is_registered_and_quick_has_the_same_cases() -> None:
    assert BENCHES["particles"] == particles.__name__
    quick, full = (len(list(particles.cases(quick=q))) for q in (True, False))
    assert quick == full
