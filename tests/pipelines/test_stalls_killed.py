"""Films that are mended or replaced while a run of clips is killed: which are computed anew."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from volkit.engine.base import Progress
from volkit.engine.ledger import Ledger, read_header
from volkit.errors import BlockFailedError
from volkit.io.place import Place
from volkit.io.tables import read_table
from volkit.ops.stall_files import read_stalls
from volkit.ops.stall_sources import FilmClips, Unreadable, film_stamps
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.stalls_clips import clip_ids
from volkit.testing.stall_clips import write_film
from volkit.testing.stall_folds import write_folds

torch.set_num_threads(1)
WORKFLOW = Path(__file__).parents[2] / "workflows" / "stalls" / "clips.yaml"
NAMES = [f"{n}.mp4" for n in range(10)]
DAMAGED, LAST = ("0.mp4", "9.mp4"), ("1.mp4", "8.mp4")  # one early and one late of each
AFTER = 3  # clips it is killed
PROGRAM = """
import sys
from pathlib import Path
from volkit.pipelines.registry import read_workflow
workflow = read_workflow(Path(sys.argv[1]), sys.argv[2:])
workflow.pipeline.run(
    workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
)
"""


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (5, 32, 32)).astype(np.uint8)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        write_film(folder / name, frames(seed))
    pd.DataFrame({"filename": NAMES, "project_id": "P"}).to_csv(tmp_path / "clips.csv", index=False)
    return folder


def settings(tmp_path: Path, output: str) -> list[str]:
    cards = tmp_path / "folds"
    cards.mkdir(exist_ok=True)
    (card,) = write_folds(cards, count=1)
    return [
        f"input.metadata={tmp_path}/clips.csv",
        "input.labels=null",
        f"input.clips={tmp_path}/films",
        f"networks.checkpoint=[{card}]",
        "networks.calibrator=null",
        "networks.views=none",
        "networks.passes=5",
        "predict.group=1",
        "report.sheet=0",
        "cluster.workers=0",
        f"output={tmp_path / output}",
    ]


def computed(given: list[str]) -> dict[str, int]:
    """Run in this process; give the blocks that each stage computed."""
    told: dict[str, int] = {}

    def hear(state: Progress) -> None:
        told[state.stage] = state.done - state.resumed

    workflow = read_workflow(WORKFLOW, given)
    workflow.pipeline.run(
        workflow, on_progress=hear, on_message=lambda text: None, replace_stale=False
    )
    return {stage: count for stage, count in told.items() if count and "/" not in stage}


def done_of(run: Path) -> list[int]:
    place = Place.at(run / "predictions.ledger")
    header = read_header(place)
    if header is None:
        return []
    done = Ledger(place, header["total"], header["fingerprint"]).done()
    return [int(n) for n in done.nonzero()[0]]


def run_and_kill(warm_python, given: list[str], run: Path) -> list[int]:
    """Run in another process, and kill it in the middle; give the clips that were done."""
    with warm_python.begin("-c", PROGRAM, WORKFLOW, *given) as process:
        process.wait_for(lambda: len(done_of(run)) >= AFTER)
        os.kill(process.pid, signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL
    return done_of(run)


def stages_of(names: tuple[str, ...]) -> list[str]:
    return [f"predictions_{key}_" for key in clip_ids([*names]).tolist()]


def table_of(run: Path) -> pd.DataFrame:
    table, _ = read_stalls(run / "report" / "stalls.parquet")
    return table.drop(columns=["created_at", "input_version", "config_hash", "run_id"])


def test_after_sigkill_only_what_was_not_done_or_is_another_film_is_computed(
    films: Path, tmp_path: Path, warm_python
) -> None:
    whole = {name: (films / name).read_bytes() for name in DAMAGED}
    for name in DAMAGED:
        cut(films / name)
    given = settings(tmp_path, "run")
    done = run_and_kill(warm_python, given, tmp_path / "run")
    assert AFTER <= len(done) < len(NAMES) - 2
    assert {0, 1} <= {*done}
    assert not {8, 9} & {*done}

    # Mended: one that had been set aside, one that was not reached.  Replaced: the same, readable.
    for name, data in whole.items():
        (films / name).write_bytes(data)
    for seed, name in enumerate(LAST, 50):
        write_film(films / name, frames(seed)[:4])
    found = computed(given)
    assert found.pop("predictions") == len(NAMES) - len(done)
    assert [*found.values()] == [1, 1, 1, 1]
    for stage in stages_of((*DAMAGED, *LAST)):
        assert sum(name.startswith(stage) for name in found) == 1
    computed(settings(tmp_path, "fresh"))
    pd.testing.assert_frame_equal(table_of(tmp_path / "run"), table_of(tmp_path / "fresh"))
    assert computed(given) == {}


def test_a_film_that_changes_once_more_is_asked_about_once_more(
    films: Path, tmp_path: Path
) -> None:
    """Answers of a film that is not there any more are never mixed with those of others."""
    given = settings(tmp_path, "run")
    computed(given)
    before = table_of(tmp_path / "run").set_index("volume_id")["p_stalled"]
    original = (films / "4.mp4").read_bytes()
    write_film(films / "4.mp4", frames(99))
    (stage,) = computed(given)
    assert stage.startswith(*stages_of(("4.mp4",)))
    after = table_of(tmp_path / "run").set_index("volume_id")["p_stalled"]
    assert after.index[after != before].tolist() == ["4.mp4"]
    cut(films / "4.mp4")
    with pytest.raises(BlockFailedError, match=r"1 clip could not be read .*\n  4\.mp4: "):
        computed(given)
    assert "4.mp4" not in table_of(tmp_path / "run")["volume_id"].tolist()
    assert read_table(tmp_path / "run" / "report" / "set_aside.csv")[0]["filename"].tolist() == [
        "4.mp4"
    ]
    (films / "4.mp4").write_bytes(original)
    (stage,) = computed(given)
    assert stage.startswith(*stages_of(("4.mp4",)))
    again = table_of(tmp_path / "run").set_index("volume_id")["p_stalled"]
    pd.testing.assert_series_equal(again, before)


def test_a_film_of_another_stamp_is_as_unreadable(films: Path) -> None:
    names = np.array(NAMES[:2])
    table = {"filename": names, "stamp": film_stamps(films, NAMES[:2])}
    write_film(films / "1.mp4", frames(7)[:3])
    found = [clip for _, clip, _ in FilmClips(str(films)).clips(table, [0, 1])]
    assert found[0].region.shape == (5, 32, 32)
    assert found[1] == Unreadable("1.mp4 was replaced while it was worked on")
