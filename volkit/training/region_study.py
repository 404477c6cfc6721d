"""Region studies: which encoder tells regions of the brain apart, and how surely.

Every method is trained once for each seed on some tiles, and judged on others.  Supervised
networks have a classifier; what others say of tiles is read out by a linear one, while they stay as
they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from volkit.errors import ConfigError
from volkit.kernels.class_readout import class_readout
from volkit.models.tile_components import TileComponents
from volkit.models.tile_resnet import TileResNet
from volkit.training.region_options import Method, RegionOptions
from volkit.training.tile_encoders import features, train_encoder
from volkit.training.tile_set import TileSet, gathered

Encoder = TileResNet | TileComponents
Table = NDArray[np.int64]
OnRun = Callable[[Method, int, Encoder, Table], None]
OnEpoch = Callable[[Method, int, int, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class RegionStudy:
    """What a study found.

    Parameters
    ----------
    regions : tuple of str
        Names, in the order of their numbers.
    runs : DataFrame
        One row for each method and seed: ``accuracy``, ``recall_NAME`` of every region.
    confusion : dict of str to ndarray of int64, shape (K, K)
        By method, all seeds added: rows are true regions, columns what was said.
    """

    regions: tuple[str, ...]
    runs: pd.DataFrame
    confusion: dict[str, Table]

    def summary(self) -> pd.DataFrame:
        """Average over seeds: ``method``, ``seeds``, ``accuracy`` and its ``deviation``.

        The deviation is that of a sample (n - 1), NaN for a single seed.
        """
        by = self.runs.groupby("method", sort=False)["accuracy"]
        frame = by.agg(["count", "mean", "std"]).reset_index()
        frame.columns = pd.Index(["method", "seeds", "accuracy", "deviation"])
        return frame


def region_study(
    learning: Any,
    judging: Any,
    options: RegionOptions,
    *,
    regions: Sequence[str],
    known: Mapping[tuple[Method, int], Table] | None = None,
    on_run: OnRun | None = None,
    on_epoch: OnEpoch | None = None,
) -> RegionStudy:
    """Compare encoders by how well regions can be read out of what they say of tiles.

    Parameters
    ----------
    learning, judging : torch.utils.data.Dataset
        Samples (image, region); see :func:`volkit.training.tile_set.gathered`.
    options : RegionOptions
        Methods, seeds, sizes and schooling.
    regions : sequence of str
        Names of regions 0, 1, ...
    known : mapping of (str, int) to ndarray of int64, shape (K, K), optional
        Confusions by method and seed that need not be found again.
    on_run : callable or None
        Told method, seed, encoder and confusion when an encoder is judged.
    on_epoch : callable or None
        Told method, seed, epoch and loss.

    Returns
    -------
    RegionStudy

    Raises
    ------
    ContractError
        If a Dataset does not hold tiles of one shape.
    ConfigError
        If it has a region without a name.
    """
    how: Any = {"side": options.side, "shrink": options.shrink}
    learnt, judged = (gathered(dataset, **how) for dataset in (learning, judging))
    most = int(max(learnt.regions.max(), judged.regions.max()))
    if most >= len(regions):
        raise ConfigError(f"there is a region {most}, and names for {len(regions)}: {regions}")
    rows: list[dict[str, Any]] = []
    confusion: dict[str, Table] = {}
    for method in options.methods:
        table = np.zeros((len(regions), len(regions)), np.int64)
        for seed in options.seeds:
            found = (known or {}).get((method, seed))
            if found is None:
                encoder = _trained(method, learnt, options, seed, len(regions), on_epoch)
                found = _judged(encoder, learnt, judged, len(regions))
                if on_run is not None:
                    on_run(method, seed, encoder, found)
            rows.append({"method": method, "seed": seed, **_scores(found, regions)})
            table += found
        confusion[method] = table
    frame = pd.DataFrame(rows).astype({"method": "str"})
    return RegionStudy(tuple(regions), frame, confusion)


def _trained(
    method: Method,
    learnt: TileSet,
    options: RegionOptions,
    seed: int,
    classes: int,
    on_epoch: OnEpoch | None,
) -> Encoder:
    if method == "pca" or method == "nmf":
        tiles = learnt.tiles.numpy()
        return TileComponents.fit(tiles, method, count=options.encoder.components, seed=seed)

    def told(epoch: int, loss: float) -> None:
        if on_epoch is not None:
            on_epoch(method, seed, epoch, loss)

    return train_encoder(method, learnt, options, seed=seed, classes=classes, on_epoch=told)


def embedded(encoder: Encoder, tiles: TileSet) -> NDArray[np.float32]:
    """Ask an encoder what it says of tiles, shape (N, D)."""
    if isinstance(encoder, TileComponents):
        return encoder(tiles.tiles.numpy())
    return features(encoder, tiles.tiles)


def _judged(encoder: Encoder, learnt: TileSet, judged: TileSet, classes: int) -> Table:
    """Count what is said of tiles not learnt from, by the encoder's classifier or a linear one."""
    if isinstance(encoder, TileResNet) and isinstance(encoder.fc, nn.Linear):
        said = encoder.fc(torch.from_numpy(embedded(encoder, judged))).argmax(1).numpy()
    else:
        readout = class_readout(embedded(encoder, learnt), learnt.regions.numpy(), count=classes)
        said = readout(embedded(encoder, judged))
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (judged.regions.numpy(), said), 1)
    return table


def _scores(table: Table, regions: Sequence[str]) -> dict[str, float]:
    scores = {"accuracy": float(table.trace() / table.sum())}
    for k, name in enumerate(regions):
        there = int(table[k].sum())
        scores[f"recall_{name}"] = int(table[k, k]) / there if there else float("nan")
    return scores
