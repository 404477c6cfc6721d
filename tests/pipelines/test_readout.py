"""The pipeline readout: regions, statistics and readout of synthetic tissue, as workflows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from volkit.errors import ConfigError
from volkit.io.open import open_volume
from volkit.io.tables import read_table
from volkit.models.tile_components import TileComponents
from volkit.pipelines.readout import carry_out, column_of, matched, plan
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.statistics import carry_out as measure

FOLDER = Path(__file__).parents[2] / "workflows" / "statistics"
TISSUE = "specimen://tissue?shape=30,64,160&seed=5"
TARGETS = ["vessel_percent", "axon_percent", "cells", "cell_size", "distance_1"]


def held_out_by_hand(rows, target, z, *, gap=3):
    """Hold six sections out five times, and fit what is more than the gap away."""
    predicted = np.empty(len(target))
    for first in range(0, 30, 6):
        inside = (z >= first) & (z < first + 6)
        far = (z < first - gap) | (z >= first + 6 + gap)
        predicted[inside] = LinearRegression().fit(rows[far], target[far]).predict(rows[inside])
    return 1 - ((target - predicted) ** 2).sum() / ((target - target.mean()) ** 2).sum()


def run(workflow: str, act, *settings: str):
    return act(
        read_workflow(FOLDER / workflow, settings),
        on_progress=None,
        on_message=lambda text: None,
        replace_stale=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readout")
    image = open_volume(TISSUE).read()
    tiles = image.reshape(30, 2, 32, 5, 32).transpose(0, 1, 3, 2, 4).reshape(-1, 1, 32, 32)
    small = tiles.reshape(-1, 1, 8, 4, 8, 4).mean((3, 5), dtype=np.float32) / 255
    TileComponents.fit(small, "pca", count=12).save(folder / "pca.npz")
    run(
        "whole_brain.yaml", measure, f"input.classes={TISSUE}&part=labels", "bins=[1,32,32]",
        "sections=true", "mode=published", "shapes=[]", "block_shape=[16,64,64]",
        "cluster.workers=0", f"output={folder}/statistics",
    )  # fmt: skip
    return folder, small


def settings(folder: Path, output: str, *more: str) -> list[str]:
    return [
        f"input.image={TISSUE}",
        f"input.features={folder}/statistics/report/sections.parquet",
        f"input.encoder={folder}/pca.npz",
        "input.tile=[32,32]",
        "input.side=8",
        "gap=3",
        "block_shape=[10,64,64]",
        f"output={folder}/{output}",
        *more,
    ]


@pytest.fixture(scope="module")
def report(made):
    folder, _ = made
    outcome = run("readout.yaml", carry_out, *settings(folder, "run"))
    assert [row[0] for row in outcome.scores] == TARGETS
    return folder / "run" / "report"


def test_scores_are_those_of_scikit_learn_on_the_same_rows(report, made) -> None:
    folder, small = made
    scores, _, provenance = read_table(report / "readout.csv")
    tiles, _, _ = read_table(folder / "statistics" / "report" / "sections.parquet")
    rows = TileComponents.read(folder / "pca.npz")(small)
    for row in scores.itertuples():
        target = tiles[column_of(row.target, tiles)].to_numpy(float)
        known = np.isfinite(target)
        fit = LinearRegression().fit(rows[known], target[known])
        assert row.published == pytest.approx(fit.score(rows[known], target[known]), abs=1e-4)
        assert row.rows == known.sum()
        assert row.held_out == pytest.approx(
            held_out_by_hand(rows[known], target[known], tiles["z"].to_numpy()[known]), abs=1e-4
        )
    assert scores.set_index("target").loc["axon_percent", "published"] > 0.4  # myelin is bright
    assert provenance["parameters"]["folds"] == 5
    assert provenance["features"]["mode"] == "published"


def test_embeddings_are_stored_with_their_tiles(report, made) -> None:
    table, _, _ = read_table(report / "embeddings.parquet")
    assert table[["z", "y_bin", "x_bin"]].iloc[-1].tolist() == [29, 1, 4]
    rows = TileComponents.read(made[0] / "pca.npz")(made[1])
    np.testing.assert_allclose(table.iloc[:, 3:].to_numpy(), rows, atol=1e-4)
    assert (report / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_every_grid_gives_the_same_table(report, made) -> None:
    folder, _ = made
    run("readout.yaml", carry_out, *settings(folder, "other", "block_shape=[7,40,33]"))
    for name in ("readout.csv", "embeddings.parquet"):
        first, second = (read_table(folder / f / "report" / name)[0] for f in ("run", "other"))
        pd.testing.assert_frame_equal(first, second)


@pytest.mark.slow
def test_a_map_by_umap_is_drawn_and_the_same_every_time(report, made) -> None:
    """The map alone differs from that of a run without; sixteen seconds go to umap's compiler."""
    folder, _ = made
    told = settings(folder, "run", "umap=true")
    without = (report / "figure.png").read_bytes()
    drawn = []
    for _ in range(2):
        run("readout.yaml", carry_out, *told)
        drawn.append((report / "figure.png").read_bytes())
    run("readout.yaml", carry_out, *settings(folder, "run"))
    assert drawn[0] == drawn[1] != without == (report / "figure.png").read_bytes()


def test_the_plan_counts_what_is_read(made) -> None:
    workflow = read_workflow(FOLDER / "readout.yaml", settings(made[0], "plan"))
    found = plan(workflow.config)
    assert [stage.name for stage in found.stages] == ["embeddings"]
    assert found.problems() == []


def test_what_does_not_fit_is_refused(made) -> None:
    folder, _ = made
    with pytest.raises(ConfigError, match="tiles have no row in the table of features"):
        run("readout.yaml", carry_out, *settings(folder, "no", "input.tile=[16,16]"))
    with pytest.raises(ConfigError, match="has no bone_percent; its columns are z"):
        run("readout.yaml", carry_out, *settings(folder, "no2", "targets=[bone_percent]"))
    with pytest.raises(ConfigError, match="2 folds or more"):
        run("readout.yaml", carry_out, *settings(folder, "no3", "folds=1"))
    with pytest.raises(ConfigError, match="has no columns z, y_bin, x_bin"):
        matched(pd.DataFrame({"a": [1]}), {})
