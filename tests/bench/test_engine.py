"""The engine bench runs; how fast anything is, no test asks."""

import numpy as np
import pytest

from volkit.bench import engine, fault_costs, scaling
from volkit.bench.harness import Case, run_case, told
from volkit.bench.rounds import Rounds


def test_a_job_and_bare_tasks_copy_the_same_in_the_same_batches() -> None:
    with engine._site(2) as site:
        copied = site.run_job()
        assert sum(site.batches) == 8
        bare = site.run_bare()
        np.testing.assert_array_equal(copied.read(), site.source.read())
        np.testing.assert_array_equal(bare.read(), site.source.read())


def test_planning_and_checking_run_on_few_blocks() -> None:
    with engine._ledger(3, done=5) as plan:
        assert plan.open().count() == 5
        engine._plan(plan)
        assert plan.open().count() == 5


def test_planning_and_checking_are_measured() -> None:
    rows = [run_case(case, rounds=1) for case in list(engine.cases(quick=True))[1:4]]
    assert [row.unit for row in rows] == ["s", "MB", "s"]
    assert all(row.value >= 0 and row.better == "lower" for row in rows)


def test_bare_processes_share_the_blocks() -> None:
    with scaling._bare(2) as bare:
        assert bare.run(7, processes=1) == 7
        assert bare.run(7, processes=2) == 7


@pytest.mark.parametrize(("first_counts", "measured"), [(True, [1, 2, 3]), (False, [2, 3, 4])])
def test_rows_of_the_same_rounds_are_measured_once(first_counts: bool, measured: list[int]) -> None:
    calls, rounds = iter(range(1, 9)), Rounds(first_counts=first_counts)

    def measure(site: None) -> dict[str, float]:
        number = next(calls)
        return {"seconds": number, "blocks": 10 * number}

    cases = [
        Case("seconds", ours=rounds.measured("seconds", measure), measure=told),
        Case("blocks", ours=rounds.read("blocks"), measure=told),
    ]
    rows = [run_case(case, rounds=3) for case in cases]
    assert [row.value for row in rows] == [measured[1], 10 * measured[1]]
    assert [row.spread for row in rows] == [2, 20]


def test_every_kind_of_fault_has_a_row_of_seconds_and_one_of_blocks() -> None:
    cases = list(fault_costs.cases(quick=True))
    assert [case.unit for case in cases] == ["s more", "blocks more"] * 4
    assert len({case.name for case in cases}) == 8


@pytest.mark.slow
def test_what_a_killed_worker_costs_is_measured() -> None:
    with fault_costs._workers() as site:
        found = site.kill_worker()
    assert found["blocks"] >= 0
    assert set(found) == {"seconds", "blocks"}
