"""Tables of tissue: lazy and in memory, for every grid, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label

from volkit.engine.job import JobEngine
from volkit.engine.usage_note import read_usage
from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box, Grid, VoxelScale
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.kernels.bootstrap import ratio_interval
from volkit.kernels.class_statistics import section_features
from volkit.ops.statistics import Tables, add_tissue_tables, table_of, tissue_tables
from volkit.ops.statistics_cells import class_components
from volkit.ops.statistics_classes import named_counts
from volkit.ops.statistics_distances import with_distances
from volkit.ops.statistics_objects import most_shared, object_frame
from volkit.ops.statistics_regions import Interval, region_frame
from volkit.pipelines.planning import PlanEngine

SHAPE = (7, 18, 20)
CONNECTIVITY = {6: 1, 18: 2, 26: 3}


def tissue(seed: int):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1)
    return np.digitize(field, np.quantile(field, [0.5, 0.7])).astype(np.uint8)


def computed(value):
    return value.compute(scheduler="synchronous")


@settings(max_examples=15)
@given(
    st.integers(0, 5),
    st.tuples(st.integers(2, 7), st.integers(5, 18), st.integers(5, 20)),
    st.sampled_from([6, 18, 26]),
)
def test_a_cell_cut_by_blocks_counts_once_with_its_full_size(seed, block, connectivity) -> None:
    classes = tissue(seed)
    grid = Grid(Box.from_shape(SHAPE), block)
    cells = computed(class_components(classes, [2], connectivity=connectivity, grid=grid))
    whole = label(classes == 2, connectivity=CONNECTIVITY[connectivity])
    assert len(np.unique(cells)) == whole.max() + 1
    volumes = {"classes": classes, "cells": cells}
    tables = Tables((2, 6, 7), shapes=(1,), tile=(6, 7))
    columns = computed(tissue_tables(volumes, tables, grid=grid))
    assert (
        table_of(columns, "objects")["voxels"].tolist() == np.bincount(whole.ravel())[1:].tolist()
    )
    alone = computed(tissue_tables(volumes, tables, grid=Grid(Box.from_shape(SHAPE), SHAPE)))
    assert list(columns) == list(alone)
    assert all(np.array_equal(columns[name], alone[name]) for name in columns)


def test_stacked_cubes_join_cells_across_the_seam_as_published() -> None:
    """Two cells of the last section of a cube are one where the first of the next joins them."""
    stack = np.zeros((4, 8, 8), np.uint8)
    stack[1, 3, [3, 5]] = 2
    stack[2, 3, 3:6] = 2
    counts = {}
    for name, cubes in (("stacked", [stack]), ("apart", [stack[:2], stack[2:]])):
        counts[name] = []
        for cube in cubes:
            grid = Grid(Box.from_shape(cube.shape), (2, 8, 8))
            cells = computed(class_components(cube, [2], connectivity=6, grid=grid))
            tables = Tables((1, 8, 8), tile=(8, 8))
            found = computed(tissue_tables({"classes": cube, "cells": cells}, tables, grid=grid))
            features = section_features(
                table_of(found, "counts"),
                table_of(found, "sections"),
                classes={"cell": 2},
                tile=(8, 8),
                mode="published",
            )
            counts[name] += features["cells"].tolist()
    assert counts == {"stacked": [0, 1, 1, 0], "apart": [0, 2, 1, 0]}


def test_several_classes_are_one_foreground() -> None:
    classes = np.array([[[1, 2, 0, 2]]], np.uint8)
    cells = computed(
        class_components(classes, [1, 2], grid=Grid(Box.from_shape((1, 1, 4)), (1, 1, 2)))
    )
    assert cells.tolist() == [[[1, 1, 0, 4]]]


def test_cells_belong_to_the_region_that_holds_most_of_them() -> None:
    cells = np.array([[[5, 5, 5, 8, 8]]], np.uint32)
    regions = np.array([[[1, 2, 2, 4, 3]]], np.uint8)
    columns = computed(
        tissue_tables({"cells": cells, "regions": regions}, Tables((1, 1, 5)),
                      grid=Grid(Box.from_shape((1, 1, 5)), (1, 1, 2)))
    )  # fmt: skip
    overlap = table_of(columns, "overlap")
    assert most_shared(np.array([5, 8], np.uint64), overlap).tolist() == [2, 3]


def test_only_classes_are_read_beyond_blocks_and_only_where_these_begin(tmp_path) -> None:
    grid, volumes = Grid(Box.from_shape((4, 4, 12)), (4, 4, 4)), {}
    for role in ("classes", "cells"):
        volumes[role] = create_volume(
            tmp_path / f"{role}.zarr", shape=(4, 4, 12), dtype=np.uint8, chunk_shape=(4, 4, 4)
        )
        volumes[role].write(grid.domain, tissue(0)[:4, :4, :12])
    tables, run = Tables((4, 4, 12), shapes=(1,)), tmp_path / "run"
    found = tissue_tables(volumes, tables, grid=grid, engine=JobEngine(run))
    counts = read_usage(Place.at(run / "tissue.ledger")).counts
    # Of the classes a column of 4 x 4 voxels before the second and the third block.
    assert counts["bytes_read"] == 4 * 4 * (4 + 5 + 5) + 4 * 4 * 12
    assert counts["bytes_fetched"] == 64 * (1 + 2 + 2) + 64 * 3
    plan = PlanEngine(work_bytes={}, process_bytes=0)
    tissue_tables(volumes, tables, grid=grid, engine=plan)
    assert plan.stages[0].bytes_read == counts["bytes_read"]
    in_memory = {role: volume.read() for role, volume in volumes.items()}
    whole = computed(tissue_tables(in_memory, tables, grid=Grid(grid.domain, grid.domain.shape)))
    assert list(found) == list(whole)
    assert all(np.array_equal(found[name], whole[name]) for name in found)


def test_parts_with_one_origin_add_up() -> None:
    volume = open_volume(tissue(0))
    tables = Tables((2, 6, 7), origin=(0, 0, 0))
    whole = computed(tissue_tables({"classes": volume}, tables))
    boxes = Box((0, 0, 0), (3, 18, 20)), Box((3, 0, 0), SHAPE)
    parts = [
        computed(tissue_tables({"classes": volume}, tables, grid=Grid(box, (2, 9, 20))))
        for box in boxes
    ]
    added = add_tissue_tables(parts)
    assert all(np.array_equal(added[name], whole[name]) for name in whole)


def test_numbers_worked_out_by_hand() -> None:
    """Two cells of 8 and 1 voxels, 10 um apart in z, in a volume of 5 x 8 x 8 voxels."""
    cells = np.zeros((5, 8, 8), np.uint8)
    cells[0:2, 2:4, 2:4], cells[4, 2, 2] = 1, 2
    columns = computed(
        tissue_tables({"classes": (cells > 0) * 2, "cells": cells}, Tables((5, 8, 8)))
    )
    scale = VoxelScale((3000.0, 1000.0, 1000.0))
    frame = object_frame(
        table_of(columns, "objects"), domain=Box.from_shape(cells.shape), scale=scale
    )
    frame = with_distances(frame, physical=True)
    assert frame["volume_nm3"].tolist() == [8 * 3e9, 3e9]
    assert frame["at_border"].tolist() == [True, True]
    assert frame["z_nm"].tolist() == [1500, 12000]
    gap = np.hypot(10500, np.hypot(500, 500))
    np.testing.assert_allclose(frame["distance_1_nm"], gap)
    row = region_frame(
        table_of(columns, "counts"),
        frame,
        classes={"cell": 2, "vessel": 1},
        voxel_size_nm=scale.voxel_size_nm,
        interval=Interval(),
    ).iloc[0]
    assert row["cell_fraction"] == 9 / 320
    assert row["vessel_fraction"] == 0
    assert row["cells_per_mm3"] == pytest.approx(2 / (320 * 3) * 1e9)
    assert (row["cell_voxels"], row["cell_volume_um3"]) == (4.5, 13.5)
    assert np.isnan(row["distance_2_nm"])
    assert np.isnan(row["cell_fraction_low"])  # one block cannot say how blocks differ


def test_what_makes_no_sense_is_refused() -> None:
    classes = tissue(0)
    with pytest.raises(ConfigError, match="give classes, cells or both"):
        tissue_tables({"image": classes}, Tables((1, 1, 1)))
    with pytest.raises(ConfigError, match="give classes, cells or both"):
        tissue_tables({"classes": classes, "cell": classes}, Tables((1, 1, 1)))
    with pytest.raises(GeometryError, match="there is no table objects"):
        table_of({"counts.label": np.array([1])}, "objects")
    with pytest.raises(ContractError, match="connectivity is 8"):
        class_components(classes, [1], connectivity=8)
    with pytest.raises(ContractError, match="class labels are float64, which are not ids"):
        computed(class_components(classes.astype(float), [1]))
    counts = {"label": np.array([0, 1, 7]), "voxels": np.array([5, 5, 3])}
    with pytest.raises(ConfigError, match="3 voxels have labels that no class has: 7"):
        named_counts(counts, {"a": 1}, unknown="error")
    assert named_counts(counts, {"a": 1}, unknown="other") is counts


def test_intervals_of_cells_are_those_of_blocks_of_bins() -> None:
    """Two blocks of two bins each: 30 voxels with 3 cells of 4, and 50 with one cell of 8."""
    counts = {
        **dict.fromkeys(("y_bin", "x_bin", "region", "label"), np.zeros(4, np.int64)),
        "z_bin": np.arange(4),
        "voxels": np.array([10, 20, 25, 25]),
    }
    cells = pd.DataFrame(
        {
            "voxels": [4, 4, 4, 8],
            "at_border": False,
            "z_bin": [0, 1, 1, 3],
            "y_bin": 0,
            "x_bin": 0,
        }
    )
    interval = Interval(bins=(2, 1, 1), draws=200)
    how = {"classes": {"cell": 1}, "voxel_size_nm": (1000.0,) * 3, "interval": interval}
    row = region_frame(counts, cells, **how).iloc[0]
    for name, above, below, unit in (
        ("cells_per_mm3", [3, 1], [30, 50], 1e9),
        ("cell_voxels", [12, 8], [3, 1], 1),
    ):
        low, high = ratio_interval(np.array(above), np.array(below), draws=200)
        assert row[f"{name}_low"] == pytest.approx(low * unit)
        assert row[f"{name}_high"] == pytest.approx(high * unit)
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    alone = region_frame(counts, cells.assign(z_bin=0), **how).iloc[0]
    assert alone["cell_voxels"] == 5
    assert np.isnan(alone["cell_voxels_low"])  # all cells are in one block
    assert alone["cells_per_mm3_low"] == 0
    assert "cells_per_mm3_low" not in region_frame(counts, cells.drop(columns="x_bin"), **how)


def test_regions_without_cells_or_voxels_are_nan_not_errors() -> None:
    counts = {name: np.array([0]) for name in ("z_bin", "y_bin", "x_bin", "region", "label")}
    none = pd.DataFrame({"voxels": [], "at_border": [], "region": [], "distance_1_nm": []})
    frame = region_frame(
        {**counts, "voxels": np.array([10])},
        none,
        classes={"cell": 1},
        voxel_size_nm=(1.0, 1.0, 1.0),
        interval=Interval(level=0),
        names={"empty": 4},
    )
    assert frame["cells"].tolist() == [0, 0]
    assert frame["cell_fraction"][0] == 0
    assert np.isnan(frame["cell_fraction"][1])
    assert np.isnan(frame["cells_per_mm3"][1])
    assert "cell_fraction_low" not in frame
