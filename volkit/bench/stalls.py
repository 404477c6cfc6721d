"""Stall tables: beside a plain loop, one pass without dropout, and a skeleton of the whole.

Times are processor times, of one thread; other users of the machine hardly count.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, peak_megabytes
from volkit.bench.peers import peer_module
from volkit.engine.job import JobEngine
from volkit.geometry import Box, Coord, Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.kernels.vessel_outline import outlined, segment_voxels
from volkit.ops.stall_cuboids import CuboidReader
from volkit.ops.stall_prediction import PredictionOptions, predict
from volkit.ops.stall_segments import SegmentRule, stall_segments
from volkit.ops.stall_sources import VolumeClips
from volkit.ops.vessel_graph import VesselOptions, label_segments, segment_frame, vessel_graph
from volkit.testing.stall_folds import write_folds
from volkit.testing.stalls import stall_specimen
from volkit.testing.vessels import vessel_tree

_GRAPH, _QUICK_GRAPH, _TREE = 512, 96, 128
_SIZE = (1500.0, 500.0, 500.0)
_FOLDS, _WINDOW, _GROUP = 2, (24, 40, 40), 8
_NETWORK: dict[str, Any] = {
    "size": {"stem": 16, "growth": 16, "blocks": [3, 3, 3]},
    "units": 64,
}  # as shipped
_PUBLISHED: dict[str, Any] = {"size": {}, "units": 512}
_NEAR = 1e-3  # of probabilities: the peer's greys are rounded after another interpolation
_ALIKE = 0.03  # of lengths: ours end in the centres of junctions
_RAW = VesselOptions(halo=(8, 8, 8), spurs=None)  # three radii of the widest vessel


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench stalls``."""
    copies = 1 if quick else 2
    yield Case(
        "segments, store to table / loop of read, crop, predict",
        ours=_table,
        peer=_plain_loop,
        setup=partial(_volume, copies, passes=0),
        target=3,
        agree=_same_answers,
        most_rounds=3,
    )
    yield from _dropout(quick=quick)
    yield Case(
        "memory of Python and NumPy, all segments / a quarter, the largest ones",
        ours=_table,
        peer=partial(_table, share=4),
        setup=partial(_volume, copies, passes=5, largest_first=True),
        measure=peak_megabytes,
        value=_ratio,
        target=1.1,
        better="lower",
        most_rounds=1,
    )
    size = _QUICK_GRAPH if quick else _GRAPH
    yield Case(
        f"vessel graph {size}^3 by blocks / scikit-image skeletonize and skan on the whole",
        ours=_graph,
        peer=_skan,
        setup=partial(_tree, size),
        target=2,
        agree=_same_branches,
        most_rounds=3,
    )


def _dropout(*, quick: bool) -> Iterator[Case]:
    for name, network, window in (
        ("small network", _NETWORK, _WINDOW),
        ("DenseNet121", _NETWORK if quick else _PUBLISHED, _WINDOW if quick else (64, 64, 64)),
    ):
        yield Case(
            f"50 passes with dropout / none, {name}",
            ours=partial(_asked, passes=50),
            peer=partial(_asked, passes=0),
            setup=partial(_clips, network, window),
            value=_ratio,
            target=1.1,
            better="lower",
            agree=lambda a, b: np.array_equal(a["logits"], b["logits"]),
        )


def _ratio(ours: float, peer: float) -> float:
    return ours / peer


@contextmanager
def _volume(copies: int, *, passes: int, largest_first: bool = False) -> Iterator[SimpleNamespace]:
    """Store copies of a specimen and their segments; what is measured begins with cuboids."""
    from volkit.ops.stall_ensemble import StallEnsemble, read_folds

    torch, skimage = peer_module("torch", "torch"), peer_module("skimage.transform", "bench")
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder, specimen = Path(name), stall_specimen(seed=902)
        box, times = Box.from_shape(specimen.shape), (1, copies, copies)
        image = _stored(folder / "image.zarr", np.tile(specimen.image(box), times))
        seen = np.tile(specimen.mask(box), times).astype(np.uint8)
        mask = _stored(folder / "mask.zarr", seen)
        engine, grid = JobEngine(folder / "graph"), Grid(mask.domain, (72, 96, 96))
        graph = vessel_graph(mask, grid=grid, engine=engine)
        lines = label_segments(graph, grid=grid, engine=engine)
        segments = stall_segments(
            graph.columns, SegmentRule(), grid=grid, scale=mask.scale, volume_id="bench"
        )
        cards = write_folds(folder, count=_FOLDS, window=_WINDOW, **_NETWORK)
        yield SimpleNamespace(
            folder=folder,
            table=_rows(segments, largest_first=largest_first),
            source=VolumeClips(CuboidReader(image, mask, lines)),
            ensemble=StallEnsemble(read_folds(cards), passes=passes),
            torch=torch,
            resize=skimage.resize,
        )


@contextmanager
def _clips(network: dict[str, Any], window: Coord) -> Iterator[SimpleNamespace]:
    from volkit.kernels.clips import Clip
    from volkit.ops.stall_ensemble import StallEnsemble, read_folds

    peer_module("torch", "torch").set_num_threads(1)
    rng = np.random.default_rng(0)
    box = Box.from_shape((60, 66, 67))  # a typical clip
    clips = [Clip(rng.integers(0, 255, (3, *box.shape)).astype(np.uint8), box)]
    with TemporaryDirectory() as name:
        folds = read_folds(write_folds(Path(name), count=1, window=window, **network))
        made = {p: StallEnsemble(folds, passes=p) for p in (0, 50)}
        yield SimpleNamespace(clips=clips, ensembles=made)


@contextmanager
def _tree(size: int) -> Iterator[SimpleNamespace]:
    skeletonize = peer_module("skimage.morphology", "bench").skeletonize
    skan = peer_module("skan", "bench")
    side = min(size, _TREE)
    values = np.tile(_grown(side), (size // side,) * 3)
    with TemporaryDirectory() as name:
        mask = _stored(Path(name) / "mask.zarr", values.astype(np.uint8), size=(1000.0,) * 3)
        yield SimpleNamespace(
            folder=Path(name), mask=mask, values=values, skeletonize=skeletonize, skan=skan
        )


def _grown(side: int) -> NDArray[np.bool_]:
    """Draw one tree, which copies of it do not touch."""
    shape = (side, side, side)
    tree, values = vessel_tree(shape, seed=3, segments=511), np.zeros(shape, bool)
    for block in Grid(Box.from_shape(shape), (64, 64, 64)):
        values[block.write.slices] = tree.mask(block.write)
    return values


def _stored(path: Path, values: NDArray[Any], *, size: tuple[float, ...] = _SIZE) -> Volume:
    volume = create_volume(
        path,
        shape=values.shape,
        dtype=values.dtype,
        voxel_size_nm=(size[0], size[1], size[2]),
        chunk_shape=(64, 64, 64),
    )
    volume.write(volume.domain, values)
    return volume


def _rows(segments: Any, *, largest_first: bool) -> dict[str, NDArray[Any]]:
    """List segments as they lie, or so that a share of them needs as much memory as all."""
    frame = segments.frame
    extent = [frame[f"{a}1"] - frame[f"{a}0"] for a in "zyx"]
    if largest_first:
        frame = frame.iloc[np.argsort(-extent[0] * extent[1] * extent[2], kind="stable")]
    names = ["segment_id", *(f"{a}{n}" for a in "zyx" for n in (0, 1))]
    line_id, line_of = segments.became
    columns = {name: np.asarray(frame[name]) for name in names}
    return {**columns, "line_id": line_id, "line_of": line_of}


def _table(d: SimpleNamespace, *, share: int = 1) -> dict[str, NDArray[Any]]:
    """Predict the segments, or a share of them, in a fresh job."""
    count = len(d.table["segment_id"]) // share
    part = {n: c if n.startswith("line") else c[:count] for n, c in d.table.items()}
    how = PredictionOptions(group=_GROUP)
    with TemporaryDirectory(dir=d.folder) as folder:
        found: dict[str, NDArray[Any]] = predict(
            part, d.source, d.ensemble, engine=JobEngine(Path(folder)), options=how
        )
    return found


def _plain_loop(d: SimpleNamespace) -> dict[str, NDArray[Any]]:
    """Read, crop and predict segment by segment, window by window."""
    from volkit.models.module_loading import read_module

    networks = [read_module(card).eval() for card in d.ensemble.checkpoints]
    said = []
    for row, segment in enumerate(d.table["segment_id"]):
        window = d.resize(
            _cropped(d, row, int(segment)).astype(np.float32),
            (3, *_WINDOW),
            order=1,
            mode="edge",
            anti_aliasing=False,
        )
        x = (np.rint(window) - 114.5) / 57.4
        answers = []
        for network in networks:
            for view in d.ensemble.views:
                turned = d.torch.from_numpy(np.ascontiguousarray(view.apply(x), np.float32))
                with d.torch.inference_mode():
                    answers.append(float(network(turned[None]).sigmoid()))
        said.append(np.mean(answers))
    order = np.argsort(d.table["segment_id"])
    return {"segment_id": d.table["segment_id"][order], "p_stalled": np.array(said)[order]}


def _cropped(d: SimpleNamespace, row: int, segment: int) -> NDArray[np.uint8]:
    box = Box(
        *(tuple(int(d.table[f"{a}{n}"][row]) for a in "zyx") for n in (0, 1))  # type: ignore[arg-type]
    )
    reader = d.source.reader
    image, mask, lines = (v.read(box) for v in (reader.image, reader.mask, reader.lines))
    return outlined(image, segment_voxels(mask > 0, lines, segment, spacing=(1.5, 0.5, 0.5)))


def _same_answers(ours: dict[str, NDArray[Any]], peer: dict[str, NDArray[Any]]) -> bool:
    return np.array_equal(ours["segment_id"], peer["segment_id"]) and np.allclose(
        ours["p_stalled"], peer["p_stalled"], atol=_NEAR
    )


def _asked(d: SimpleNamespace, *, passes: int) -> Any:
    return d.ensembles[passes].logits(d.clips, range(len(d.clips)))


def _graph(d: SimpleNamespace) -> tuple[int, float]:
    side = min(256, d.mask.shape[0] // 2)
    grid = Grid(d.mask.domain, (side, side, side))
    with TemporaryDirectory(dir=d.folder) as folder:
        made = vessel_graph(d.mask, options=_RAW, grid=grid, engine=JobEngine(Path(folder)))
    frame = segment_frame(made.columns)
    return len(frame), float(frame["length_um"].sum())


def _skan(d: SimpleNamespace) -> tuple[int, float]:
    skeleton = d.skeletonize(d.values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        table = d.skan.summarize(d.skan.Skeleton(skeleton), separator="-")
    return len(table), float(table["branch-distance"].sum())


def _same_branches(ours: tuple[int, float], peer: tuple[int, float]) -> bool:
    return ours[0] == peer[0] and abs(ours[1] - peer[1]) <= _ALIKE * peer[1]
