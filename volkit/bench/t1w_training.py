"""Training on scans beside a bare loop of PyTorch that does the same, and nothing else.

Times are processor times: what is made ready in other threads counts, too.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from volkit.bench.harness import Case
from volkit.bench.peers import peer_module
from volkit.testing.scan_sets import write_scan_set
from volkit.training.scan_options import (
    ScanFold,
    ScanNetwork,
    ScanOptimisation,
    ScanTraining,
)
from volkit.training.scan_roles import scan_roles
from volkit.training.scan_set import ScanSet

_NEAR = 1e-4  # of the mean loss
_SMALL, _WINDOW, _BATCH, _SCANS = (16, 32, 64, 128), 48, 4, 24
_PUBLISHED, _LARGE, _PAIR, _FEW = (64, 128, 256, 512), 64, 2, 8
_WHOLE, _FOUR = 128, 4  # the published window


def training_cases(*, quick: bool) -> Iterator[Case]:
    """Make the cases of training.

    Parameters
    ----------
    quick : bool
        A small network alone; otherwise the published one, too, up to the published window.
    """
    sizes: list[tuple[str, tuple[int, ...], int, int, int]] = [
        ("a quarter as wide, 48^3", _SMALL, _WINDOW, _BATCH, _SCANS)
    ]
    if not quick:
        sizes.append(("64^3", _PUBLISHED, _LARGE, _PAIR, _FEW))
        sizes.append(("128^3", _PUBLISHED, _WHOLE, _PAIR, _FOUR))
    for name, widths, window, batch, scans in sizes:
        yield Case(
            f"an epoch of r3d_18, {name} / bare loop",
            ours=_epoch,
            peer=_bare,
            setup=partial(_run, widths, window, batch, scans),
            target=0.95,
            agree=lambda a, b: abs(a - b) < _NEAR,
            # An epoch of the small one is short, so that what others do meanwhile shows more.
            most_rounds={_LARGE: 3, _WHOLE: 2}.get(window),
            least_rounds=9 if window == _WINDOW and not quick else 0,
        )


@contextmanager
def _run(widths: tuple[int, ...], window: int, batch: int, scans: int) -> Iterator[SimpleNamespace]:
    """Make a training; its scans are in memory before anything is measured."""
    torch = peer_module("torch", "torch")
    from volkit.training.scan_fold import FoldRun

    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        shape = (window, window, window)
        manifest = write_scan_set(Path(name), subjects=scans, scans=1, folds=2, shape=shape)
        training = ScanTraining(
            shape,
            ScanNetwork(arguments={"widths": list(widths)}),
            optimisation=ScanOptimisation(epochs=2, batch=batch, warmup=0, balance=False),
        )
        fold = ScanFold(str(Path(name) / "net.yaml"), training, threads=1, device="cpu")
        run = FoldRun(
            fold, ScanSet(manifest, "AD", shape), scan_roles(manifest.rows, 0, aside=0, seed=0)
        )
        for row in run.roles.learnt:
            run.scans.unit(int(row))
        yield SimpleNamespace(
            run=run,
            torch=torch,
            network=copy.deepcopy(run.network.state_dict()),
            optimiser=copy.deepcopy(run.optimiser.state_dict()),
        )


def _epoch(data: SimpleNamespace) -> float:
    _reset(data)
    return float(data.run._learn())


def _bare(data: SimpleNamespace) -> float:
    """Do what an epoch does, as one would write it down."""
    _reset(data)
    torch, run = data.torch, data.run
    network, optimiser = run.network, run.optimiser
    scans = {int(row): run.scans.unit(int(row)) for row in run.roles.learnt}
    rng = np.random.default_rng([0, 0, 0])
    batches = np.array_split(rng.permutation(run.roles.learnt), run.per_epoch)
    labels = run.scans.number
    network.train()
    total, rate = 0.0, run.fold.training.optimisation.learning_rate
    for step, rows in enumerate(batches):
        images = torch.from_numpy(np.stack([_varied(scans[int(n)], int(n)) for n in rows])[:, None])
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / (2 * len(batches))))
        optimiser.zero_grad()
        images = images.contiguous(memory_format=torch.channels_last_3d)
        loss = torch.nn.functional.cross_entropy(network(images), torch.from_numpy(labels[rows]))
        loss.backward()
        optimiser.step()
        total += loss.item() * len(rows)
    return total / len(run.roles.learnt)


def _varied(scan: Any, row: int) -> Any:
    rng = np.random.default_rng([0, 0, 0, row])
    noise, power = np.float32(rng.uniform(0, 0.25)), np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    x = scan + noise * rng.standard_normal(scan.shape, np.float32)
    x = np.copysign(np.abs(x) ** power, x)
    return (x - x.mean()) / x.std()


def _reset(data: SimpleNamespace) -> None:
    data.run.network.load_state_dict(data.network)
    data.run.optimiser.load_state_dict(copy.deepcopy(data.optimiser))
