"""Jobs whose folder lies in an object store: the same results, resumed all the same."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.marks import ObjectMarks
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import StaleLedgerError
from volkit.geometry import Block, Box, Grid
from volkit.io import open_volume
from volkit.io.place import Place
from volkit.testing.servers.s3 import S3Server

RAW = np.random.default_rng(3).integers(0, 200, (20, 30, 40)).astype(np.uint8)
GRID = Grid(Box.from_shape(RAW.shape), (8, 16, 16))


def add(block: Block, values: NDArray[Any], *, amount: int) -> NDArray[Any]:
    return values + np.uint8(amount)


def total(block: Block, values: NDArray[Any]) -> Columns:
    return {"sum": np.array([values.sum(dtype=np.int64)])}


def together(parts: Any) -> Columns:
    return {"sum": sum(part["sum"] for part in parts)}


ADD = Op(add, dtype=np.uint8, params={"amount": 7})
TOTAL = Reduction(total, together)


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    name = request.node.name.replace("[", "-").rstrip("]")
    if request.param == "memory":
        yield Place(f"memory://{name}")
        return
    with S3Server() as server:
        for key, value in server.environment().items():
            monkeypatch.setenv(key, value)
        server.bucket("runs")
        yield Place(f"s3://runs/{name}?endpoint={server.endpoint}")


def test_the_same_as_locally(place: Place, tmp_path: Path) -> None:
    raw = open_volume(RAW)
    here, there = JobEngine(tmp_path), JobEngine(place)
    results = [e.map(ADD, raw, grid=GRID, name="more") for e in (here, there)]
    np.testing.assert_array_equal(results[1].read(), results[0].read())
    sums = [
        e.reduce(TOTAL, r, grid=GRID, name="sum")
        for e, r in zip((here, there), results, strict=True)
    ]
    assert int(sums[1]["sum"][0]) == int(sums[0]["sum"][0]) == int((RAW + np.uint8(7)).sum())


def test_finished_blocks_are_not_computed_again(place: Place) -> None:
    seen: list[int] = []
    raw = open_volume(RAW)
    for _ in range(2):
        engine = JobEngine(place, on_progress=lambda p: seen.append(p.done - p.resumed))
        engine.map(ADD, raw, grid=GRID, name="more")
    assert seen[-1] == 0
    assert max(seen) == len(GRID)
    other = replace(ADD, params={"amount": 9})
    with pytest.raises(StaleLedgerError, match=r"params.amount: 7 became 9"):
        JobEngine(place).map(other, raw, grid=GRID, name="more")
    again = JobEngine(place, replace_stale=True).map(other, raw, grid=GRID, name="more")
    np.testing.assert_array_equal(again.read(), RAW + np.uint8(9))


def test_marks_are_put_together_and_none_is_lost(place: Place) -> None:
    ledger = Ledger.open(place, {"a": 1}, 200)
    for number in range(0, 200, 2):  # as if each were of an attempt of its own
        replace(ledger).mark([number], [0.5])
    assert len(list(place.objects.keys("done/"))) == 100
    again = Ledger.open(place, {"a": 1}, 200)
    assert len(list(place.objects.keys("done/"))) == 1
    again.mark([1], [0.1])
    assert again.done().nonzero()[0].tolist() == sorted([*range(0, 200, 2), 1])
    ObjectMarks(place, "done").reset()
    assert again.count() == 0
