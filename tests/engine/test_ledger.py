"""The ledger: marks that survive, and computations that are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.engine.ledger import RECORD, Ledger, read_header
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.place import Place

FACTS = {"params": {"threshold": 0.5}, "kernel": "f"}


def test_marks_survive_reopening(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "a.ledger", FACTS, 10)
    ledger.mark([3, 1], [0.5, 0.25])
    again = Ledger.open(tmp_path / "a.ledger", FACTS, 10)
    assert again.done().nonzero()[0].tolist() == [1, 3]
    assert again.records()["seconds"].tolist() == [0.5, 0.25]


def test_changed_facts_are_refused_and_named(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "a.ledger", FACTS, 10).mark([1], [1.0])
    changed = {"params": {"threshold": 0.6}, "kernel": "f"}
    with pytest.raises(StaleLedgerError, match=r"params\.threshold: 0\.5 became 0\.6"):
        Ledger.open(tmp_path / "a.ledger", changed, 10)
    assert Ledger.open(tmp_path / "a.ledger", changed, 10, replace=True).count() == 0


@given(cut=st.integers(0, 5 * RECORD.itemsize), flip=st.none() | st.integers(0, 79))
def test_a_torn_tail_loses_only_its_own_marks(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    root = tmp_path_factory.mktemp("torn") / "a.ledger"
    Ledger.open(root, FACTS, 10).mark(range(5), [0.1] * 5)
    data = bytearray((root / "done").read_bytes())
    if flip is not None:
        data[flip] ^= 0x40
    (root / "done").write_bytes(data[: len(data) - cut])
    sound = (len(data) - cut) // RECORD.itemsize
    if flip is not None:
        sound = min(sound, flip // RECORD.itemsize)
    ledger = Ledger.open(root, FACTS, 10)
    assert ledger.done().nonzero()[0].tolist() == list(range(sound))
    ledger.mark([9], [0.1])
    assert ledger.done()[9]


def test_a_ledger_of_rubbish_says_what_to_do(tmp_path: Path) -> None:
    root = tmp_path / "a.ledger"
    Ledger.open(root, FACTS, 10)
    (root / "header.json").write_text("{")
    with pytest.raises(SourceError, match="delete"):
        read_header(Place.at(root))
    (root / "header.json").write_text(json.dumps({"total": 3}))
    with pytest.raises(SourceError, match="fingerprint"):
        read_header(Place.at(root))


@given(marked=st.integers(0, 9), damaged=st.integers(0, 9), at_once=st.integers(1, 11))
def test_records_are_the_same_piece_by_piece(
    tmp_path_factory: pytest.TempPathFactory, marked: int, damaged: int, at_once: int
) -> None:
    root = tmp_path_factory.mktemp("pieces") / "a.ledger"
    ledger = Ledger.open(root, FACTS, 10)
    if marked:
        ledger.mark(range(marked), [0.1] * marked)
        data = bytearray((root / "done").read_bytes())
        if damaged < marked:
            data[damaged * RECORD.itemsize] ^= 1
        (root / "done").write_bytes(data + b"torn")
    sound = list(range(min(marked, damaged)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("volkit.engine.ledger._AT_ONCE", at_once)
        assert ledger.records()["number"].tolist() == sound
        assert ledger.done().nonzero()[0].tolist() == sound
        Ledger.open(root, FACTS, 10).mark([9], [0.1])
    assert ledger.done().nonzero()[0].tolist() == [*sound, 9]


def test_a_hundred_thousand_marks_are_one_read(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "a.ledger", FACTS, 100_000)
    ledger.mark(np.arange(100_000).tolist(), [0.0] * 100_000)
    assert (tmp_path / "a.ledger" / "done").stat().st_size == 100_000 * RECORD.itemsize
    assert ledger.count() == 100_000


def test_a_ledger_of_another_format_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "a.ledger"
    Ledger.open(root, FACTS, 10)
    header = json.loads((root / "header.json").read_text())
    for form, advice in ((99, "install that version"), (1, "delete .* to compute anew")):
        (root / "header.json").write_text(json.dumps({**header, "format": form}))
        with pytest.raises(StaleLedgerError, match=f"in format {form}, this is .*{advice}"):
            Ledger.open(root, FACTS, 10)


def test_failures_are_kept_until_the_next_attempt(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "a.ledger", FACTS, 10)
    ledger.note_failures([{"number": 3, "error": "OSError: full", "worker": "", "attempts": 3}])
    with (tmp_path / "a.ledger" / "failed").open("a") as file:
        file.write('{"number": 4, "err')
    assert [f["number"] for f in ledger.failures()] == [3]
    ledger.clear_failures()
    assert ledger.failures() == []
