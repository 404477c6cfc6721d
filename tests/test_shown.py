"""What notebooks show of grids, checkpoints and runs: right, and escaped."""

from html.parser import HTMLParser

import numpy as np

import volkit
from volkit.engine.base import Progress
from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.models.card import parse_card
from volkit.models.checkpoint import read_checkpoint
from volkit.testing.blocks import NEIGHBOUR_SUM

VOID = {"img", "br", "meta", "input"}


class Balanced(HTMLParser):
    """Refuses markup whose elements do not close as they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def words(html: str) -> str:
    """The text of balanced markup."""
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return " ".join(parser.text)


def test_a_grid_says_what_blocks_cost() -> None:
    grid = Grid(Box((2, 0, 0), (12, 8, 8)), (4, 8, 8), halo=(1, 0, 0))
    said = words(grid._repr_html_())
    reads = sum(block.read.size for block in grid)  # counted block by block
    assert f"{reads / grid.domain.size:.3g}" in said
    assert "[2:12, 0:8, 0:8]" in said
    assert "3 x 1 x 1 = 3" in said
    assert "last block 2 x 8 x 8 voxels" in said


def test_a_grid_of_very_many_blocks_is_shown_at_once() -> None:
    grid = Grid(Box.from_shape((10**6, 10**6, 10**6)), (64, 64, 64), halo=(8, 8, 8))
    assert f"= {len(grid):,}" in words(grid._repr_html_())


def test_a_checkpoint_shows_its_card() -> None:
    card = read_checkpoint("builtin:boundaries-specimen")
    said = words(card._repr_html_())
    for text in (card.description, card.licence, card.architecture, card.sha256):
        assert " ".join(text.split()) in " ".join(said.split())
    told = {
        "weights": "w.pt", "sha256": "0" * 64, "architecture": "unet", "channels": [1, 1],
        "window": [4, 4, 4], "description": "<script>alert(1)</script>",
    }  # fmt: skip
    html = parse_card(told, "net.yaml")._repr_html_()
    assert "<script>" not in html
    assert "<script>alert(1)</script>" in words(html)


def test_a_run_shows_how_far_it_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 12), dtype=np.uint8)
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    run = tmp_path / "a<b>run"
    JobEngine(run).map(NEIGHBOUR_SUM, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sums")
    html = volkit.read_status(run)._repr_html_()
    said = words(html)
    assert "finished" in said
    assert "3 of 3" in said
    assert 'max="3" value="3"' in html
    assert "<b>" not in html
    marks = run / "sums.ledger" / "done"
    marks.write_bytes(marks.read_bytes()[:-9])  # torn by a kill
    said = words(volkit.read_status(run)._repr_html_())
    assert "2 of 3" in said
    assert "not finished" in said


def test_progress_is_lines_where_there_is_no_terminal(capsys) -> None:
    with volkit.progress() as show:
        show(Progress("prob", 4, 4, 4096, 0, 2.0))
    assert "4/4 blocks, done in 0:02" in capsys.readouterr().out
