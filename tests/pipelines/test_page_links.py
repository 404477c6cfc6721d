"""What pages point at: worst objects and blocks, the networks of a run, targets of a bench."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from volkit.bench.harness import Report, Row
from volkit.bench.machine import Machine
from volkit.bench.page import bench_page
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.html.charts import bars
from volkit.pipelines.report import described_model
from volkit.pipelines.run_page import run_page
from volkit.pipelines.run_page_networks import networks
from volkit.pipelines.worst_objects import worst_objects, worst_rows
from volkit.testing.blocks import NEIGHBOUR_SUM

EDGES = {f"{axis}_{end}": [at, at + 4, at] for axis, at in zip("zyx", (0, 10, 20), strict=True)
         for end, at in (("start", at), ("stop", at + 5))}  # fmt: skip


@pytest.fixture
def objects() -> pd.DataFrame:
    return pd.DataFrame({"id": [5, 6, 7], "voxels": [100, 200, 300], "split": [3, 40, 0], **EDGES})


def cells(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2])
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def test_the_worst_come_first_with_the_command_that_shows_them(objects) -> None:
    rows = cells(worst_rows(objects, "split", "a run", title="Split"))
    assert [row[0] for row in rows] == ["6", "5"]  # 7 is right
    assert rows[0][1] == "40"
    assert rows[0][-1] == "<code>volkit view &#x27;a run&#x27; --at 6,16,26</code>"
    linked = cells(worst_rows(objects, "split", "run", title="Split", viewer=True))
    assert linked[1][-1].startswith('<a href="view?at=2,12,22" target="_blank"')
    nowhere = objects.assign(x_stop=[5, np.nan, 25])
    assert [row[0] for row in cells(worst_rows(nowhere, "split", "run", title="Split"))] == ["5"]
    assert worst_rows(objects.drop(columns="x_stop"), "split", "run", title="Split") == ""
    assert worst_rows(objects.assign(split=0), "split", "run", title="Split") == ""


def test_tables_of_a_report_that_are_half_written_are_passed_over(objects, tmp_path) -> None:
    objects.to_csv(tmp_path / "objects.csv", index=False)
    (tmp_path / "segments.csv").write_text("id,merged\n1")
    (tmp_path / "segments.csv.json").write_text('{"columns": []}')
    found = list(worst_objects(tmp_path, "run"))
    assert len(found) == 1
    assert "True objects that are cut into most pieces" in found[0]


def test_the_networks_of_a_run_have_their_card_on_its_page(tmp_path) -> None:
    card = read_checkpoint("builtin:boundaries-specimen")
    told = {"checkpoint": described_model(card), "parameters": {"pipeline": "x"}}
    (found,) = networks(told)
    assert "<h3>checkpoint</h3>" in found
    assert f"<dd>{card.window[0]} x {card.window[1]}" in found
    assert card.sha256 in found
    changed = {"checkpoint": {**told["checkpoint"], "sha256": "0" * 64}}
    (found,) = networks(changed)
    assert "What lies there now are other weights than those of the run." in found
    assert f"<dd>{card.window[0]} x {card.window[1]}" not in found
    gone = {"checkpoint": {**told["checkpoint"], "uri": str(tmp_path / "gone<b>.yaml")}}
    (found,) = networks(gone)
    assert "Its card cannot be read here: there is no card at" in found
    assert "gone&lt;b&gt;" in found
    both = {"networks": {**told["checkpoint"], "members": [told["checkpoint"]] * 2}}
    assert [one.partition("</h3>")[0] for one in networks(both)] == [
        "<h3>networks, member 1", "<h3>networks, member 2"]  # fmt: skip


def test_a_run_page_holds_all_of_it(objects, tmp_path) -> None:
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 12), dtype=np.uint8)
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    run = tmp_path / "run"
    JobEngine(run).map(NEIGHBOUR_SUM, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sums")
    (run / "report").mkdir()
    objects.to_csv(run / "report" / "objects.csv", index=False)
    card = read_checkpoint("builtin:boundaries-specimen")
    (run / "report" / "run.json").write_text(json.dumps({"checkpoint": described_model(card)}))
    text = run_page(Place.at(run))
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert titles == ["When", "Stages", "Worst objects", "Slowest blocks", "Tables", "Networks",
                      "Made from"]  # fmt: skip
    assert re.search(r'<progress max="3" value="3" data-stage="sums"', text)
    assert "<script>" not in text  # short tables need none, and nothing looks again
    torn = run / "report" / "run.json"
    torn.write_text(torn.read_text()[:40])
    assert "Networks" not in re.findall(r"<h2[^>]*>(.*?)</h2>", run_page(Place.at(run)))


def test_the_command_for_a_whole_run_can_be_pasted(tmp_path) -> None:
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 4), dtype=np.uint8)
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    run = tmp_path / "a run"
    JobEngine(run).map(NEIGHBOUR_SUM, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sums")
    place = Place.at(run)
    assert f"<code>volkit view &#x27;{run}&#x27;</code>" in run_page(place)
    assert '<a href="view" target="_blank" rel="noopener">open</a>' in run_page(place, viewer=True)


def test_bars_are_as_long_as_their_values() -> None:
    html = bars(
        {"half": (0.5, "1 of 2"), "three": (3.0, "6 of 2")}, title="T", mark=1.0, marked="m"
    )
    wide = [float(w) for w in re.findall(r'<rect [^>]*?width="([\d.]+)"', html)]
    assert wide[1] / wide[0] == pytest.approx(6, rel=0.01)
    at = float(re.search(r'x1="([\d.]+)"', html).group(1)) - 170
    assert at / wide[1] == pytest.approx(1 / 3, rel=0.01)
    assert 'aria-label="T. half: 1 of 2; three: 6 of 2"' in html
    assert bars({}, title="T", mark=1.0, marked="m") == ""


def test_the_page_of_a_bench_shows_what_was_reached_of_the_targets() -> None:
    rows = (
        Row("speed", "times", "higher", value=2.0, spread=0.0, target=1.0, holds=True),
        Row("memory", "MB", "lower", value=200.0, spread=0.0, target=100.0, holds=False),
        Row("size", "MB", "lower", value=5.0, spread=0.0),
    )
    page = bench_page(Report("kernels", False, rows, Machine.here()))
    assert "Against the targets" in page
    assert "speed: 2 times, wanted 1; memory: 200 MB, wanted 100" in page
    assert "size: 5" not in page
