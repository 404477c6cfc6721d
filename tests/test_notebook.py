"""What a real Jupyter kernel shows: volumes, runs, grids, and progress that moves in its place."""

import re
from textwrap import dedent
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = {
    "volume": """
        import numpy as np
        import volkit
        from volkit.testing.blocks import NEIGHBOUR_SUM
        size = (40, 8, 8)
        em = volkit.create_volume("em.zarr", shape=(8, 16, 24), dtype="u1", voxel_size_nm=size)
        em.write(em.domain, np.arange(8 * 16 * 24, dtype=np.uint8).reshape(8, 16, 24))
        em
    """,
    "grid": "grid = volkit.Grid(em.domain, (4, 8, 8)); grid",
    "engine": """
        with volkit.progress() as show:
            engine = volkit.JobEngine("run", on_progress=show)
            sums = engine.map(NEIGHBOUR_SUM, em, grid=grid, name="sums")
    """,
    "many": """
        from volkit.engine.base import Progress
        with volkit.progress() as show:
            for done in range(0, 2001, 10):
                show(Progress("prob", done, 2000, 10 * done, 0, 1.0 + done))
            show(Progress("region_graph.parts/1", 1, 1, 0, 0, 0.1))  # nobody wants to hear of it
            show(Progress("a<b", 1, 2, 10, 0, 1.0))
            show(Progress("a<b", 2, 2, 20, 0, 2.0))
    """,
    "run": 'volkit.read_status("run")',
    "checkpoint": 'volkit.read_checkpoint("builtin:boundaries-specimen")',
}


class Watched(NotebookClient):
    """A client that counts how often each cell changes an output."""

    changes: dict[int, int]

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "update_display_data":
            self.changes[cell_index] = self.changes.get(cell_index, 0) + 1
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, int]]:
    """The outputs of the cells, and how often those of each changed."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "work").mkdir()
    cells = [nbformat.v4.new_code_cell(dedent(code)) for code in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:  # the user's own settings stay out of it
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        for name in ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(folder / "home"))
        client = Watched(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder / "work")}},
        )
        client.changes = {}
        client.execute()
    outputs = {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}
    names = list(CELLS)
    return outputs, {names[index]: count for index, count in client.changes.items()}


def html(outputs: Any) -> str:
    """What a browser shows of the one output of a cell."""
    (output,) = outputs  # and neither a warning nor a line of text beside it
    assert output.output_type in ("display_data", "execute_result"), output
    return str(output.data["text/html"])


def test_things_show_themselves(executed: Any) -> None:
    outputs, _ = executed
    volume = html(outputs["volume"])
    assert "40 x 8 x 8 nm" in volume
    assert 'src="data:image/png;base64,' in volume
    assert "2 x 2 x 3 = 12" in html(outputs["grid"])
    run = html(outputs["run"])
    assert "finished" in run
    assert re.search(r'<progress max="12" value="12"[^>]*>12 of 12</progress>', run)
    assert "residual_unet3d" in html(outputs["checkpoint"])


def test_progress_of_an_engine_ends_full(executed: Any) -> None:
    outputs, _ = executed
    shown = html(outputs["engine"])
    assert re.search(r'<progress max="12" value="12" aria-label="sums done">', shown)
    assert "done in " in shown


def test_bars_move_in_their_place_and_not_with_every_block(executed: Any) -> None:
    outputs, changes = executed
    shown = html(outputs["many"])
    assert "2,000 of 2,000" in shown
    assert "a&lt;b" in shown
    assert "2 of 2" in shown
    assert "parts/1" not in shown
    # The last state of each stage, and of the 201 others what fits into the time they take.
    assert 2 <= changes["many"] < 20
