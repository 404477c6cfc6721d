"""Preprocessing of heads: a batch on two workers beside a plain loop over the same functions."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from volkit.bench.harness import Case, wall_seconds
from volkit.engine.job import JobEngine
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.place import Place
from volkit.io.scan_files import read_acquired
from volkit.io.scan_table import ListedScan
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions
from volkit.ops.bias_field import BiasOptions
from volkit.ops.scan_batch import ScanJob, prepare_scans, scan_columns, scan_key
from volkit.ops.scan_chain import ChainOptions, PreparedScan, prepare_scan
from volkit.pipelines.cluster import ClusterOptions, workers
from volkit.testing.heads import Scanner, head
from volkit.testing.heads_drawing import Anatomy

_WORKERS = 2
_TARGET = 1.8
_PLAIN = BiasOptions(method="none")
_N4 = BiasOptions()  # as real heads want it


def preprocessing_cases(*, quick: bool) -> Iterator[Case]:
    """Make the cases of a batch beside a loop, without and with N4.

    Both sides do the same to the same scans and write the same files; N4 has one thread on both.
    Workers are started before, as one starts Python before a loop, and both sides have prepared
    their first scans.

    Parameters
    ----------
    quick : bool
        Smaller heads, and fewer.
    """
    for bias, said, count in ((_PLAIN, "without N4", 72), (_N4, "with N4", 8)):
        many = 4 if quick else count
        yield Case(
            f"{many} heads {said}, batch on {_WORKERS} workers / plain loop",
            ours=_batch,
            peer=_loop,
            setup=lambda bias=bias, many=many: _study(bias, many, quick=quick),  # type: ignore[misc]
            measure=wall_seconds,
            target=_TARGET,
            agree=lambda ours, peer: ours == peer,
            most_rounds=3,
        )


@contextmanager
def _study(bias: BiasOptions, count: int, *, quick: bool) -> Iterator[SimpleNamespace]:
    """Write heads of about 1 mm, packed as studies keep them, and start workers."""
    size, shape = (3.6, (52, 56, 48)) if quick else (1.1, (170, 184, 157))
    drawn = head(Anatomy.drawn(1), 0.4, seed=2, scanner=Scanner(shape=shape, voxel_size_mm=size))
    options = ChainOptions(
        bias=bias, voxel_mm=size if quick else 1.0, shape=(32, 32, 32) if quick else (128, 128, 128)
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        scans = [_written(folder, drawn, number) for number in range(count)]
        client = stack.enter_context(workers(ClusterOptions(workers=_WORKERS)))
        client.wait_for_workers(_WORKERS)
        data = SimpleNamespace(
            folder=folder, scans=scans, options=options, client=client, runs=iter(range(1000))
        )
        first = SimpleNamespace(**{**vars(data), "scans": scans[:_WORKERS]})
        for side in (_batch, _loop):
            side(first)
        yield data


def _written(folder: Path, drawn: Any, number: int) -> ListedScan:
    """Write a head again with other noise: another scan for whoever works on it."""
    noise = np.random.default_rng(number).integers(-5, 6, drawn.image.shape)
    image = np.clip(drawn.image + noise, 0, None).astype(np.int16)
    path, mask = folder / f"head-{number:02d}.nii.gz", folder / f"brain-{number:02d}.nii.gz"
    path.write_bytes(gzip.compress(scan_bytes(image, drawn.affine), 1, mtime=0))
    mask.write_bytes(gzip.compress(scan_bytes(drawn.brain, drawn.affine), 1, mtime=0))
    name = f"head-{number:02d}"
    return ListedScan(name, name, "", "AD", str(path), {"brain": str(mask)})


def _batch(d: SimpleNamespace) -> list[str]:
    """Prepare all scans as the pipeline does; give what was made."""
    target = d.folder / f"run-{next(d.runs)}"
    job = ScanJob(d.options, Place.at(target), OpenOptions())
    engine = JobEngine(target, d.client)
    found = prepare_scans(scan_columns(d.scans, job.options), job, engine=engine)
    return [str(sha256) for sha256 in found["sha256"]]


def _loop(d: SimpleNamespace) -> list[str]:
    """Prepare one scan after the other, and write what a training needs."""
    target = d.folder / f"loop-{next(d.runs)}"
    (target / "scans").mkdir(parents=True)
    (target / "masks").mkdir()
    made = []
    for scan in d.scans:
        masks = {name: read_acquired(uri) for name, uri in scan.masks.items()}
        prepared: PreparedScan = prepare_scan(read_acquired(scan.uri), d.options, masks=masks)
        data = scan_bytes(prepared.values, prepared.affine)
        (target / scan_key(scan.scan)).write_bytes(data)
        for name, mask in prepared.masks.items():
            path = target / "masks" / f"{scan.scan}-{name}.nii"
            path.write_bytes(scan_bytes(mask, prepared.affine))
        made.append(digest(data))
    return made
