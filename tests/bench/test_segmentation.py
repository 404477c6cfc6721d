"""The segmentation bench runs and compares results; how fast anything is, no test asks."""

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
    for quick in (True, False):
        found = list(segmentation.cases(quick=quick))
        assert len({case.name for case in found}) == len(found)
        assert len([case for case in found if case.target]) == 12


@pytest.mark.parametrize("text", ["seeded watershed", "EM-like", "small cells", "waterz whole"])
def test_kernels_agree_with_their_peers(text: str, capfd) -> None:
    row = run_case(named(kernels, text), rounds=1)
    assert row.skipped or (row.value > 0 and row.agrees)
    assert capfd.readouterr().out == ""


def test_components_are_those_of_dask_image() -> None:
    row = run_case(named(segmentation_components, "dask-image"), rounds=1)
    assert row.skipped or row.value > 0  # it refuses another partition


@pytest.mark.parametrize("text", ["in memory", "store to store, 1"])
def test_components_agree_with_those_of_the_whole(text: str) -> None:
    (case, *_) = [c for c in segmentation_components.cases(quick=True) if text in c.name]
    row = run_case(case, rounds=1)
    assert row.value > 0
    assert row.agrees


@pytest.mark.slow
@pytest.mark.parametrize("what", ["components", "affinities to labels"])
def test_growth_is_measured_once_and_told_in_several_rows(what: str) -> None:
    found = [c for c in segmentation_growth.cases(quick=True) if c.name.startswith(what)]
    rows = {case.name: run_case(case, rounds=5) for case in found}
    assert len(rows) == 6
    assert all(row.rounds == 1 and row.value > 0 for row in rows.values())
    small, large = (
        rows[f"{what}, time of a voxel at {n}³, all processes"].value for n in (64, 128)
    )
    ratio = rows[f"{what}, store to store, time of a voxel, 128³ / 64³"].value
    assert ratio == pytest.approx(large / small)


def test_cells_fill_the_volume() -> None:
    found = cells(32, radius=4)
    assert found.all()
    assert 4 < len(np.unique(found)) < 200
