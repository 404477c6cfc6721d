"""Scores: by hand, against scikit-image and waterz, beyond 2^53, and on real segmentations."""

from fractions import Fraction
from math import log2

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.kernels.contingency import contingency
from volkit.kernels.dice import dice_scores
from volkit.kernels.scores import rand_scores, voi_scores


def table(*rows):
    true, pred, count = zip(*rows, strict=True)
    return {"true": np.uint64(true), "pred": np.uint64(pred), "count": np.int64(count)}


@pytest.fixture
def blobs():
    rng = np.random.default_rng(3)
    true = np.kron(rng.integers(0, 5, (4, 4, 4)), np.ones((3, 3, 3), int))
    pred = np.kron(rng.integers(0, 9, (6, 6, 6)), np.ones((2, 2, 2), int))
    return true, np.where(rng.random(true.shape) < 0.7, true, pred)


def test_one_segment_over_two_halves() -> None:
    scores = rand_scores(table((1, 1, 8), (2, 1, 8)))
    assert (scores.merge, scores.split) == (0.5, 1)
    assert scores.f_score == 2 / 3
    assert scores.adapted_rand_error == pytest.approx(1 / 3, abs=1e-15)
    assert (voi_scores(table((1, 1, 8), (2, 1, 8))).merge, voi_scores(table((1, 1, 1))).total) == (
        1,
        0,
    )


def test_sixteen_single_pixels_over_two_halves() -> None:
    rows = [(1 + i // 8, 1 + i, 1) for i in range(16)]
    scores, information = rand_scores(table(*rows)), voi_scores(table(*rows))
    assert (scores.merge, scores.split) == (1, 0.125)
    assert (information.merge, information.split) == (0, 3)


def test_the_truth_itself() -> None:
    same = table((1, 7, 8), (2, 9, 5))
    for form in ("probabilities", "pairs"):
        scores = rand_scores(same, form=form)
        assert (scores.f_score, scores.split, scores.merge) == (1, 1, 1)
        assert scores.adapted_rand_error == 0
    assert voi_scores(same).total == 0


def test_unassigned_voxels_are_singletons_unless_asked() -> None:
    """Eight voxels of one object, four of them with predicted label 0."""
    halves = table((1, 0, 4), (1, 5, 4))
    # n^2: 4 single voxels and one segment of 4, over 8^2.
    assert rand_scores(halves).split == 20 / 64
    assert rand_scores(halves, pred_zero="segment").split == 32 / 64
    assert rand_scores(halves, pred_zero="ignore").split == 1
    assert voi_scores(halves).split == (4 * 1 + 4 * 3) / 8
    assert voi_scores(halves, pred_zero="segment").split == 1
    assert voi_scores(halves, pred_zero="ignore").split == 0


def test_singletons_equal_the_ids_that_they_stand_for(blobs) -> None:
    true, pred = blobs
    single = pred.copy()
    single[pred == 0] = 1000 + np.arange((pred == 0).sum())
    for form in ("probabilities", "pairs"):
        ours = rand_scores(contingency(true, pred), form=form)
        explicit = rand_scores(contingency(true, single), form=form)
        assert ours == explicit
    ours, explicit = (voi_scores(contingency(true, p)) for p in (pred, single))
    assert ours.split == pytest.approx(explicit.split, abs=1e-12)
    assert ours.merge == pytest.approx(explicit.merge, abs=1e-12)


def test_background_of_the_truth_counts_only_when_asked() -> None:
    rows = table((0, 1, 4), (1, 1, 4))
    assert rand_scores(rows).merge == 1
    assert rand_scores(rows).voxels == 4
    assert rand_scores(rows, true_zero="segment").merge == 0.5
    assert rand_scores(rows, true_zero="segment").voxels == 8
    assert voi_scores(rows, true_zero="segment").merge == 1


def test_pairs_count_two_different_voxels() -> None:
    """A segment of 3 over objects of 2 and 1: one of its three pairs is right."""
    scores = rand_scores(table((1, 1, 2), (2, 1, 1)), form="pairs")
    assert (scores.merge, scores.split, scores.f_score) == (1 / 3, 1, 0.5)


def test_single_voxels_make_no_pair() -> None:
    scores = rand_scores(table((1, 1, 1), (2, 2, 1)), form="pairs")
    assert (scores.f_score, scores.split, scores.merge, scores.adapted_rand_error) == (1, 1, 1, 0)


def test_the_convention_is_in_the_result() -> None:
    scores = rand_scores(table((1, 1, 2)), true_zero="segment", pred_zero="ignore", form="pairs")
    assert (scores.true_zero, scores.pred_zero, scores.form) == ("segment", "ignore", "pairs")
    information = voi_scores(table((1, 1, 2)))
    assert (information.true_zero, information.pred_zero) == ("ignore", "singletons")


@pytest.mark.parametrize("true_zero", ["ignore", "segment"])
def test_equals_scikit_image(blobs, true_zero) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    counted, ignored = contingency(*blobs), (0,) if true_zero == "ignore" else ()
    ours = rand_scores(counted, true_zero=true_zero, pred_zero="segment", form="pairs")
    # scikit-image calls split precision, and merge recall.
    error, split, merge = metrics.adapted_rand_error(*blobs, ignore_labels=ignored)
    assert ours.adapted_rand_error == pytest.approx(error, abs=1e-12)
    assert ours.split == pytest.approx(split, abs=1e-12)
    assert ours.merge == pytest.approx(merge, abs=1e-12)
    information = voi_scores(counted, true_zero=true_zero, pred_zero="segment")
    split, merge = metrics.variation_of_information(*blobs, ignore_labels=ignored)
    assert information.split == pytest.approx(split, abs=1e-12)
    assert information.merge == pytest.approx(merge, abs=1e-12)


def test_equals_waterz(blobs) -> None:
    waterz = pytest.importorskip("waterz")
    true, pred = blobs
    theirs = waterz.evaluate((pred + 1).astype(np.uint64), true.astype(np.uint64))
    ours = rand_scores(contingency(true, pred + 1))
    information = voi_scores(contingency(true, pred + 1))
    assert ours.split == pytest.approx(theirs["rand_split"], abs=1e-12)
    assert ours.merge == pytest.approx(theirs["rand_merge"], abs=1e-12)
    assert information.split == pytest.approx(theirs["voi_split"], abs=1e-12)
    assert information.merge == pytest.approx(theirs["voi_merge"], abs=1e-12)


counts = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 2**60)),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[:2],
)


@given(counts, st.sampled_from(["probabilities", "pairs"]))
def test_counts_of_any_size_are_exact(rows, form) -> None:
    """The same sums, in Python's own integers."""
    less = sum(n for _, _, n in rows) if form == "pairs" else 0
    both = sum(n * n for _, _, n in rows) - less
    true, pred = (
        sum(sum(row[2] for row in rows if row[axis] == i) ** 2 for i in range(4)) - less
        for axis in (0, 1)
    )
    scores = rand_scores(table(*rows), true_zero="segment", pred_zero="segment", form=form)
    assert scores.split == (float(Fraction(both, true)) if true else 1)
    assert scores.merge == (float(Fraction(both, pred)) if pred else 1)
    if true + pred:
        assert scores.adapted_rand_error == float(1 - Fraction(2 * both, true + pred))


def test_one_voxel_in_2_to_54_still_shows() -> None:
    """In float64, 2^54 + 1 is 2^54: the error would be 0."""
    scores = rand_scores(table((1, 1, 2**54), (2, 1, 1)))
    assert scores.adapted_rand_error > 0
    assert scores.adapted_rand_error == pytest.approx(2.0**-54, rel=1e-12)


def test_refuses_empty_tables_and_unknown_options() -> None:
    for score in (rand_scores, voi_scores):
        with pytest.raises(GeometryError, match="no voxel counts with true_zero='ignore'"):
            score(table((0, 1, 8)))
        with pytest.raises(GeometryError, match="true_zero is 'drop'; choose one of ignore"):
            score(table((1, 1, 8)), true_zero="drop")
        with pytest.raises(GeometryError, match="pred_zero is 'drop'; choose one of singletons"):
            score(table((1, 1, 8)), pred_zero="drop")
    with pytest.raises(GeometryError, match="form is 'half'; choose one of probabilities, pairs"):
        rand_scores(table((1, 1, 8)), form="half")


def test_dice_by_hand() -> None:
    tissue = table((0, 0, 90), (0, 1, 2), (1, 1, 6), (1, 2, 2), (2, 2, 4))
    assert dice_scores(tissue) == {1: 12 / 16, 2: 8 / 10}
    assert dice_scores(tissue, classes=(0,)) == {0: 180 / 182}
    assert np.isnan(dice_scores(tissue, classes=(7,))[7])


def read(path, *names):
    with h5py.File(path) as file:
        return [file[name][:] for name in names]


@pytest.fixture(scope="module")
def gala(shared_data):
    folder = shared_data / "em" / "gala_fib"
    (true,), (pred,) = (read(folder / f"train-{part}.lzf.h5", "stack") for part in ("gt", "ws"))
    return contingency(true, pred)


GALA = {
    ("ignore", "pairs"): 0.24963594741555,
    ("ignore", "probabilities"): 0.24963057874919,
    ("segment", "pairs"): 0.31416226782297,
    ("segment", "probabilities"): 0.31415567358984,
}


@pytest.mark.parametrize(("true_zero", "form"), list(GALA))
def test_gala_fragments_rand(gala, true_zero, form) -> None:
    scores = rand_scores(gala, true_zero=true_zero, form=form)
    assert scores.adapted_rand_error == pytest.approx(GALA[true_zero, form], abs=1e-9)
    assert scores.voxels == {"ignore": 932_864, "segment": 1_000_000}[true_zero]


def test_gala_fragments_split_and_merge(gala) -> None:
    scores = rand_scores(gala)
    assert (scores.merge, scores.split) == pytest.approx((0.98189172, 0.60719714), abs=5e-9)
    scores = rand_scores(gala, true_zero="segment")
    assert (scores.merge, scores.split) == pytest.approx((0.87902580, 0.56227454), abs=5e-9)
    scores = rand_scores(gala, form="pairs")
    assert scores.merge == pytest.approx(0.98189121530, abs=1e-9)
    assert scores.split == pytest.approx(0.60719030209, abs=1e-9)


def test_gala_fragments_information(gala) -> None:
    for true_zero, split, merge in (
        ("ignore", 1.33556546802, 0.12118899461),
        ("segment", 1.64268517581, 0.45440487268),
    ):
        scores = voi_scores(gala, true_zero=true_zero)
        assert (scores.split, scores.merge) == pytest.approx((split, merge), abs=1e-9)


@pytest.fixture(scope="module")
def fib25(shared_data):
    path = shared_data / "em" / "fib25" / "fib25_tr2_z000-124.h5"
    true, ffn, fragments = read(path, "gt_bodies", "ffn_seg", "oversegmentation")
    return {"ffn": contingency(true, ffn), "fragments": contingency(true, fragments)}


@pytest.mark.parametrize(
    ("pred", "options", "error"),
    [
        ("ffn", {"pred_zero": "segment", "form": "pairs"}, 0.20983255064809),
        ("ffn", {"pred_zero": "segment"}, 0.20983225240303),
        ("ffn", {}, 0.17197097452336),
        ("fragments", {"form": "pairs"}, 0.41595340160531),
        ("fragments", {}, 0.41595264221876),
    ],
)
def test_fib25_errors(fib25, pred, options, error) -> None:
    scores = rand_scores(fib25[pred], **options)
    assert scores.adapted_rand_error == pytest.approx(error, abs=1e-9)
    assert scores.voxels == 7_812_375


@pytest.mark.parametrize(
    ("pred", "rand", "information"),
    [
        ("ffn", (0.85884800579, 0.73165856030), (0.84703719663, 0.74393853557)),
        ("fragments", (0.95302815059, 0.42103616320), (2.52047674343, 0.30578012583)),
    ],
)
def test_fib25_split_and_merge(fib25, pred, rand, information) -> None:
    scores = rand_scores(fib25[pred], pred_zero="segment")
    assert (scores.merge, scores.split) == pytest.approx(rand, abs=1e-9)
    scores = voi_scores(fib25[pred], pred_zero="segment")
    assert (scores.split, scores.merge) == pytest.approx(information, abs=1e-9)


def test_rounding_of_voi_is_small() -> None:
    """Three equal thirds: log2(3), to the last bits."""
    assert voi_scores(table((1, 1, 5), (1, 2, 5), (1, 3, 5))).split == pytest.approx(log2(3))
