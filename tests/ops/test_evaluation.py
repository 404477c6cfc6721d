"""Evaluation: no grid and no engine shows, peers agree, and what cannot be aligned is refused."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information
from sklearn.metrics.cluster import contingency_matrix

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.kernels.border import thinned
from volkit.ops import evaluation
from volkit.ops.evaluation import EvaluationOptions
from volkit.testing.strategies import label_volumes, probability_maps

SHAPE = (3, 8, 9)
RNG = np.random.default_rng(12)
TRUTH = np.kron(RNG.integers(0, 4, (2, 3, 4)), np.ones((2, 4, 3), int)).astype(np.uint32)
PRED = np.where(RNG.random(TRUTH.shape) < 0.8, TRUTH, RNG.integers(0, 7, TRUTH.shape))
BOUNDARY = np.clip((TRUTH == 0) * 0.6 + RNG.random(TRUTH.shape) * 0.5, 0, 1).astype(np.float32)

block_shapes = st.tuples(*(st.integers(1, n) for n in SHAPE))


OPTIONS = ("kind", "thresholds", "channel", "truth_boundary", "voxel_size_nm")


def evaluate(pred, truth, **given):
    how = {name: given.pop(name) for name in OPTIONS if name in given}
    return evaluation.evaluate(pred, truth, options=EvaluationOptions(**how), **given)


def now(value):
    return value.compute(scheduler="sync") if hasattr(value, "compute") else value


def equal(one, two) -> bool:
    tables = [(one.objects, two.objects), (one.segments, two.segments)]
    return one == two and all(np.array_equal(a[name], b[name]) for a, b in tables for name in a)


@settings(max_examples=10)
@given(
    label_volumes(SHAPE, dtype=np.uint64),
    label_volumes(SHAPE),
    block_shapes,
    st.sampled_from(["volkit", "cremi", "isbi2012"]),
)
def test_labels_score_the_same_on_every_grid(true, pred, block_shape, convention) -> None:
    true[0] = max(1, true.flat[0])  # one object reaches through a section, so that something counts
    options = {"convention": convention, "voxel_size_nm": (40, 20, 20)}
    whole = now(evaluate(pred, true, **options))
    grid = Grid(Box.from_shape(SHAPE), block_shape)
    assert equal(now(evaluate(pred, true, grid=grid, **options)), whole)


@settings(max_examples=8)
@given(probability_maps(SHAPE, levels=9), label_volumes(SHAPE, dtype=np.uint8), block_shapes)
def test_a_boundary_map_scores_the_same_on_every_grid(prob, true, block_shape) -> None:
    true[0, 0, :2] = 1, 0
    options = {"thresholds": (0.1, 0.25, 0.5, 0.9), "kind": "boundary"}
    whole = now(evaluate(prob, true, **options))
    grid = Grid(Box.from_shape(SHAPE), block_shape)
    found = now(evaluate(prob, true, grid=grid, **options))
    assert found == whole
    assert found.sections == whole.sections


def test_a_job_finds_the_same_and_keeps_its_table(tmp_path) -> None:
    volumes = []
    for name, values in (("pred", PRED), ("truth", TRUTH), ("map", BOUNDARY)):
        volume = create_volume(tmp_path / f"{name}.zarr", shape=values.shape, dtype=values.dtype)
        volume.write(volume.domain, values)
        volumes.append(volume)
    told = []
    engine = JobEngine(tmp_path / "job", on_progress=told.append)
    grid = Grid(Box.from_shape(TRUTH.shape), (2, 5, 12))
    assert equal(evaluate(*volumes[:2], grid=grid, engine=engine), now(evaluate(PRED, TRUTH)))
    found = evaluate(volumes[2], volumes[1], grid=grid, engine=engine, name="map")
    assert found == now(evaluate(BOUNDARY, TRUTH))
    assert len(told) > 0
    again = len(told)
    evaluate(*volumes[:2], grid=grid, engine=engine)
    assert sum(state.done > state.resumed for state in told[again:]) == 0


def test_peers_agree_and_their_swapped_names_are_known() -> None:
    found = now(evaluate(PRED, TRUTH, convention="skimage")).volume
    error, recall, precision = adapted_rand_error(TRUTH, PRED, ignore_labels=(0,))
    # scikit-image counts pairs of different voxels; the sums of n^2 are of a table of scikit-learn.
    matrix = contingency_matrix(TRUTH[TRUTH > 0], PRED[TRUTH > 0]).astype(object)
    both, true, pred = ((m**2).sum() for m in (matrix, matrix.sum(1), matrix.sum(0)))
    assert found.rand.f_score == 2 * both / (true + pred)
    assert (found.rand.split, found.rand.merge) == (both / true, both / pred)
    n = (TRUTH > 0).sum()
    assert ((both - n) / (true - n), (both - n) / (pred - n)) == pytest.approx((recall, precision))
    assert error == pytest.approx(found.rand.adapted_rand_error, abs=0.01)
    counts = TRUTH > 0
    split, merge = variation_of_information(TRUTH[counts], PRED[counts])
    assert (found.voi.split, found.voi.merge) == pytest.approx((split, merge), abs=1e-12)


def test_cremi_leaves_out_what_is_near_borders_and_its_own_background() -> None:
    true = np.full((1, 9, 9), 3, np.uint64)
    true[:, :, 5:] = 4
    true[:, 0] = 2**64 - 1
    found = now(
        evaluate(np.ones((1, 9, 9), int), true, convention="cremi", voxel_size_nm=(40, 20, 20))
    )
    # 25 nm are 1.25 voxels: columns 3 to 6 and rows 0 to 2 are borders, or next to one.
    assert found.volume.rand.voxels == 5 * 6
    assert found.objects["id"].tolist() == [3, 4]
    assert found.cremi_score > 0
    with pytest.raises(ConfigError, match="the voxel size is not known"):
        evaluate(np.ones((1, 9, 9), int), true, convention="cremi")


def test_isbi_scores_sections_of_a_mask_with_thin_borders() -> None:
    truth = np.ones((2, 8, 9), np.uint8) * 255
    truth[:, :, 4] = 0
    prob = np.zeros(truth.shape, np.float32)
    prob[:, :, 3:6] = 0.75  # too thick
    found = now(evaluate(prob, truth, convention="isbi2012"))
    assert found.curve is not None
    assert len(found.curve.thresholds) == 9
    thin = thinned(np.where(prob[0] < 0.5, ndimage.label(prob[0] < 0.5)[0], 0)[None])[0]
    assert np.count_nonzero(thin == 0) == 8
    assert found.curve.scores[4].f_score > 0.99
    assert found.curve.scores[8].merge == pytest.approx(0.5, abs=0.02)
    labels = now(evaluate(ndimage.label(prob[0] < 0.5)[0][None], truth[:1], convention="isbi2012"))
    assert labels.main.rand.f_score == found.curve.scores[4].f_score


def test_an_inverted_map_is_noticed() -> None:
    assert now(evaluate(BOUNDARY, TRUTH)).boundary.separation > 0.9
    found = now(evaluate(1 - BOUNDARY, TRUTH))
    assert any("looks inverted; score 1 - map" in warning for warning in found.warnings)
    edges = now(evaluate(BOUNDARY, TRUTH + 1))  # without label 0, edges are the boundary
    assert edges.truth_boundary == "edges"


def test_a_mask_of_boundaries_is_a_truth_for_pixels_alone() -> None:
    found = now(evaluate(BOUNDARY, TRUTH == 0))
    assert found.curve is None
    assert found.truth_boundary == "mask"
    assert found.boundary == now(evaluate(BOUNDARY, TRUTH)).boundary


def stored(path, values, **where):
    volume = create_volume(path, shape=values.shape, dtype=values.dtype, **where)
    volume.write(volume.domain, values)
    return volume


def test_volumes_are_aligned_by_their_coordinates(tmp_path) -> None:
    size = (40.0, 8.0, 8.0)
    pred = stored(tmp_path / "pred.zarr", PRED, voxel_size_nm=size)
    truth = stored(
        tmp_path / "truth.zarr", TRUTH[1:, 2:], voxel_size_nm=size, origin_nm=(40.0, 16.0, 0.0)
    )
    expected = now(evaluate(PRED[1:, 2:], TRUTH[1:, 2:]))
    for engine in (None, JobEngine(tmp_path / "job")):
        found = now(evaluate(pred, truth, engine=engine))
        assert found.volume == expected.volume
        assert any("only [1:4, 2:12, 0:12] is in both" in note for note in found.warnings)
        assert found.objects["z_start"].min() == 1  # coordinates of the prediction
    shifted = open_volume(str(tmp_path / "truth.zarr"))
    assert now(evaluate(pred, shifted, box=Box((1, 2, 0), (2, 4, 12)))).volume.rand.voxels == (
        np.count_nonzero(TRUTH[1, 2:4])
    )


def test_data_arrays_are_aligned_by_their_coordinates() -> None:
    def framed(values, start):
        coords = {
            axis: (np.arange(n) + first) * 8.0
            for axis, n, first in zip("zyx", values.shape, start, strict=True)
        }
        return xr.DataArray(values, dims=("z", "y", "x"), coords=coords)

    found = now(evaluate(framed(PRED, (0, 0, 0)), framed(TRUTH[1:, :, :9], (1, 0, 0))))
    assert found.volume == now(evaluate(PRED[1:, :, :9], TRUTH[1:, :, :9])).volume
    with pytest.raises(GeometryError, match="no coordinate z in common"):
        evaluate(framed(PRED, (0, 0, 0)), framed(TRUTH, (9, 0, 0)))
    with pytest.raises(GeometryError, match="not the same voxels"):
        evaluate(framed(PRED, (0, 0, 0)), framed(TRUTH, (0.5, 0, 0)))
    chunked = [da.from_array(x, chunks=c) for x, c in ((PRED, (2, 6, 7)), (TRUTH, (4, 12, 5)))]
    assert now(evaluate(*chunked)).volume == now(evaluate(PRED, TRUTH)).volume


@pytest.mark.parametrize(
    ("pred", "truth", "message"),
    [
        (PRED, TRUTH[1:], "and arrays do not say where they lie"),
        (PRED, 0 * TRUTH, "holds no object that counts, only background"),
        (BOUNDARY, 0 * TRUTH, "0 of interior"),
        (PRED, TRUTH.astype(float), "the truth is float64, which are no labels"),
        (-1 - PRED, TRUTH, "predicted labels hold the negative id"),
        (BOUNDARY, -1 - TRUTH.astype(np.int64), "true labels hold the negative id"),
    ],
)
def test_what_cannot_be_scored_is_refused(pred, truth, message) -> None:
    with pytest.raises(GeometryError, match=message):
        now(evaluate(pred, truth))


def test_volumes_that_do_not_match_are_refused_with_advice(tmp_path) -> None:
    fine = stored(tmp_path / "a.zarr", PRED, voxel_size_nm=(8, 8, 8))
    coarse = stored(tmp_path / "b.zarr", TRUTH, voxel_size_nm=(16, 16, 16))
    with pytest.raises(GeometryError, match=r"has voxels of \(8.0, 8.0, 8.0\) nm and"):
        evaluate(fine, coarse)
    half = stored(tmp_path / "c.zarr", TRUTH, voxel_size_nm=(8, 8, 8), origin_nm=(4, 0, 0))
    with pytest.raises(GeometryError, match="no whole number; resample"):
        evaluate(fine, half)
    far = stored(tmp_path / "d.zarr", TRUTH, voxel_size_nm=(8, 8, 8), origin_nm=(800, 0, 0))
    with pytest.raises(GeometryError, match="no voxel in common"):
        evaluate(fine, far)
    with pytest.raises(GeometryError, match=r"box \[0:9, 0:9, 0:9\] is not inside"):
        evaluate(fine, fine, box=Box.from_shape((9, 9, 9)))
    silent = stored(tmp_path / "e.zarr", TRUTH)
    assert any("states no voxel size" in n for n in now(evaluate(fine, silent)).warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "ours"}, "convention 'ours' is unknown; choose one of volkit"),
        ({"kind": "image"}, "kind is 'image'"),
        ({"kind": "boundary", "thresholds": (0.5, 0.2)}, "do not ascend"),
        ({"kind": "boundary", "thresholds": (0.0, 0.2)}, "reach from 0 to 0.2"),
        ({"kind": "boundary", "truth_boundary": "all"}, "truth_boundary is 'all'"),
        ({"kind": "boundary", "convention": "cremi"}, "scores labels in 3D"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(PRED.astype(np.uint8), TRUTH, **options)


def test_suspicious_inputs_are_named() -> None:
    found = now(evaluate((0 * PRED).astype(np.uint8), TRUTH > 0))
    said = " ".join(found.warnings)
    assert "uint8 and taken for labels" in said
    assert "the truth has one object" in said
    assert "the prediction holds no segment" in said
