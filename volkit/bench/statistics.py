"""Statistics of tissue beside the libraries that do the same, and beside reading alone.

Times are processor times: threads count in full, and other users of the machine hardly at all.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.bench import statistics_growth
from volkit.bench.harness import Case, peak_megabytes, told
from volkit.bench.memory import held
from volkit.bench.peers import peer_module
from volkit.engine.allocator import keep_memory
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Coord, Grid, VoxelScale
from volkit.io.open import create_volume, open_volume
from volkit.io.volume import Volume
from volkit.kernels.object_shape import centroids, covariances, principal_axes
from volkit.kernels.object_table import add_objects, object_sums
from volkit.ops.statistics import Tables, table_of, tissue_tables
from volkit.pipelines.statistics_cells import write_cells
from volkit.pipelines.statistics_chain import Inputs
from volkit.pipelines.statistics_config import Statistics, StatisticsInput
from volkit.testing.cell_lattice import PITCH, CellLattice

_SIZE, _QUICK_SIZE = 512, 128
_NAMES = ("label", "area", "bbox", "centroid", "intensity_mean", "inertia_tensor")
_CLASSES = (1, 2, 3)


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench statistics``."""
    size = _QUICK_SIZE if quick else _SIZE
    yield Case(
        "object table by blocks / scikit-image regionprops_table",
        ours=partial(_by_blocks, block=size // 4),
        peer=_regionprops,
        setup=partial(_cells, size, "skimage.measure"),
        target=20,
        agree=_same_objects,
        most_rounds=3,  # the peer takes half a minute
    )
    yield Case(
        "object table by blocks / cc3d.statistics",
        ours=partial(_boxes_by_blocks, block=size // 4),
        peer=lambda d: cc3d.statistics(d.labels),
        setup=partial(_cells, size, "cc3d"),
        target=1.2,
        agree=lambda a, b: np.array_equal(a["voxels"], b["voxel_counts"][a["id"]]),
    )
    yield from _passes(size)
    yield from statistics_growth.cases(quick=quick)
    yield Case(
        "grids whose tables differ from those of the whole",
        ours=_grids_that_differ,
        setup=partial(_cells, min(size, 256), "numpy"),
        measure=lambda call: float(call()),
        unit="grids",
        target=0,
        better="lower",
    )


def _passes(size: int) -> Iterator[Case]:
    for name, shapes in (("fractions", ()), ("fractions, surface, length", _CLASSES)):
        yield Case(
            f"gridded {name} in one pass, reading included / reading alone",
            ours=partial(_gridded, shapes=shapes),
            peer=_read,
            setup=partial(_stored, size),
            value=lambda ours, read: read / ours,
            target=0.5,
        )
    for times in (2, 4):  # 8 and 64 times the voxels, in the same blocks
        yield Case(
            f"memory of a worker over {times * size // 4}^3 voxels, more than over {size // 4}^3",
            ours=partial(_more_held, times=times),
            setup=partial(_repeated, size // 4),
            measure=told,
            unit="MB",
            target=8,
            better="lower",
            most_rounds=1,
        )
    yield Case(
        f"memory for the table of {size // 4}^3 cells / of {size // 8}^3",
        ours=partial(_table_of_cells, side=size // 4, across=size // 16),
        peer=partial(_table_of_cells, side=size // 8, across=size // 16),
        setup=_folder,
        measure=peak_megabytes,
        value=lambda ours, peer: ours / peer,
        target=1.2,
        better="lower",
        most_rounds=1,
    )


def _tissue(size: int) -> NDArray[np.uint8]:
    """Make smooth blobs of three classes, which fill two fifths."""
    rng = np.random.default_rng(0)
    small = rng.standard_normal((max(size // 4, 8),) * 3, np.float32)
    field = ndimage.zoom(ndimage.gaussian_filter(small, 1, mode="wrap"), size / len(small), order=1)
    levels = np.quantile(field[::4, ::4, ::4], [0.6, 0.7, 0.85])
    return np.digitize(field, levels).astype(np.uint8)


@contextmanager
def _cells(size: int, peer: str) -> Iterator[SimpleNamespace]:
    module = peer_module(peer, "bench")
    classes = _tissue(size)
    labels = cc3d.connected_components(classes == 3, connectivity=6, out_dtype=np.uint32)
    image = np.random.default_rng(1).integers(0, 255, classes.shape, np.uint8)
    yield SimpleNamespace(classes=classes, labels=labels, image=image, peer=module)


@contextmanager
def _stored(size: int) -> Iterator[SimpleNamespace]:
    """Store classes as a job stores labels."""
    with TemporaryDirectory() as folder:
        volume = _volume(Path(folder), size, chunk=size // 8)
        volume.write(volume.domain, _tissue(size))
        yield SimpleNamespace(volume=volume, size=size, folder=Path(folder))


@contextmanager
def _repeated(size: int) -> Iterator[SimpleNamespace]:
    """Store the same classes again and again, four times along every axis."""
    with TemporaryDirectory() as folder:
        values = _tissue(size)
        volume = _volume(Path(folder), 4 * size, chunk=size // 2)
        for block in Grid(volume.domain, (size, size, size)):
            volume.write(block.write, values)
        yield SimpleNamespace(volume=volume, size=size, folder=Path(folder))


@contextmanager
def _folder() -> Iterator[SimpleNamespace]:
    with TemporaryDirectory() as folder:
        yield SimpleNamespace(folder=Path(folder))


def _volume(folder: Path, size: int, *, chunk: int) -> Volume:
    return create_volume(
        folder / "classes.zarr",
        shape=(size, size, size),
        dtype=np.uint8,
        voxel_size_nm=(10.0, 10.0, 10.0),
        chunk_shape=(chunk, chunk, chunk),
    )


def _slabs(shape: Coord, thickness: int) -> Grid:
    """Cut into slabs, which lie in memory in one piece as blocks do that were read."""
    return Grid(Box.from_shape(shape), (thickness, *shape[1:]))


def _by_blocks(d: SimpleNamespace, *, block: int) -> dict[str, Any]:
    grid = _slabs(d.labels.shape, block)
    table = add_objects(
        [
            object_sums(
                d.labels[b.write.slices], start=b.write.start, intensity=d.image[b.write.slices]
            )
            for b in grid
        ]
    )
    lengths, _ = principal_axes(covariances(table, (1, 1, 1)))
    return {**table, "centroid": centroids(table), "lengths": lengths}


def _boxes_by_blocks(d: SimpleNamespace, *, block: int) -> dict[str, Any]:
    grid = _slabs(d.labels.shape, block)
    table = add_objects([object_sums(d.labels[b.write.slices], start=b.write.start) for b in grid])
    return {**table, "centroid": centroids(table)}


def _regionprops(d: SimpleNamespace) -> Any:
    return d.peer.regionprops_table(d.labels, d.image, properties=_NAMES)


def _same_objects(ours: dict[str, Any], peer: Any) -> bool:
    return (
        np.array_equal(ours["id"], peer["label"])
        and np.array_equal(ours["voxels"], peer["area"])
        and np.allclose(ours["centroid"][:, 0], peer["centroid-0"])
        and np.allclose(ours["light"] / ours["voxels"], peer["intensity_mean"])
    )


def _gridded(d: SimpleNamespace, *, shapes: tuple[int, ...]) -> Columns:
    """Count by section and tile through the engine, from the store and into it."""
    tables = Tables((1, d.size // 2, d.size // 2), shapes=shapes)
    return _counted(d, tables, _halves(d))


def _blockwise(d: SimpleNamespace, *, times: int) -> Columns:
    """Do so with blocks of one size, in the corner of a volume, by few and large bins.

    Tables grow with bins; what else there is must not grow with the volume.
    """
    grid = Grid(Box.from_shape((times * d.size,) * 3), (d.size // 2, d.size, d.size))
    bins: Coord = (d.size, d.size, d.size)
    return _counted(d, Tables(bins, shapes=_CLASSES), grid)


def _more_held(d: SimpleNamespace, *, times: int) -> float:
    """Tell what a process of its own holds beyond what a small volume took, 10^6 bytes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_risen, d.folder, d.size, times).result()


def _risen(folder: Path, size: int, times: int) -> float:
    keep_memory()  # as `volkit run` and workers do
    d = SimpleNamespace(volume=open_volume(folder / "classes.zarr"), size=size, folder=folder)
    _blockwise(d, times=1)
    before = held("VmHWM")
    _blockwise(d, times=times)
    return (held("VmHWM") - before) / 1e6


def _table_of_cells(d: SimpleNamespace, *, side: int, across: int) -> int:
    """Write a row for each cell of a lattice, partition by partition, and add them up."""
    lattice = CellLattice((side,) * 3, (across,) * 3)
    config = Statistics(
        input=StatisticsInput(cells="lattice"),
        output=str(d.folder),
        bins=(PITCH * side,) * 3,
        distances=False,
    )
    grid = Grid(lattice.domain, lattice.domain.shape)
    inputs = Inputs({}, grid, VoxelScale((1.0, 1.0, 1.0)), physical=True)
    with TemporaryDirectory(dir=d.folder) as folder:
        found = write_cells(Path(folder), lattice, inputs, config, {})
    return int(found.totals["cells"].sum())


def _counted(d: SimpleNamespace, tables: Tables, grid: Grid) -> Columns:
    with TemporaryDirectory(dir=d.folder) as folder:
        columns: Columns = tissue_tables(
            {"classes": d.volume}, tables, grid=grid, engine=JobEngine(Path(folder))
        )
    return table_of(columns, "counts")


def _read(d: SimpleNamespace) -> Columns:
    """Read the same blocks, and look at one voxel of each."""
    touch = Reduction(_one_voxel, lambda tables: tables[0])
    with TemporaryDirectory(dir=d.folder) as folder:
        found: Columns = JobEngine(Path(folder)).reduce(
            touch, d.volume, grid=_halves(d), name="read"
        )
    return found


def _halves(d: SimpleNamespace) -> Grid:
    """Cut into thick slabs, whose halos cost little."""
    return Grid(Box.from_shape((d.size,) * 3), (d.size // 2, d.size, d.size))


def _one_voxel(block: Block, values: NDArray[Any]) -> Columns:
    return {"voxel": values[:1, 0, 0].copy()}


def _grids_that_differ(d: SimpleNamespace) -> int:
    """Count the grids that do not give the table of the whole, to the bit."""
    whole = object_sums(d.labels, intensity=d.image)
    size = len(d.labels)
    shapes: tuple[Coord, ...] = (
        (size // 2, size // 2, size // 2),
        (size // 3 + 1, size, size // 5 + 1),
        (size // 4, size // 7 + 1, size),
    )
    differ = 0
    for shape in shapes:
        parts = [
            object_sums(
                d.labels[b.write.slices], start=b.write.start, intensity=d.image[b.write.slices]
            )
            for b in Grid(Box.from_shape(d.labels.shape), shape)
        ]
        table = add_objects(parts)
        differ += any(not np.array_equal(table[name], whole[name]) for name in whole)
    return differ
