"""The pipeline statistics: one answer for every grid, which is that of the whole in memory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import label, regionprops_table

from volkit.errors import ConfigError, ContractError, GeometryError, StaleLedgerError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.stated_size import says_size
from volkit.io.tables import read_table
from volkit.kernels.bootstrap import ratio_interval
from volkit.ops.multiscale import pyramid
from volkit.ops.statistics_regions import Interval
from volkit.ops.vessel_graph import VesselOptions, segment_frame, vessel_graph
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.config import validate
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.statistics import carry_out, measure, plan
from volkit.pipelines.statistics_config import BranchesOptions, Statistics, StatisticsInput

SHAPE = (12, 40, 48)
SIZE = (40.0, 10.0, 8.0)
CLASSES = {"vessel": 1, "cell": 2, "axon": 3}
CORNER = Box((1, 0, 0), (12, 23, 27))
WORKFLOW = Path(__file__).parents[2] / "workflows" / "statistics" / "whole_brain.yaml"


def stored(path: Path, values, *, size=SIZE) -> str:
    volume = create_volume(
        path, shape=values.shape, dtype=values.dtype, voxel_size_nm=size, chunk_shape=(4, 10, 12)
    )
    volume.write(volume.domain, values)
    return str(path)


@pytest.fixture(scope="module")
def tissue():
    field = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 1.5)
    return np.digitize(field, np.quantile(field, [0.5, 0.6, 0.85])).astype(np.uint8)[::-1] % 4


@pytest.fixture(scope="module")
def volumes(tissue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    regions = np.broadcast_to(1 + (np.arange(48) >= 20), SHAPE).astype(np.uint16)
    image = np.random.default_rng(1).integers(0, 255, SHAPE).astype(np.uint8)
    return {
        "classes": stored(folder / "classes.zarr", tissue),
        "regions": stored(folder / "regions.zarr", regions),
        "image": stored(folder / "image.zarr", image),
    }


def options(volumes, output, **more) -> Statistics:
    told = {
        "classes": CLASSES,
        "cell_class": "cell",
        "bins": (1, 20, 24),
        "sections": True,
        "shapes": ("vessel",),
        "regions": {"left": 1, "right": 2, "nowhere": 9},
        "boxes": {"corner": CORNER},
        "interval": Interval(bins=(2, 1, 1), draws=50),
        "block_shape": (4, 20, 24),
        "cluster": ClusterOptions(workers=0),
    }
    return Statistics(input=StatisticsInput(**volumes), output=str(output), **{**told, **more})


@pytest.fixture(scope="module")
def report(volumes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    said = []
    outcome = measure(options(volumes, folder), on_message=said.append)
    return folder / "report", outcome, said


def test_cells_are_those_of_scikit_image_and_scipy_on_the_whole(report, tissue, volumes) -> None:
    cells, schema, provenance = read_table(report[0] / "cells.parquet")
    whole = label(tissue == 2, connectivity=3)
    image = open_volume(volumes["image"]).read()
    known = regionprops_table(whole, image, properties=("area", "centroid", "intensity_mean"))
    assert cells["voxels"].tolist() == known["area"].tolist()  # both by their first voxel
    assert cells["volume_nm3"].tolist() == (known["area"] * np.prod(SIZE)).tolist()
    points = np.stack([known[f"centroid-{k}"] for k in range(3)], axis=1) * SIZE
    np.testing.assert_allclose(cells[["z_nm", "y_nm", "x_nm"]], points)
    np.testing.assert_allclose(cells["intensity_mean"], known["intensity_mean"])
    near = cKDTree(points).query(points, k=4)[0][:, 1:]
    np.testing.assert_allclose(cells[[f"distance_{k}_nm" for k in (1, 2, 3)]], near)
    assert schema.columns[-1].unit == "nm"
    assert provenance["classes"] == "vessel = 1, cell = 2, axon = 3"
    assert provenance["mode"] == "corrected"


def test_fractions_are_those_of_the_whole(report, tissue) -> None:
    regions, _, _ = read_table(report[0] / "regions.csv")
    assert regions["name"].tolist() == ["left", "right", "nowhere"]
    parts = tissue[..., :20], tissue[..., 20:]
    for row, part in enumerate(parts):
        assert regions["voxels"][row] == part.size
        assert regions["axon_fraction"][row] == (part == 3).sum() / part.size
        low, high = regions.loc[row, ["axon_fraction_low", "axon_fraction_high"]]
        assert low < regions["axon_fraction"][row] < high
        for name in ("cells_per_mm3", "cell_voxels", "distance_1_nm", "distance_3_nm"):
            low, high = regions.loc[row, [f"{name}_low", f"{name}_high"]]
            assert low < regions[name][row] < high
    cells, _, _ = read_table(report[0] / "cells.parquet")
    assert regions["cells"].sum() == len(cells)
    assert regions["cells"][2] == 0
    assert np.isnan(
        regions.loc[2, ["cell_voxels", "vessel_fraction", "distance_1_nm"]].astype(float)
    ).all()
    box, _, _ = read_table(report[0] / "boxes.csv")
    corner = tissue[CORNER.slices]
    assert box["vessel_fraction"][0] == (corner == 1).mean()
    places = cells[["z", "y", "x"]].to_numpy() + 0.5
    inside = ((places >= CORNER.start) & (places < CORNER.stop)).all(axis=1)
    assert box["cells"][0] == inside.sum()
    assert box["cells_per_mm3"][0] == pytest.approx(inside.sum() / (corner.size * 40 * 10 * 8e-18))
    for k in (1, 2, 3):  # of the cells of the box, to others anywhere
        name = f"distance_{k}_nm"
        assert box[name][0] == pytest.approx(cells.loc[inside, name].mean())
    check_intervals_of_boxes(box, corner, cells[inside])


def check_intervals_of_boxes(box, corner, cells) -> None:
    """Blocks are two sections, a row and a column of bins of 20 x 24, and begin with the box."""
    voxels, number, size, near = np.zeros((4, 6, 2, 2))
    for place in np.ndindex(corner.shape):
        voxels[place[0] // 2, place[1] // 20, place[2] // 24] += 1
    for row in cells.itertuples():
        place = np.floor(np.array([row.z, row.y, row.x]) + 0.5).astype(int) - CORNER.start
        place = tuple(place // (2, 20, 24))
        number[place] += 1
        size[place] += row.voxels
        near[place] += row.distance_2_nm
    for name, above, below, unit in (
        ("cells_per_mm3", number, voxels, 1e18 / np.prod(SIZE)),
        ("cell_voxels", size, number, 1),
        ("distance_2_nm", near, number, 1),
    ):
        low, high = ratio_interval(above.ravel(), below.ravel(), draws=50)
        assert box[f"{name}_low"][0] == pytest.approx(low * unit)
        assert box[f"{name}_high"][0] == pytest.approx(high * unit)
        assert low * unit < box[name][0] < high * unit


def test_datasets_say_where_what_and_from_what(report, tissue) -> None:
    grid = xr.open_zarr(report[0] / "grid.zarr", consolidated=False).load()
    assert grid["vessel_fraction"].dims == ("z", "tile_y", "tile_x")
    assert grid["vessel_fraction"].shape == (12, 2, 2)
    assert grid["z"].attrs["units"] == "nm"
    assert grid["tile_x"].to_numpy().tolist() == [11.5 * 8, 35.5 * 8]
    assert grid["axon_fraction"][3, 1, 0] == (tissue[3, 20:, :24] == 3).mean()
    assert grid.attrs["classes"] == "vessel = 1, cell = 2, axon = 3"
    assert json.loads(grid.attrs["provenance"])["domain"] == "[0:12, 0:40, 0:48]"
    profile = xr.open_zarr(report[0] / "profile.zarr", consolidated=False).load()
    expected = [(plane == 1).mean() for plane in tissue]
    np.testing.assert_allclose(profile["vessel_fraction"], expected)
    by_region = xr.open_zarr(report[0] / "region_profiles.zarr", consolidated=False).load()
    assert dict(by_region.sizes) == {"region": 3, "z": 12}
    assert by_region.attrs["regions"] == "left = 1, right = 2, nowhere = 9"
    parts = tissue[..., :20], tissue[..., 20:]
    for n, part in enumerate(parts):
        expected = [(plane == 3).mean() for plane in part]
        np.testing.assert_allclose(by_region["axon_fraction"][n], expected)
    assert np.isnan(by_region["axon_fraction"][2]).all()
    cells, _, _ = read_table(report[0] / "cells.parquet")
    right = cells[cells["region"] == 2]
    count = np.bincount(np.floor(right["z"] + 0.5).astype(int), minlength=12)
    assert by_region["cells"][1].values.tolist() == count.tolist()
    assert by_region.attrs["classes"] == "vessel = 1, cell = 2, axon = 3"
    section = np.floor(cells["z"] + 0.5).astype(int)
    near = cells.groupby(section)["distance_2_nm"].mean().reindex(range(12))
    np.testing.assert_allclose(profile["distance_2"], near)
    assert profile["distance_2"].attrs["units"] == grid["distance_1"].attrs["units"] == "nm"
    near = right.groupby(section)["distance_3_nm"].mean().reindex(range(12))
    np.testing.assert_allclose(by_region["distance_3"][1], near)
    place = tuple(
        np.floor(cells[a] + 0.5).astype(int) // n for a, n in zip("zyx", (1, 20, 24), strict=True)
    )
    near = cells.groupby(list(place))["distance_1_nm"].mean()
    assert len(near) == (grid["cells"] > 0).sum() == grid["distance_1"].notnull().sum()
    for (z, y, x), mean in near.items():
        assert grid["distance_1"][z, y, x].item() == pytest.approx(mean)
    density = open_volume(report[0] / "density.zarr")
    assert (density.channels, density.shape) == (3, (12, 2, 2))
    assert density.voxel_size_nm == (40, 200, 192)
    assert density.origin_nm == (0, 95, 92)
    np.testing.assert_allclose(density.read()[2], grid["axon_fraction"], rtol=1e-6)


def test_figure_sections_and_words(report) -> None:
    folder, outcome, said = report
    assert said == ["classes: vessel = 1, cell = 2, axon = 3"]
    assert (folder / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert outcome.scores[0][:2] == ("classes", "vessel = 1, cell = 2, axon = 3")
    sections, schema, _ = read_table(folder / "sections.parquet")
    assert len(sections) == 12 * 4
    assert "distance_3_um" in schema.names
    shapes, _, _ = read_table(folder / "shapes.csv")
    assert shapes["class"].tolist() == ["vessel"]


@pytest.mark.parametrize(
    ("block_shape", "partition"),
    [
        ((12, 40, 48), None),
        ((8, 30, 12), None),
        ((4, 20, 24), (8, 20, 24)),
        ((4, 10, 12), (4, 20, 12)),
    ],
)
def test_every_grid_and_partition_gives_the_same(
    report, volumes, tmp_path, block_shape, partition
) -> None:
    measure(options(volumes, tmp_path, block_shape=block_shape, partition=partition))
    first, here = report[0], tmp_path / "report"
    for name in ("regions.csv", "boxes.csv", "shapes.csv", "sections.parquet"):
        known = read_table(first / name)[0]
        pd.testing.assert_frame_equal(read_table(here / name)[0], known, check_exact=True)
    grids = [xr.open_zarr(f / "grid.zarr", consolidated=False).load() for f in (first, here)]
    xr.testing.assert_equal(*grids)
    cells = read_table(first / "cells.parquet")[0]
    if partition is None:
        pd.testing.assert_frame_equal(read_table(here / "cells.parquet")[0], cells)
        return
    files = sorted((here / "cells").iterdir())
    parts = [read_table(path)[0] for path in files]
    assert len(parts) > 2
    found = pd.concat(parts).sort_values("id", ignore_index=True)
    near = [read_table(here / "distances" / path.name)[0] for path in files]
    assert [table["id"].tolist() for table in near] == [part["id"].tolist() for part in parts]
    found = found.merge(pd.concat(near), on="id")
    pd.testing.assert_frame_equal(found[list(cells.columns)], cells, check_exact=True)
    assert not (here / "points").exists()


@pytest.mark.parametrize("partition", [None, (8, 20, 24), (4, 20, 12)])
def test_totals_alone_give_the_same_tables(report, volumes, tmp_path, partition) -> None:
    """Without distances no cell is kept in memory when there are partitions."""
    config = options(volumes, tmp_path, block_shape=(4, 10, 12), partition=partition)
    measure(replace(config, distances=False))
    first, here = report[0], tmp_path / "report"
    for name in ("regions.csv", "boxes.csv"):
        known = read_table(first / name)[0]
        known = known[[c for c in known if not c.startswith("distance_")]]
        pd.testing.assert_frame_equal(read_table(here / name)[0], known, check_exact=True)
    grids = [xr.open_zarr(f / "grid.zarr", consolidated=False).load() for f in (first, here)]
    xr.testing.assert_equal(grids[0].drop_vars([f"distance_{k}" for k in (1, 2, 3)]), grids[1])
    assert (here / "figure.png").read_bytes()[:4] == b"\x89PNG"
    if partition is not None:
        files = len(list((here / "cells").iterdir()))
        assert files == np.prod([-(-n // p) for n, p in zip(SHAPE, partition, strict=True)])
        ids = [read_table(path)[0]["id"] for path in (here / "cells").glob("*.parquet")]
        cells = read_table(first / "cells.parquet")[0]
        assert sorted(np.concatenate(ids).tolist()) == cells["id"].tolist()


def test_branches_are_those_of_the_mask(volumes, tissue, tmp_path) -> None:
    config = options(volumes, tmp_path, sections=False, shapes=(), boxes={}, block_shape=SHAPE)
    config = replace(config, branches=BranchesOptions(of="vessel"))
    assert [s.name for s in plan(config).stages][2:] == [
        *("branch_mask", "skeleton_moments", "skeleton_leftovers", "skeleton", "vessel_graph"),
        "tissue",
    ]
    outcome = measure(config)
    assert {"graph", "branches"} <= dict(outcome.files).keys()
    graph = vessel_graph(tissue == 1, options=VesselOptions(), voxel_size_nm=SIZE).columns
    known = graph.compute(scheduler="sync")
    report = tmp_path / "report"
    branches, _, _ = read_table(report / "branches.parquet")
    pd.testing.assert_frame_equal(branches, segment_frame(known))
    totals, schema, _ = read_table(report / "graph.csv")
    volume = tissue.size * np.prod(SIZE) / 1e9
    assert totals["length_per_volume"][0] == pytest.approx(known["length_um"].sum() / volume)
    assert totals["class"].tolist() == ["vessel"]
    assert dict(zip(schema.names, schema.columns, strict=True))["length_um"].unit == "um"


def test_it_goes_on_where_it_was_and_refuses_what_is_stale(volumes, tmp_path) -> None:
    config = options(volumes, tmp_path, shapes=(), sections=False)
    measure(config)
    before = read_table(tmp_path / "report" / "regions.csv")[0]
    told = []
    measure(config, on_progress=told.append)
    assert sum(state.done - state.resumed for state in told) == 0
    pd.testing.assert_frame_equal(read_table(tmp_path / "report" / "regions.csv")[0], before)
    with pytest.raises(StaleLedgerError, match="records computation"):
        measure(replace(config, bins=(2, 20, 24)))


def test_the_plan_counts_what_is_read(volumes, tmp_path) -> None:
    found = plan(options(volumes, tmp_path))
    assert [s.name for s in found.stages] == [
        "cells_links",
        "cells",
        "box_corner",
        "tissue",
    ]
    assert found.problems() == []
    assert not (tmp_path / "report").exists()


def test_the_workflow_that_is_shipped_runs(volumes, tmp_path) -> None:
    workflow = read_workflow(
        WORKFLOW,
        [
            f"input.classes={volumes['classes']}",
            f"output={tmp_path}",
            "block_shape=[4,20,24]",
            "cluster.workers=0",
        ],
    )
    outcome = carry_out(
        workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
    )
    assert {name for name, _ in outcome.files} >= {
        "figure",
        "cells",
        "regions",
        "shapes",
        "density",
    }
    cells, _, _ = read_table(tmp_path / "report" / "cells.parquet")
    assert len(cells) == int(dict(row[:2] for row in outcome.scores)["cells"])


def test_instances_alone_are_enough(volumes, tmp_path, tissue) -> None:
    path = stored(tmp_path / "cells.zarr", label(tissue == 2).astype(np.uint32), size=None)
    config = options({"cells": path}, tmp_path / "run", classes={}, cell_class=None, sections=False,
                     shapes=(), boxes={})  # fmt: skip
    said = []
    outcome = measure(config, on_message=said.append)
    assert "voxel size is not stated" in said[0]
    cells, schema, _ = read_table(tmp_path / "run" / "report" / "cells.parquet")
    assert len(cells) == int(outcome.scores[0][1])
    assert not [name for name in schema.names if "nm" in name]
    assert "distance_1" in schema.names


@pytest.mark.parametrize("count", [0, 1])
def test_no_cell_and_one_cell_are_no_error(tmp_path, count) -> None:
    classes = np.zeros((4, 20, 24), np.uint8)
    classes[1, 5:7, 5:7] = 2 * count
    path = stored(tmp_path / "classes.zarr", classes)
    outcome = measure(options({"classes": path}, tmp_path / "run", boxes={}, regions={}))
    report = tmp_path / "run" / "report"
    regions, _, _ = read_table(report / "regions.csv")
    assert regions["cells"].tolist() == [count]
    assert regions["vessel_fraction"].tolist() == [0]
    assert np.isnan(regions["distance_1_nm"]).all()
    assert dict(row[:2] for row in outcome.scores)["cells"] == str(count)


def test_labels_without_a_name_are_an_error_unless_they_are_tissue(volumes, tmp_path) -> None:
    config = options(volumes, tmp_path, classes={"vessel": 1, "cell": 2}, sections=False)
    with pytest.raises(ConfigError, match="have labels that no class has: 3; classes are"):
        measure(config)
    measure(replace(config, unknown="other"))
    assert read_table(tmp_path / "report" / "regions.csv")[0]["voxels"].sum() == np.prod(SHAPE)


def test_float_labels_are_refused(tmp_path) -> None:
    path = stored(tmp_path / "classes.zarr", np.zeros((4, 20, 24), np.float32))
    with pytest.raises(ContractError, match="input.classes .* holds float32, which are not ids"):
        measure(options({"classes": path}, tmp_path / "run", boxes={}))


def test_real_images_need_a_range(volumes, tmp_path, tissue) -> None:
    path = stored(tmp_path / "image.zarr", (tissue / 4).astype(np.float32))
    config = options({**volumes, "image": path}, tmp_path / "run", sections=False, shapes=())
    with pytest.raises(ContractError, match="give intensity_range"):
        measure(config)
    measure(replace(config, intensity_range=(0.0, 1.0)))
    cells, _, _ = read_table(tmp_path / "run" / "report" / "cells.parquet")
    np.testing.assert_allclose(cells["intensity_mean"], 0.5, atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"classes": {"a": 1, "b": 1}}, "give every class its own label"),
        ({"classes": {"a b": 1}}, "names become names of columns"),
        ({"cell_class": "soma"}, "cell_class 'soma' is not among the classes"),
        ({"shapes": ["bone"]}, "shapes: bone: not among the classes"),
        ({"branches": {"of": "bone"}}, "branches.of: bone: not among the classes"),
        ({"bins": [2, 20, 24]}, "sections need bins of one section, not 2"),
        ({"bins": [0, 20, 24]}, "must be at least 1"),
        ({"partition": [5, 20, 24], "block_shape": [4, 20, 24]}, "is no multiple of block_shape"),
        ({"output": "s3://b/run"}, "give a folder of this machine"),
        ({"input": {}}, "neither classes nor cells"),
        ({"mode": "compat"}, "mode"),
        ({"conectivity": 6}, "did you mean connectivity"),
    ],
)
def test_keys_that_make_no_sense_are_refused(keys, message, tmp_path) -> None:
    tree = {
        "input": {"classes": "labels.zarr"},
        "output": str(tmp_path),
        "classes": CLASSES,
        "cell_class": "cell",
        "sections": True,
        "bins": [1, 20, 24],
    }
    with pytest.raises(ConfigError, match=message):
        validate({**tree, **keys}, Statistics, where="test")


@pytest.mark.parametrize(
    ("size", "level", "stated"), [((1, 1, 1), 0, True), (None, 0, False), (None, 1, False)]
)
def test_lengths_are_physical_where_the_size_is_stated(
    tissue, tmp_path, size, level, stated
) -> None:
    """1 nm is a size where it is written; at a coarser level 2 voxels are none."""
    path = stored(tmp_path / "bare.zarr", tissue, size=size)
    if level:
        pyramid(open_volume(path), levels=level + 1)
    config = options({"classes": path}, tmp_path / "run", bins=(1, 10, 12), shapes=(), boxes={})
    config = replace(config, input=replace(config.input, level=level))
    config = replace(config, classes={**CLASSES, "bone": 7})
    said = []
    outcome = measure(config, on_message=said.append)
    assert ("voxel size is not stated" in " ".join(said)) is not stated
    meanings = {row[0]: row[2] for row in outcome.scores}
    assert (meanings["axon"], meanings["bone"]) == ("of the voxels", "no voxel has this label")
    report = tmp_path / "run" / "report"
    _, schema, made = read_table(report / "cells.parquet")
    assert ("z_nm" in schema.names) is stated
    assert (made["voxel_size_nm"] == [1, 1, 1]) is stated
    density = open_volume(report / "density.zarr")
    assert density.voxel_size_nm == (1, 10, 12)
    assert says_size(density) is stated


def test_volumes_that_do_not_fit_are_refused(volumes, tmp_path, tissue) -> None:
    other = stored(tmp_path / "other.zarr", tissue[:4])
    with pytest.raises(GeometryError, match="input.regions .* the domain is"):
        measure(options({**volumes, "regions": other}, tmp_path / "run"))
    with pytest.raises(GeometryError, match="boxes.far .* is not inside the domain"):
        measure(options(volumes, tmp_path / "run", boxes={"far": Box((0, 0, 0), (99, 1, 1))}))
    bare = stored(tmp_path / "bare.zarr", tissue, size=None)
    with pytest.raises(ConfigError, match="does not say its voxel size"):
        measure(options({"classes": bare}, tmp_path / "run"))
    unlike = stored(tmp_path / "unlike.zarr", tissue, size=(40, 10, 9))
    with pytest.raises(GeometryError, match=r"input.regions .* of \(40.0, 10.0, 9.0\) nm"):
        measure(options({**volumes, "regions": unlike}, tmp_path / "run"))


def test_one_volume_may_say_the_voxel_size_of_all(volumes, report, tissue, tmp_path) -> None:
    bare = stored(tmp_path / "bare.zarr", tissue, size=None)
    measure(options({**volumes, "classes": bare}, tmp_path / "run"))
    found = pd.read_csv(tmp_path / "run" / "report" / "shapes.csv")
    pd.testing.assert_frame_equal(found, pd.read_csv(report[0] / "shapes.csv"))
