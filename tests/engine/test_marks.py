"""Marks in an object store: few objects however many additions, and none is ever lost."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from volkit.engine import marks
from volkit.engine.ledger import Ledger
from volkit.engine.marks import ObjectMarks
from volkit.io.faults import Patience
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.s3 import S3Server

HASTY = OpenOptions(patience=Patience(attempts=2, first_wait_seconds=0.01))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Four objects are many."""
    monkeypatch.setattr(marks, "_MANY", 4)
    return 4


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for key, value in server.environment().items():
            monkeypatch.setenv(key, value)
        server.bucket("runs")
        yield server


def test_objects_stay_few_while_marks_come(few: int, server: S3Server) -> None:
    place = Place(f"s3://runs/a?endpoint={server.endpoint}", HASTY)
    log = ObjectMarks(place, "done")
    for number in range(90):  # 90 is 1122 to the base of 4: so many of each size are left
        log.append(b"%03d" % number)
        digits = Counter(np.base_repr(number + 1, few))
        left = sum(int(digit) * n for digit, n in digits.items())
        assert len(list(place.objects.keys("done/"))) == left
    assert log.read() == b"".join(b"%03d" % number for number in range(90))
    put = sum(request.method == "PUT" and "done" in request.path for request in server.requests)
    assert put == 90 + 90 // 4 + 90 // 16 + 90 // 64
    log.replace(b"all")
    for number in range(5):
        log.append(b"%d" % number)
    assert log.read() == b"all01234"
    log.reset()
    for number in range(5):
        log.append(b"%d" % number)
    assert log.read() == b"01234"


def test_a_reader_never_sees_marks_vanish(few: int, server: S3Server) -> None:
    """One looks again and again while the other writes: what was there once stays there."""
    place = Place(f"s3://runs/b?endpoint={server.endpoint}", HASTY)
    writer = Ledger.open(place, {"a": 1}, 100)
    ended, seen = threading.Event(), [np.zeros(100, bool)]

    def look() -> None:
        while not ended.is_set():
            seen.append(Ledger(place, 100, writer.fingerprint).done())

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(100):
        writer.mark([number], [1.0])
    ended.set()
    thread.join()
    assert all((before <= after).all() for before, after in pairwise(seen))
    assert writer.count() == 100


def test_a_store_that_does_not_delete_costs_objects_and_no_marks(
    few: int, server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a kill comes between putting together and removing what was."""
    with FaultProxy(server.endpoint) as proxy:
        place = Place(f"s3://runs/c?endpoint={proxy.url}", HASTY)
        ledger = Ledger.open(place, {"a": 1}, 20)
        proxy.inject("500", methods=("DELETE", "POST"))
        for number in range(6):
            ledger.mark([number], [1.0 + number])
        assert "could not put marks together" in caplog.text
        proxy.calm()
        for number in range(6, 20):
            ledger.mark([number], [1.0 + number])
        assert ledger.count() == 20
        again = Ledger.open(place, {"a": 1}, 20)
        records = again.records()
        assert set(zip(records["number"].tolist(), records["seconds"].tolist(), strict=True)) == {
            (number, 1.0 + number) for number in range(20)
        }


def test_what_was_forgotten_does_not_come_back(few: int, server: S3Server) -> None:
    place = Place(f"s3://runs/d?endpoint={server.endpoint}", HASTY)
    ledger = Ledger.open(place, {"a": 1}, 20)
    for number in range(3):
        ledger.mark([number], [1.0])
    Ledger(place, 20, ledger.fingerprint).unmark([1])  # through another handle
    for number in range(3, 9):
        ledger.mark([number], [1.0])
    assert ledger.done().nonzero()[0].tolist() == [0, 2, 3, 4, 5, 6, 7, 8]
