"""Readout: how much of the features of tissue a linear function of embeddings tells.

::

    image ─► encoder ─► embeddings of tiles ─┐
    classes ─► statistics ─► sections.parquet ┴─► R^2, as published and held out ─► table, figure
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.redaction import redacted
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.io.volume import Volume
from volkit.kernels.linear_readout import held_out, in_sample
from volkit.models.tile_encoder import TileEncoder, open_encoder
from volkit.ops.embedding import TILE, Tiles, embeddings
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.readout_config import Readout
from volkit.pipelines.readout_figure import readout_figure
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.run_parameters import run_parameters
from volkit.version import __version__
from volkit.wording import counted

_PROCESS_BYTES = 600 * 2**20
_WORK_BYTES = {"embeddings": 64.0}  # for every voxel that is read


def read_out(
    config: Readout,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Embed, read out, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : Readout
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    VolkitError
        What opening the inputs raises; ConfigError where the table has not the targets, or not
        these tiles; StaleLedgerError where the folder holds another computation.
    """
    image, encoder = _inputs(config)
    table, _, origin = read_table(config.input.features)
    watch = Stopwatch(on_progress)
    with at_work(engine or JobEngine(config.folder), watch, on_message) as engine:
        found = _embedded(config, image, encoder, engine)
        tiles, rows = matched(table, found)
        scores = score_frame(tiles, rows, config)
        made = _provenance(config, image, encoder, origin)
        files = _report(config, tiles, rows, scores, made)
    if on_message is not None:
        on_message(f"{counted(len(tiles), 'tile')}, {counted(rows.shape[1], 'component')} each")
    return Outcome(
        files=files,
        following=("open", config.folder / "report"),
        scores=tuple(
            (str(row["target"]), f"{row['published']:.4f}", f"R^2; held out {row['held_out']:.4f}")
            for row in scores.to_dict("records")
        ),
        times=watch.times(),
    )


def matched(table: pd.DataFrame, found: Columns) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Bring a table of tiles and their embeddings together.

    Parameters
    ----------
    table : DataFrame
        With ``z``, ``y_bin``, ``x_bin``.
    found : dict of ndarray
        From :func:`volkit.ops.embedding.embeddings`.

    Returns
    -------
    tiles : DataFrame
        Rows of the table that have an embedding.
    rows : ndarray of float32, shape (N, D)
        Theirs.

    Raises
    ------
    ConfigError
        If an embedding has no row: then box or tiles are others.
    """
    wrong = [name for name in TILE if name not in table]
    if wrong:
        raise ConfigError(
            f"the table of features has no columns {', '.join(wrong)}; give sections.parquet of "
            "the pipeline statistics, run with sections: true"
        )
    own = pd.DataFrame({name: found[name] for name in TILE})
    joined = own.reset_index().merge(table, on=list(TILE), how="left", indicator=True)
    absent = int((joined["_merge"] != "both").sum())
    if absent or len(joined) != len(own):
        raise ConfigError(
            f"{absent:,} of {len(own):,} tiles have no row in the table of features; give the same "
            "box and tile here as there"
        )
    return joined[list(table.columns)], found["embedding"]


def score_frame(tiles: pd.DataFrame, rows: NDArray[np.float32], config: Readout) -> pd.DataFrame:
    """Score the readout of every target.

    Parameters
    ----------
    tiles : DataFrame
        Features of tiles.
    rows : ndarray of float32, shape (N, D)
        Embeddings of the same tiles.
    config : Readout
        Targets and folds.

    Returns
    -------
    DataFrame
        ``target``, ``rows`` (with a value), ``published`` (R^2 of the rows that were fitted) and
        ``held_out``.

    Raises
    ------
    ConfigError
        If a target is no column.
    """
    found = []
    for target in config.targets:
        values = tiles[column_of(target, tiles)].to_numpy(np.float64)
        sections = tiles["z"].to_numpy()
        found.append(
            {
                "target": target,
                "rows": int(np.isfinite(values).sum()),
                "published": in_sample(rows, values, ridge=config.ridge),
                "held_out": held_out(
                    rows, values, sections, folds=config.folds, gap=config.gap, ridge=config.ridge
                ),
            }
        )
    return pd.DataFrame(found).astype({"target": "str"})


def column_of(target: str, tiles: pd.DataFrame) -> str:
    """Find the column of a target: the same name, or with a unit at its end.

    Raises
    ------
    ConfigError
        If there is none.
    """
    names = [str(name) for name in tiles.columns]
    for name in (target, f"{target}_pixels", f"{target}_um"):
        if name in names:
            return name
    raise ConfigError(f"the table of features has no {target}; its columns are {', '.join(names)}")


def _inputs(config: Readout) -> tuple[Volume, TileEncoder]:
    image = open_volume(config.input.image, level=config.input.level)
    domain = config.input.box or image.domain
    if not image.domain.contains(domain) or image.channels is not None:
        raise GeometryError(
            f"input.image {image.uri} covers {image.domain} with {image.channels or 'no'} "
            f"channels, the box is {domain}; give an image without channels that covers it"
        )
    return image, open_encoder(config.input.encoder)


def _embedded(config: Readout, image: Volume, encoder: TileEncoder, engine: Any) -> Any:
    told = config.input
    return embeddings(
        image,
        encoder,
        tiles=Tiles(told.tile, told.side, told.shrink, told.intensity_range),
        grid=Grid(told.box or image.domain, config.block_shape),
        engine=engine,
    )


def _report(
    config: Readout,
    tiles: pd.DataFrame,
    rows: NDArray[np.float32],
    scores: pd.DataFrame,
    made: dict[str, Any],
) -> tuple[tuple[str, Any], ...]:
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(made, indent=1, default=str) + "\n")
    write_table(folder / "readout.csv", scores, _schema(scores), made)
    parts = {f"e{k:04d}": rows[:, k] for k in range(rows.shape[1])}
    embedded = pd.DataFrame({**{name: tiles[name].to_numpy() for name in TILE}, **parts})
    write_table(folder / "embeddings.parquet", embedded, _schema(embedded), made)
    chosen = {name: tiles[column_of(name, tiles)].to_numpy(np.float64) for name in config.targets}
    readout_figure(
        folder / "figure.png", scores, rows, chosen, umap=config.umap, heading=config.folder.name
    )
    names = ("readout.csv", "embeddings.parquet", "figure.png")
    return tuple((name.partition(".")[0], folder / name) for name in names)


def _schema(frame: pd.DataFrame) -> Schema:
    return Schema(
        tuple(
            Column(str(name), "str" if name == "target" else frame[name].dtype.name)
            for name in frame
        )
    )


def _provenance(
    config: Readout, image: Volume, encoder: TileEncoder, origin: dict[str, Any]
) -> dict[str, Any]:
    """Say what was read out of what; workers and folder do not matter."""
    return {
        "volkit": __version__,
        "parameters": run_parameters(config),
        "image": {"uri": redacted(image.uri), "identity": image.identity},
        "encoder": encoder.facts,
        "features": origin,
    }


def plan(config: Readout) -> Plan:
    """Say what a run will read, compute, write and need."""
    image, encoder = _inputs(config)
    engine = PlanEngine(work_bytes=_WORK_BYTES, process_bytes=_PROCESS_BYTES)
    _embedded(config, image, encoder, engine)
    return Plan(
        grid=Grid(config.input.box or image.domain, config.block_shape),
        stages=tuple(engine.stages),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
    )


carry_out = on_cluster(read_out)
PIPELINE = Pipeline(
    name="readout",
    config=Readout,
    run=carry_out,
    plan=plan,
    paths=frozenset({"image", "features", "encoder", "output"}),
)
