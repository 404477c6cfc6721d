"""Evaluation of real segmentations: every stored reference number, and the curves of a real map."""

from functools import partial

import h5py
import numpy as np
import pytest
from scipy import ndimage

from volkit.io.open import open_volume
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contingency import contingency
from volkit.kernels.counted import SquareSums, square_sums
from volkit.kernels.curves import merge_curve
from volkit.kernels.relabel import renamed
from volkit.kernels.scores import rand_of_sums, rand_scores
from volkit.ops.evaluation import EvaluationOptions, evaluate
from volkit.ops.evaluation_convention import Convention
from volkit.ops.metrics import rand
from volkit.ops.segmentation import region_graph

close = partial(pytest.approx, abs=1e-9)


def scored(pred, truth, **options):
    return evaluate(pred, truth, **options).compute(scheduler="sync")


def gala(folder, name):
    return open_volume(f"{folder / 'em' / 'gala_fib' / f'train-{name}.h5'}::stack")


def fib25(folder, name):
    return open_volume(f"{folder / 'em' / 'fib25' / 'fib25_tr2_z000-124.h5'}::{name}")


def test_gala_fragments(shared_data) -> None:
    pred, truth = (gala(shared_data, f"{name}.lzf") for name in ("ws", "gt"))
    found = scored(pred, truth).volume
    assert found.rand.voxels == 932_864
    assert found.rand.adapted_rand_error == close(0.24963057874919)
    assert (found.rand.merge, found.rand.split) == (
        pytest.approx(0.98189172, abs=5e-9),
        pytest.approx(0.60719714, abs=5e-9),
    )
    assert (found.voi.split, found.voi.merge) == (close(1.33556546802), close(0.12118899461))
    pairs = rand(truth, pred, form="pairs").compute(scheduler="sync")
    assert pairs.adapted_rand_error == close(0.24963594741555)
    assert (pairs.merge, pairs.split) == (close(0.98189121530), close(0.60719030209))
    with_zero = scored(pred, truth, convention=Convention("all", true_zero="segment")).volume
    assert with_zero.rand.voxels == 1_000_000
    assert with_zero.rand.adapted_rand_error == close(0.31415567358984)
    assert (with_zero.rand.merge, with_zero.rand.split) == (
        pytest.approx(0.87902580, abs=5e-9),
        pytest.approx(0.56227454, abs=5e-9),
    )
    assert (with_zero.voi.split, with_zero.voi.merge) == (
        close(1.64268517581),
        close(0.45440487268),
    )
    pairs = rand(truth, pred, form="pairs", true_zero="segment").compute(scheduler="sync")
    assert pairs.adapted_rand_error == close(0.31416226782297)


def test_fib25_networks_and_fragments(shared_data) -> None:
    truth = fib25(shared_data, "gt_bodies")
    ffn = fib25(shared_data, "ffn_seg")
    single, one = (scored(ffn, truth, convention=c).volume for c in ("volkit", "skimage"))
    assert single.rand.voxels == 7_812_375
    assert single.rand.adapted_rand_error == close(0.17197097452336)
    assert one.rand.adapted_rand_error == close(0.20983225240303)
    assert (one.rand.merge, one.rand.split) == (close(0.85884800579), close(0.73165856030))
    assert (one.voi.split, one.voi.merge) == (close(0.84703719663), close(0.74393853557))
    pairs = rand(truth, ffn, form="pairs", pred_zero="segment").compute(scheduler="sync")
    assert pairs.adapted_rand_error == close(0.20983255064809)
    pieces = fib25(shared_data, "oversegmentation")
    found = scored(pieces, truth).volume
    assert found.rand.adapted_rand_error == close(0.41595264221876)
    assert (found.rand.merge, found.rand.split) == (close(0.95302815059), close(0.42103616320))
    assert (found.voi.split, found.voi.merge) == (close(2.52047674343), close(0.30578012583))
    pairs = rand(truth, pieces, form="pairs").compute(scheduler="sync")
    assert pairs.adapted_rand_error == close(0.41595340160531)


def test_the_line_search_of_a_real_map_is_what_labelling_it_anew_gives(shared_data) -> None:
    prob, truth = (gala(shared_data, f"{name}.lzf") for name in ("p1", "gt"))
    found = scored(prob, truth, options=EvaluationOptions(thresholds=(0.2, 0.5, 0.8)))
    true, values = truth.read(), prob.read()
    for k, threshold in enumerate(np.float32([0.2, 0.5, 0.8])):
        total = SquareSums(0, 0, 0, 0)
        for z in range(len(true)):
            pred, _ = ndimage.label(values[z] < threshold)
            table = contingency(true[z], pred)
            total += square_sums(table, true_zero="ignore", pred_zero="singletons")
        assert found.curve.scores[k] == rand_of_sums(total)
        wrong = np.mean((values >= threshold) != (true == 0))
        assert found.boundary.pixel_error[k] == pytest.approx(wrong, abs=1e-15)
    assert found.boundary.separation > 0.85
    assert found.truth_boundary == "zero"
    assert scored(1 - values, true).boundary.separation < 0.15


def test_the_agglomeration_of_real_fragments_from_one_table(shared_data) -> None:
    """Adapted Rand errors of the table in the reference, from a tree instead of relabelling."""
    pieces, prob, truth = (gala(shared_data, f"{name}.lzf") for name in ("ws", "p1", "gt"))
    graph = region_graph(pieces, prob).compute(scheduler="sync")
    edges = tuple(graph[name] for name in ("u", "v", "boundary_sum", "count"))
    ids = np.arange(204, dtype=np.uint64)
    thresholds = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    a, b, values, before = [], [], [], ids
    for t in thresholds:  # what joins up to here and not before
        after = renamed(ids, *agglomerate_mean(*edges, threshold=float(t)))
        a, b = [*a, *ids[after != before]], [*b, *after[after != before]]
        values += [t - 0.05] * np.count_nonzero(after != before)
        before = after
    table = contingency(truth.read(), pieces.read())
    found = merge_curve(table, np.array(a), np.array(b), np.array(values), thresholds)
    errors = [score.adapted_rand_error for score in found.scores]
    assert np.round(errors, 4).tolist() == [0.1484, 0.1274, 0.1112, 0.0822, 0.0783, 0.0438, 0.0333]
    assert found.segments == tuple(
        len(np.unique(renamed(ids, *agglomerate_mean(*edges, threshold=float(t))))) - 1
        for t in thresholds
    )
    assert found.scores[0] == rand_scores(
        contingency(
            truth.read(),
            renamed(pieces.read().astype(np.uint64), *agglomerate_mean(*edges, threshold=0.2)),
        )
    )


def test_ids_of_a_real_map_are_told_with_their_boxes(shared_data) -> None:
    path = shared_data / "em" / "gala_fib"
    with h5py.File(path / "train-gt.lzf.h5") as file:
        true = file["stack"][:]
    found = scored(gala(shared_data, "ws.lzf"), gala(shared_data, "gt.lzf"))
    boxes = ndimage.find_objects(true)
    for row in range(0, len(found.objects["id"]), 9):
        box = boxes[int(found.objects["id"][row]) - 1]
        assert [found.objects[f"{axis}_stop"][row] for axis in "zyx"] == [s.stop for s in box]
