"""A run that is refused as stale names the keys of the workflow that have changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from volkit.engine.ledger import Ledger
from volkit.errors import RunLockedError, SourceError, StaleLedgerError
from volkit.pipelines.changed_keys import TOLD, keys_named
from volkit.pipelines.registry import read_workflow
from volkit.testing.workflows import tiny_workflow

Says = Callable[..., str]
PART = ("--local", "--set", "input.box={start: [0, 0, 0], stop: [12, 16, 20]}")


def test_keys_of_the_file_are_named_and_nothing_that_a_person_did_not_write(
    tmp_path: Path, tells: Says
) -> None:
    tiny = tiny_workflow(tmp_path)
    tells("run", tiny, *PART)
    changed = (
        *PART,
        "--set",
        "segment.fragments.seeds.threshold=0.4",
        "--set",
        "score.true_zero=segment",
    )
    said = tells("run", tiny, *changed, code=1)
    told = "run holds a run with other settings: score.true_zero: ignore became segment; segment.fr"
    assert told in said
    assert "segment.fragments.seeds.threshold: 0.5 became 0.4. Set them back" in said
    assert "anew what is stale (--replace); volkit reprocess makes a version beside it" in said
    assert not any(inner in said for inner in ("params.", "shared.", "ledger"))
    assert "segment.fragments.seeds.threshold: 0.5 became 0.4" in tells("status", tmp_path / "run")
    # Nothing was computed: as it was, the run goes on, and so it does with what decides no voxel.
    assert "labels 1/1 blocks, was done" in tells("run", tiny, *PART, "--set", "infer.batch=1")
    assert json.loads((tmp_path / "run" / TOLD).read_text())["infer"]["batch"] == 1


def test_a_note_is_left_by_who_has_done_something(tmp_path: Path) -> None:
    workflow, part = (read_workflow(tiny_workflow(tmp_path), told) for told in ((), PART[2:]))
    note = tmp_path / "run" / TOLD
    with pytest.raises(SourceError, match="gone"), keys_named(workflow):
        raise SourceError("gone")
    assert not note.exists()
    Ledger.open(tmp_path / "run" / "prob.ledger", {"a": 1}, 1)
    with keys_named(part):
        pass
    before = note.read_text()
    for refused in (SourceError, RunLockedError):
        with pytest.raises(refused, match="gone"), keys_named(workflow):
            raise refused("gone")
    assert note.read_text() == before
    with pytest.raises(StaleLedgerError, match=r"input\.box: .* became None"), keys_named(workflow):
        raise StaleLedgerError("shared.0.table: a became b")
    with pytest.raises(KeyboardInterrupt), keys_named(workflow):
        raise KeyboardInterrupt
    with pytest.raises(StaleLedgerError, match=r"shared\.0\.table"), keys_named(workflow):
        raise StaleLedgerError("shared.0.table: a became b")  # no key of a person explains it
    note.write_text("half a no")
    with pytest.raises(StaleLedgerError, match=r"shared\.0\.table"), keys_named(workflow):
        raise StaleLedgerError("shared.0.table: a became b")
