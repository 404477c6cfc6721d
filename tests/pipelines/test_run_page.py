"""The page of a run: finished, failed, half written, and of very many blocks."""

import json
import re
import shutil
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.cli import main
from volkit.engine.job import JobEngine
from volkit.engine.ledger import RECORD, Ledger, _check
from volkit.engine.op import Op
from volkit.engine.queue import Retries
from volkit.engine.stages import note_stage
from volkit.errors import BlockFailedError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.pipelines.failure import recorded
from volkit.pipelines.run_history import StageHistory, history
from volkit.pipelines.run_page import leave_page, write_run_page
from volkit.testing.blocks import fail_at


def test_a_finished_run_tells_what_ran_and_what_came_out(finished, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run, ignore=shutil.ignore_patterns("*.zarr", "*.exchange"))
    path = write_run_page(run)
    text = path.read_text()
    assert path == run / "report" / "index.html"
    assert re.search(r'role="status">finished<|class="good" role="status">finished', text)
    for title in ("Scores", "Pictures", "When", "Stages", "Slowest blocks", "Made from"):
        assert f">{title}</h2>" in text
    score = json.loads((run / "report" / "scores.json").read_text())["rand"]["f_score"]
    assert f'<td>rand.f_score</td><td class="number">{score:.4g}</td>' in text
    assert 'alt="figure: the volumes of the run beside each other on the planes xy, xz' in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "http-equiv" not in text
    shown = write_run_page(run, live=True).read_text()
    assert "http-equiv" not in shown  # it has ended


def test_a_run_that_failed_says_where_and_why(tmp_path) -> None:
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 12), dtype=np.uint8)
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    grid = Grid(raw.domain, (4, 4, 4))
    run = tmp_path / "run"
    op = Op(fail_at, dtype=np.uint8, params={"number": 1})
    with pytest.raises(BlockFailedError, match="poisoned"), recorded(run, lambda: "sums"):
        JobEngine(run, retries=Retries(2)).map(op, raw, grid=grid, name="sums")
    leave_page(run)
    text = (run / "report" / "index.html").read_text()
    assert ">failed in sums<" in text
    assert "Blocks that were set aside" in text
    assert "[0:4, 0:4, 4:8]" in text


def test_a_folder_without_a_run_gets_no_page(tmp_path) -> None:
    leave_page(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SourceError, match="there is no run in"):
        write_run_page(tmp_path)
    with pytest.raises(SourceError, match=r"is no folder of this machine, where a page could be"):
        write_run_page("memory://nothing/run")


def test_what_is_half_written_is_left_out(finished, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run, ignore=shutil.ignore_patterns("*.zarr", "*.exchange"))
    for name in ("run.json", "scores.json"):
        (run / "report" / name).write_text('{"rand": {')
    (run / "report" / "torn.csv").write_text("a,b\n1")
    (run / "report" / "torn.csv.json").write_text('{"columns": []}')
    done = run / "labels.ledger" / "done"
    done.write_bytes(done.read_bytes()[:-9])
    text = write_run_page(run).read_text()
    assert ">not finished<" in text
    assert "torn.csv is not shown" in text
    assert ">Scores</h2>" not in text


def test_busy_blocks_are_counted_as_time_goes() -> None:
    """Compared with a count at every hundredth of a second."""
    rng = np.random.default_rng(0)
    started = rng.random(300) * 80
    finished = started + rng.random(300) * 20
    one = StageHistory("a", started.min(), finished.max(), started, finished, 8.0)
    found = history([one], bins=20)
    edges = np.linspace(one.begin, one.end, 21)
    fine = (np.linspace(a, b, 2000, endpoint=False) for a, b in pairwise(edges))
    for times, busy in zip(fine, found.busy, strict=True):
        counted = [((started <= t) & (finished > t)).sum() for t in times]
        assert busy == pytest.approx(np.mean(counted), rel=0.02)
    width = edges[1] - edges[0]
    assert (found.blocks_per_second * width).sum() == pytest.approx(300)
    assert (found.voxels_per_second * width).sum() == pytest.approx(2400)
    assert history([]) is None


def synthetic_run(folder: Path, blocks: int) -> Path:
    """A run of four stages, as ledgers tell it."""
    side = round(blocks ** (1 / 3)) + 1
    rng = np.random.default_rng(0)
    for number in range(4):
        grid = Grid(Box.from_shape((side * 64,) * 3), (64, 64, 64))
        domain = [[0, 0, 0], list(grid.domain.stop)]
        facts = {"kernel": "k", "dtype": "uint8", "domain": domain, "block_shape": [64, 64, 64]}
        name = f"stage_{number}"
        ledger = Ledger.open(folder / f"{name}.ledger", facts, len(grid))
        note_stage(Place.at(folder), name)
        records = np.zeros(len(grid) - 40, RECORD)
        records["number"] = rng.permutation(len(grid))[: len(records)]
        records["seconds"] = rng.gamma(2, 3, len(records))
        records["finished"] = (
            1_700_000_000 + 20_000 * number + np.sort(rng.integers(0, 20_000, len(records)))
        )
        records["check"] = _check(records)
        (folder / f"{name}.ledger" / "done").write_bytes(records.tobytes())
        left = np.setdiff1d(np.arange(len(grid)), records["number"])
        ledger.note_failures(
            [{"number": int(n), "error": f"<b>no memory</b>\nin block {n}", "attempts": 3}
             for n in left]
        )  # fmt: skip
    return folder


def test_a_run_of_many_blocks_makes_a_light_page(tmp_path, capsys) -> None:
    """10^5 blocks in each of four stages; the time is printed, the size is what counts."""
    run = synthetic_run(tmp_path / "run", 100_000)
    (run / "report").mkdir()
    rows = 300_000
    objects = pd.DataFrame({"id": np.arange(rows), "voxels": np.arange(rows) % 977})
    objects.to_csv(run / "report" / "objects.csv", index=False)
    begun = time.perf_counter()
    path = write_run_page(run)
    with capsys.disabled():
        sys.stdout.write(f" page of 4 x 10^5 blocks: {time.perf_counter() - begun:.1f} s, ")
        sys.stdout.write(f"{path.stat().st_size / 1e6:.2f} MB ")
    text = path.read_text()
    assert path.stat().st_size < 10_000_000
    assert "103,783" in text or "103,823" in text  # 47^3, less 40
    assert "160 rows" in text  # of failures
    assert "<b>no" not in text
    assert "the first 100,000 of 300,000 rows" in text


def test_the_command_writes_the_page(finished, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run, ignore=shutil.ignore_patterns("*.zarr", "*.exchange"))
    for arguments in (["report", str(run)], ["report", str(run), "--watch", "--every", "0.1"]):
        (run / "report" / "index.html").unlink(missing_ok=True)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert "report/index.html" in capsys.readouterr().out
        assert (run / "report" / "index.html").exists()
