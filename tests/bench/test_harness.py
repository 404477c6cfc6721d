"""The harness: measures with a clock that counts, so that every number is known."""

import json
import re
import threading
import time
from contextlib import contextmanager
from itertools import count

import pytest

from volkit.bench import harness
from volkit.bench.harness import (
    Case,
    Report,
    Row,
    cpu_seconds,
    peak_megabytes,
    run_bench,
    run_case,
    wall_seconds,
)
from volkit.bench.machine import Machine
from volkit.bench.page import bench_page
from volkit.errors import ConfigError, missing_extra


def told(call) -> float:
    """Measure a call by what it returns."""
    return call()


def counting(*values):
    """Return one value after another: the first for the call that warms up."""
    rest = iter(values)
    return lambda data: next(rest)


def case(**options) -> Case:
    return Case(**{"name": "known", "ours": lambda d: 2.0, "measure": told} | options)


def test_the_median_of_the_ratios_of_each_round() -> None:
    ours, peer = counting(99, 1, 2, 4), counting(99, 10, 10, 12)
    row = run_case(case(ours=ours, peer=peer, target=4.5), rounds=3)
    # 10, 5 and 3 times.
    assert (row.value, row.spread, row.holds) == (5, 7, True)
    assert (row.ours, row.peer, row.rounds) == (2, 10, 3)


def test_a_target_that_is_missed_is_told_not_raised() -> None:
    assert run_case(case(peer=lambda d: 2.0, target=1.5), rounds=2).holds is False
    assert run_case(case(target=1.5, better="lower"), rounds=2).holds is False
    assert run_case(case(target=2.5, better="lower"), rounds=2).holds is True
    assert run_case(case(), rounds=2).holds is None


def test_ours_and_the_peer_take_turns() -> None:
    calls = []
    run_case(
        case(
            ours=lambda d: calls.append("A") or 1.0,
            peer=lambda d: calls.append("B") or 1.0,
        ),
        rounds=3,
    )
    assert "".join(calls) == "AB" * 4


def test_any_value_can_be_made_of_both() -> None:
    row = run_case(case(peer=lambda d: 0.5, value=lambda ours, peer: ours - peer), rounds=1)
    assert row.value == 1.5


def test_threads_that_a_peer_leaves_behind_are_not_counted_as_ours() -> None:
    def leave_behind(_: object) -> None:
        until = time.monotonic() + 0.2

        def spin() -> None:
            while time.monotonic() < until:
                pass

        threading.Thread(target=spin).start()

    case = Case("spinning", ours=lambda _: time.sleep(0.1), peer=leave_behind)
    row = run_case(case, rounds=3)
    assert row.ours is not None
    assert row.ours < 0.05


def test_without_a_peer_the_value_is_our_own() -> None:
    row = run_case(case(ours=counting(9, 3, 1, 2)), rounds=3)
    assert (row.value, row.spread, row.peer) == (2, 2, None)


@pytest.mark.parametrize("same", [True, False])
def test_results_are_compared(same) -> None:
    row = run_case(case(peer=lambda d: 2.0 if same else 3.0, agree=float.__eq__), rounds=1)
    assert row.agrees is same


def test_the_setup_is_entered_once_and_left() -> None:
    events, numbers = [], count()

    @contextmanager
    def setup():
        events.append("in")
        yield next(numbers)
        events.append("out")

    def ours(data):
        events.append(data)
        return 1.0

    run_case(case(ours=ours, setup=setup), rounds=2)
    assert events == ["in", 0, 0, 0, "out"]


def test_a_missing_peer_is_a_skipped_row_with_its_reason() -> None:
    @contextmanager
    def setup():
        raise missing_extra("waterz", "bench")
        yield

    row = run_case(case(setup=setup, target=1), rounds=2)
    assert row.value is row.holds is None
    assert "pip install 'volkit[bench]'" in row.skipped
    assert "waterz" in harness._printed(row)[1]


def test_a_case_that_fails_is_named() -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        run_case(case(ours=lambda d: 1 / 0), rounds=1)
    assert caught.value.__notes__ == ["volkit: in the bench case 'known'"]


def test_measures_are_about_right() -> None:
    """Only what no machine can get wrong: signs, and a block of ten million bytes."""
    assert wall_seconds(lambda: None) >= 0
    assert cpu_seconds(lambda: sum(range(1000))) >= 0
    assert 10 <= peak_megabytes(lambda: bytes(10**7)) < 11


class Bench:
    """Stand in for a module of cases."""

    @staticmethod
    def cases(*, quick):
        yield case(name="first", target=1.0)
        yield case(name="second", peer=lambda d: 1.0, target=1.0, unit="y" if quick else "n")


@pytest.fixture
def known_bench(monkeypatch) -> None:
    monkeypatch.setitem(harness.BENCHES, "known", "tests.known")
    monkeypatch.setattr(harness, "import_module", lambda name: Bench)


@pytest.mark.usefixtures("known_bench")
def test_a_report_prints_and_stores_what_was_measured() -> None:
    rows = []
    report = run_bench("known", quick=True, on_row=rows.append)
    assert tuple(rows) == report.rows
    assert report.as_table() == [
        ("first", "2 x", "0", "≥ 1 x", "yes", ""),
        ("second", "0.5 y", "0", "≥ 1 y", "no", ""),
    ]
    assert len(report.header) == len(report.as_table()[0])
    stored = json.loads(report.to_json())
    assert stored["bench"] == "known"
    assert stored["quick"] is True
    assert [row["holds"] for row in stored["rows"]] == [True, False]
    assert stored["rows"][1]["value"] == 0.5
    assert stored["machine"]["cores"] >= 1
    assert stored["machine"]["cpu"]
    assert {"volkit", "numpy", "dask"} <= stored["machine"]["versions"].keys()
    assert str(report.machine).startswith(stored["machine"]["cpu"])


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_memory_that_does_not_grow_is_far_better_than_its_target(value: float) -> None:
    """A worker may hold as much for a larger volume, or less: the page shows the longest bar."""
    rows = (
        Row("grows", "MB", "lower", value=16.0, spread=0.0, target=8.0, holds=False),
        Row("does not", "MB", "lower", value=value, spread=0.0, target=8.0, holds=True),
    )
    page = bench_page(Report("kernels", False, rows, Machine.here()))
    wide = [float(w) for w in re.findall(r'<rect [^>]*?width="([\d.]+)"', page)]
    assert wide[1] == pytest.approx(3 / 0.5 * wide[0], rel=0.01)  # the scale ends at three times
    assert "1 of 2 targets hold" in page


@pytest.mark.usefixtures("known_bench")
def test_quick_means_fewer_rounds() -> None:
    assert run_bench("known", quick=True).rows[0].rounds < run_bench("known").rows[0].rounds


def test_refuses_an_unknown_bench() -> None:
    with pytest.raises(ConfigError, match="no bench 'speed'; choose one of engine, inference, io"):
        run_bench("speed")
