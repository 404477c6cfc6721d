"""The engine bench runs; how fast anything is, no test asks."""

import numpy as np

from volkit.bench import engine
from volkit.bench.harness import run_case


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
