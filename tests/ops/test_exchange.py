"""Exchange at seams: every window once, and the bytes of the whole volume."""

import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.cluster import local_client
from volkit.engine.exchange import FINISHED
from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.stages import find_stages
from volkit.errors import BlockFailedError, GeometryError
from volkit.geometry import Box, Grid, Windows
from volkit.geometry.over_blocks import network_passes
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

RAW = np.random.default_rng(7).random((13, 15, 19)).astype(np.float32)
SEEN: list[int] = []
BOTH = threading.Barrier(2, timeout=60)


def ramp(batch):
    """A network whose answer depends on the position inside the window, so wrong seams show."""
    SEEN.append(len(batch))
    position = np.indices(batch.shape[2:]).sum(0)
    return np.concatenate([batch[:, :1] + position, np.ones_like(batch[:, :1])], axis=1)


def network(window=(6, 8, 6), margin=(0, 0, 0), model=ramp) -> Network:
    return Network(model, window, margin, 2)


def run(folder, *, block_shape, net=None, raw=RAW, on_progress=None, **options):
    SEEN.clear()
    volume = open_volume(raw)
    engine = JobEngine(folder, on_progress=on_progress)
    grid = Grid(volume.domain, block_shape)
    result = infer(
        volume, net or network(), options=InferenceOptions(**options), grid=grid, engine=engine
    )
    return result.read(), sum(SEEN)


@given(
    block_shape=st.tuples(st.integers(4, 14), st.integers(5, 16), st.integers(4, 20)),
    window=st.tuples(*[st.integers(3, 9)] * 3),
    margin=st.integers(0, 1),
    stride=st.tuples(*[st.integers(1, 7)] * 3),
    weights=st.sampled_from(["gaussian", "linear", "hann", "pyramid", "pyramid-published"]),
    padding=st.sampled_from(["reflect", "none"]),
)
@settings(max_examples=12)
def test_every_window_once_and_the_bytes_of_the_whole(
    tmp_path_factory, block_shape, window, margin, stride, weights, padding
) -> None:
    window = tuple(n + 2 * margin for n in window)
    stride = tuple(min(s, n - 2 * margin) for s, n in zip(stride, window, strict=True))
    options = {"stride": stride, "weights": weights, "padding": padding}
    net = network(window, (margin,) * 3)
    root = tmp_path_factory.mktemp("run")
    whole, least = run(root / "whole", block_shape=RAW.shape, net=net, **options)
    cut, passes = run(root / "cut", block_shape=block_shape, net=net, seams="exchange", **options)
    np.testing.assert_array_equal(cut, whole)
    assert passes == least == len(Windows(open_volume(RAW).domain, window, stride, (margin,) * 3))


def test_recompute_gives_the_same_bytes_at_more_windows(tmp_path: Path) -> None:
    options = {"block_shape": (5, 7, 9), "stride": (3, 4, 3)}
    once, least = run(tmp_path / "a", seams="exchange", **options)
    again, passes = run(tmp_path / "b", seams="recompute", **options)
    np.testing.assert_array_equal(once, again)
    windows = Windows(open_volume(RAW).domain, (6, 8, 6), (3, 4, 3))
    assert least == len(windows)
    assert passes == network_passes(windows, Grid(windows.domain, (5, 7, 9))) > least


def test_auto_exchanges_where_it_saves_windows(tmp_path: Path) -> None:
    run(tmp_path / "pays", block_shape=(5, 7, 9), stride=(3, 4, 3))
    assert (tmp_path / "pays" / "prob.exchange" / FINISHED).exists()
    run(tmp_path / "one", block_shape=RAW.shape, stride=(3, 4, 3))
    assert not (tmp_path / "one" / "prob.exchange").exists()


def test_auto_exchanges_where_a_thin_last_block_could_not_be_recomputed() -> None:
    """A block of one voxel behind one of 400: dask gives no halo that is wider than a chunk."""
    raw = np.random.default_rng(3).random((401, 8, 8), np.float32)
    options = {"stride": (4, 4, 4)}
    tanh = Network(np.tanh, (8, 8, 8))
    chunks = da.from_array(raw, chunks=(400, 8, 8))
    thin = infer(chunks, tanh, options=InferenceOptions(**options))
    whole = infer(da.from_array(raw), tanh, options=InferenceOptions(**options))
    np.testing.assert_array_equal(*(r.compute(scheduler="sync") for r in (thin, whole)))
    with pytest.raises(GeometryError, match="thinner than the halo"):
        infer(chunks, tanh, options=InferenceOptions(**options, seams="recompute")).compute()


def meets(batch):
    """A network that answers once two blocks have come to it."""
    BOTH.wait()
    return batch


def test_blocks_are_read_and_written_beside_the_network(tmp_path: Path) -> None:
    """Two blocks at a time: while one waits inside its network, the other one begins."""
    raw = np.zeros((4, 4, 8), np.float32)
    options = {"stride": (4, 4, 4), "seams": "recompute"}
    run(tmp_path, block_shape=(4, 4, 4), raw=raw, net=Network(meets, (4, 4, 4)), **options)
    assert BOTH.n_waiting == 0


def test_a_first_run_resumes_nothing(tmp_path: Path) -> None:
    """Strips arrive late, and blocks are finished afterwards: this is no resumption."""
    heard = []
    options = {"stride": (3, 4, 3), "seams": "exchange", "on_progress": heard.append}
    run(tmp_path, block_shape=(2, 1, 2), raw=RAW[:5, :6, :7], **options)
    assert {(state.resumed, state.total) for state in heard if state.stage == "prob"} == {(0, 72)}
    assert heard[-1].done == 72


def test_blocks_smaller_than_a_window_and_than_a_stride(tmp_path: Path) -> None:
    raw = RAW[:5, :6, :7]
    options = {"stride": (3, 4, 3), "raw": raw}
    whole, least = run(tmp_path / "a", block_shape=raw.shape, **options)
    cut, passes = run(tmp_path / "b", block_shape=(2, 1, 2), seams="exchange", **options)
    np.testing.assert_array_equal(cut, whole)
    assert passes == least


class KilledError(Exception):
    """Stands for the end of the process."""


def test_a_killed_exchange_evaluates_no_window_twice(tmp_path: Path) -> None:
    options = {"stride": (3, 4, 3), "seams": "exchange", "blocks_at_once": 1}
    undisturbed, least = run(tmp_path / "a", block_shape=(5, 7, 9), **options)
    volume, total, attempts = open_volume(RAW), 0, 0

    def stop(progress) -> None:
        if progress.done > progress.resumed and attempts < 3:
            raise KilledError

    engine = JobEngine(tmp_path / "b", on_progress=stop)
    grid = Grid(volume.domain, (5, 7, 9))
    while attempts < 4:
        SEEN.clear()
        attempts += 1
        try:
            result = infer(
                volume, network(), options=InferenceOptions(**options), grid=grid, engine=engine
            )
        except KilledError:
            continue
        finally:
            total += sum(SEEN)
    assert attempts == 4
    np.testing.assert_array_equal(result.read(), undisturbed)
    assert total == least


def test_a_kill_between_the_two_marks_of_a_block(tmp_path: Path, monkeypatch) -> None:
    raw = RAW[:8, :8, :12]
    options = {"stride": (3, 4, 3), "seams": "exchange", "blocks_at_once": 1, "raw": raw}
    undisturbed, least = run(tmp_path / "a", block_shape=(5, 7, 9), **options)
    mark, marks = Ledger.mark, [0]

    def dying(self, *given) -> None:
        mark(self, *given)
        marks[0] += 1
        if marks[0] == last:
            raise KilledError

    for last in range(1, 7):
        marks[0] = 0
        monkeypatch.setattr(Ledger, "mark", dying)
        with pytest.raises(KilledError):
            run(tmp_path / str(last), block_shape=(5, 7, 9), **options)
        monkeypatch.setattr(Ledger, "mark", mark)
        total, heard = sum(SEEN), []
        result, passes = run(
            tmp_path / str(last), block_shape=(5, 7, 9), on_progress=heard.append, **options
        )
        np.testing.assert_array_equal(result, undisturbed)
        assert total + passes == least
        assert all(state.done == state.total for state in heard[-1:])


def test_a_block_is_mended_without_its_neighbours(tmp_path: Path) -> None:
    options = {"block_shape": (5, 7, 9), "stride": (3, 4, 3), "seams": "exchange"}
    before, least = run(tmp_path, **options)
    ledger = find_stages(Place.at(tmp_path))[-1].ledger
    ledger.unmark([5])
    after, passes = run(tmp_path, **options)
    np.testing.assert_array_equal(after, before)
    assert 0 < passes < least


def test_a_block_that_fails_leaves_the_rest_finished(tmp_path: Path) -> None:
    raw = RAW.copy()
    raw[0, 0, 0] = np.nan
    options = {"block_shape": (5, 7, 9), "stride": (3, 4, 3), "seams": "exchange"}
    with pytest.raises(BlockFailedError, match=r"1 block failed 3 times and was set aside: 0\."):
        run(tmp_path, raw=raw, **options)
    stage = find_stages(Place.at(tmp_path))[-1]
    done = stage.ledger.done()
    grid = Grid(open_volume(RAW).domain, (5, 7, 9))
    # What the windows of block 0 reach lacks their answers; all else is there.
    lacking = {0, *(b.number for b in grid if b.number > 0 and max(b.index) <= 1)}
    assert set((~done).nonzero()[0].tolist()) == lacking
    assert [failure["number"] for failure in stage.ledger.failures()] == [0]


def lazily(array, *, block_shape, **options):
    grid = Grid(Box.from_shape(array.shape), block_shape)
    SEEN.clear()
    result = infer(array, network(), options=InferenceOptions(**options), grid=grid)
    return result.compute(scheduler="sync"), sum(SEEN)


@given(
    block_shape=st.tuples(st.integers(2, 10), st.integers(2, 12), st.integers(2, 12)),
    stride=st.tuples(st.integers(2, 6), st.integers(3, 8), st.integers(2, 6)),
)
@settings(max_examples=10)
def test_a_lazy_graph_gives_the_same_bytes_from_volumes_and_arrays(block_shape, stride) -> None:
    """Chunks may be thinner than windows: only what windows see is cut out of neighbours."""
    raw = RAW[:9, :11, :11]
    volume = open_volume(raw)
    whole, least = lazily(volume, block_shape=raw.shape, stride=stride)
    array = da.from_array(raw, chunks=block_shape)
    for image in (volume, array):
        cut, passes = lazily(image, block_shape=block_shape, stride=stride, seams="exchange")
        np.testing.assert_array_equal(cut, whole)
        assert passes == least


def test_a_lazy_exchange_on_a_cluster() -> None:
    """Strips travel between two processes."""
    whole, _ = lazily(open_volume(RAW), block_shape=RAW.shape, stride=(3, 4, 3))
    array = da.from_array(RAW, chunks=(5, 7, 9))
    options = InferenceOptions(stride=(3, 4, 3), seams="exchange")
    with local_client(2) as client:
        result = infer(array, network(), options=options)
        np.testing.assert_array_equal(client.compute(result).result(timeout=120), whole)


def test_the_graph_has_few_tasks_per_block() -> None:
    array = da.zeros((64, 64, 64), chunks=16, dtype="float32")
    result = infer(
        array, network((8, 8, 8)), options=InferenceOptions(stride=(4, 4, 4), seams="exchange")
    )
    blocks = 4**3
    # chunk, sums, own, finish; at most seven strips and seven cuts of neighbours.
    assert len(dict(result.__dask_graph__())) <= (4 + 7 + 7) * blocks
