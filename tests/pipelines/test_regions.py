"""The pipeline regions: the shipped workflow on synthetic tissue, and what it leaves behind."""

import json
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, GeometryError, StaleLedgerError
from volkit.io.tables import read_table
from volkit.models.tile_encoder import open_encoder
from volkit.pipelines.config import validate
from volkit.pipelines.regions import carry_out
from volkit.pipelines.regions_config import Regions
from volkit.pipelines.registry import read_workflow

WORKFLOW = Path(__file__).parents[2] / "workflows" / "statistics" / "regions.yaml"
TABLES = ("runs", "losses")
NAMES = ("cortex", "striatum", "thalamus", "zona_incerta")


def boxes(first: int, last: int) -> str:
    """One box in each quarter of x, far from the borders of the regions."""
    return json.dumps(
        {
            name: [{"start": [first, 0, 64 * k + 8], "stop": [last, 96, 64 * k + 56]}]
            for k, name in enumerate(NAMES)
        }
    )


def settings(output: Path, **more: str) -> list[str]:
    told = {
        "input.image": "specimen://tissue?shape=40,96,256&seed=3",
        "input.learn": boxes(0, 24),
        "input.judge": boxes(32, 40),
        "input.tile": "[48, 48]",
        "study.methods": "[supervised, byol, pca]",
        "study.seeds": "[0, 1]",
        "study.side": "24",
        "study.encoder": "{widths: [8, 16], blocks: [1, 1], hidden: 32, out: 16, components: 16}",
        "study.schooling": "{epochs: 3, batch: 32, average: 0.9}",
        "output": str(output),
        **more,
    }
    return [f"{key}={value}" for key, value in told.items()]


def run(output: Path, **more: str):
    said: list[str] = []
    outcome = carry_out(
        read_workflow(WORKFLOW, settings(output, **more)),
        on_progress=None,
        on_message=said.append,
        replace_stale=False,
    )
    return outcome, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    outcome, said = run(folder)
    assert len(said) == 6
    assert [row[0] for row in outcome.scores] == ["supervised", "byol", "pca"]
    return folder


def test_accuracies_are_those_of_the_confusions(folder) -> None:
    runs, _, provenance = read_table(folder / "report" / "runs.csv")
    summary, _, _ = read_table(folder / "report" / "summary.csv")
    confusion = json.loads((folder / "report" / "confusion.json").read_text())
    assert confusion["regions"] == list(NAMES)
    for row in summary.itertuples():
        table = np.array(confusion["confusion"][row.method])
        assert table.sum(axis=1).tolist() == [2 * 2 * 8] * 4  # seeds, tiles, sections
        assert row.accuracy == pytest.approx(table.trace() / table.sum())
        mine = runs.loc[runs["method"] == row.method, "accuracy"]
        assert row.deviation == pytest.approx(np.std(mine, ddof=1))
    assert summary["accuracy"].max() > 0.5  # the regions differ in what fills them
    assert provenance["parameters"]["input"]["tile"] == [48, 48]
    assert (folder / "report" / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_losses_of_every_epoch_are_kept(folder) -> None:
    losses, _, _ = read_table(folder / "report" / "losses.csv")
    for method in ("supervised", "byol"):  # components have none
        for seed in (0, 1):
            mine = losses[(losses["method"] == method) & (losses["seed"] == seed)]
            assert mine["epoch"].tolist() == [1, 2, 3]
            assert mine["loss"].iloc[-1] < mine["loss"].iloc[0]
    assert len(losses) == 12


def test_encoders_are_kept_and_say_something_of_tiles(folder) -> None:
    tiles = np.random.default_rng(0).random((3, 1, 24, 24), np.float32)
    for name, size in (("supervised-0.yaml", 16), ("byol-1.yaml", 16), ("pca-0.npz", 16)):
        assert open_encoder(folder / "encoders" / name)(tiles).shape == (3, size)


def test_what_is_judged_is_not_trained_again(folder, tmp_path) -> None:
    (folder / "encoders" / "byol-1.json").rename(tmp_path / "byol-1.json")
    before, losses = (read_table(folder / "report" / f"{name}.csv")[0] for name in TABLES)
    _, said = run(folder)
    assert len(said) == 1
    assert said[0].startswith("byol-1: accuracy")
    assert read_table(folder / "report" / "runs.csv")[0].equals(before)
    assert read_table(folder / "report" / "losses.csv")[0].equals(losses)
    with pytest.raises(StaleLedgerError, match="is of another study"):
        run(folder, **{"study.side": "16"})


def test_keys_that_make_no_sense_are_refused(tmp_path) -> None:
    box = {"start": [0, 0, 0], "stop": [4, 48, 48]}
    tree = {
        "input": {
            "image": "a.zarr",
            "learn": {"a": [box], "b": [box]},
            "judge": {"a": [{**box, "start": [3, 0, 0]}], "b": []},
        },
        "output": str(tmp_path),
    }
    with pytest.raises(ConfigError, match="is judged by, and overlaps"):
        validate(tree, Regions, where="test")
    with pytest.raises(ConfigError, match="give two or more, the same in both"):
        validate({**tree, "input": {**tree["input"], "judge": {"a": []}}}, Regions, where="test")
    with pytest.raises(ConfigError, match="methods"):
        validate({**tree, "study": {"methods": ["simclr"]}}, Regions, where="test")
    with pytest.raises(GeometryError, match="leaves the volume"):
        run(tmp_path, **{"input.judge": boxes(39, 41)})
    with pytest.raises(ConfigError, match="holds a tile of \\(300, 48\\)"):
        run(tmp_path, **{"input.tile": "[300, 48]"})
