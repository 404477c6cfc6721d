"""The segmentation bench runs and compares results; how fast anything is, no test asks."""

import cc3d
import dask.array as da
import numpy as np
import pytest

from volkit.bench import segmentation, segmentation_components, segmentation_growth
from volkit.bench import segmentation_kernels as kernels
from volkit.bench.harness import BENCHES, run_case
from volkit.bench.tissue import cells


def named(module, text: str):
    (found,) = [case for case in module.cases(quick=True) if text in case.name]
    return found


def test_cases_of_both_sizes_have_targets_and_names_of_their_own() -> None:
    assert BENCHES["segmentation"] == segmentation.__name__
    for quick, targets in ((True, 16), (False, 17)):
        found = list(segmentation.cases(quick=quick))
        assert len({case.name for case in found}) == len(found)
        assert len([case for case in found if case.target]) == targets


@pytest.mark.parametrize("text", ["seeded watershed", "EM-like", "small cells", "waterz whole"])
def test_kernels_agree_with_their_peers(text: str, capfd) -> None:
    row = run_case(named(kernels, text), rounds=1)
    assert row.skipped or (row.value > 0 and row.agrees)
    assert capfd.readouterr().out == ""


def test_components_are_those_of_dask_image() -> None:
    pytest.importorskip("dask_image")
    found = [c for c in segmentation_components.cases(quick=True) if "dask-image" in c.name]
    rows = [run_case(case, rounds=5) for case in found]  # it refuses another partition
    assert [row.rounds for row in rows] == [1, 1]
    assert all(row.value > 0 for row in rows)


def test_dask_image_labels_once_for_both_rows_in_blocks_of_the_target() -> None:
    peers = []

    class Peer:
        def label(self, mask):
            peers.append(mask.chunksize)
            found = cc3d.connected_components(mask.compute(scheduler="sync"), connectivity=6)
            return da.from_array(found, chunks=mask.chunks), found.max()

    values = np.random.default_rng(2).random((12, 12, 12), np.float32)
    site = segmentation_components._Chunks(values, da.from_array(values, chunks=4), Peer())
    lazily, memory = [
        c for c in segmentation_components.cases(quick=False) if "dask-image" in c.name
    ]
    assert "512³ in 128³" in lazily.name
    assert lazily.target == 300
    assert lazily.ours(site) > 0
    assert lazily.ours(site) > 0  # as the harness does: the first call is the round
    assert memory.ours(None) > 0
    assert peers == [(4, 4, 4)]


@pytest.mark.parametrize("text", ["in memory", "store to store, 1", "64 bits stored by both, pro"])
def test_components_agree_with_those_of_the_whole(text: str) -> None:
    (case, *_) = [c for c in segmentation_components.cases(quick=True) if text in c.name]
    row = run_case(case, rounds=1)
    assert row.value > 0
    assert row.agrees


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        "components",
        "affinities to labels",
        "affinities to labels by boxes",
        "mutex watershed of basins by boxes",
    ],
)
def test_growth_is_measured_once_and_told_in_several_rows(what: str) -> None:
    found = [c for c in segmentation_growth.cases(quick=True) if c.name.startswith(f"{what},")]
    rows = {case.name: run_case(case, rounds=5) for case in found}
    assert len(rows) == 8
    assert all(row.rounds == 1 and row.value > 0 for row in rows.values())
    small, large = (
        rows[f"{what}, time of a voxel at {n}³, all processes"].value for n in (64, 128)
    )
    ratio = rows[f"{what}, store to store, time of a voxel, 128³ / 64³"].value
    assert ratio == pytest.approx(large / small)
    peaks = [rows[f"{what}, memory of a worker at its peak, at {n}³"].value for n in (64, 128)]
    assert min(peaks) > 50  # MB: the packages alone are more
    ratio = rows[f"{what}, memory of a worker at its peak, 128³ / 64³"].value
    assert ratio == pytest.approx(peaks[1] / peaks[0])
    beyond = [
        rows[f"{what}, memory of a worker beyond its start, at {n}³"].value for n in (64, 128)
    ]
    assert all(more < peak for more, peak in zip(beyond, peaks, strict=True))


def test_cells_fill_the_volume() -> None:
    found = cells(32, radius=4)
    assert found.all()
    assert 4 < len(np.unique(found)) < 200
