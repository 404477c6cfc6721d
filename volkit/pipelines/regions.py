"""Regions: tiles of known regions in, accuracies of encoders and the encoders themselves out."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from volkit.engine.base import OnProgress, Progress
from volkit.errors import StaleLedgerError
from volkit.io.open import open_volume
from volkit.io.redaction import redacted
from volkit.io.tables import Column, Schema, write_table
from volkit.io.volume import Volume
from volkit.models.checkpoint import save_checkpoint
from volkit.models.tile_components import TileComponents
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.regions_config import Regions
from volkit.pipelines.regions_figure import regions_figure
from volkit.pipelines.regions_plan import plan
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.run_parameters import run_parameters
from volkit.training.region_options import UNSCHOOLED
from volkit.version import __version__
from volkit.wording import counted

Facts = dict[str, Any]
Losses = dict[tuple[Any, int], list[float]]


def study(
    config: Regions,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    *,
    replace_stale: bool = False,
) -> Outcome:
    """Train, judge and report; encoders that an interrupted run has judged are not trained again.

    Parameters
    ----------
    config : Regions
        The workflow.
    on_progress : callable, optional
        Told after every epoch.
    on_message : callable, optional
        Told the accuracy of every encoder.
    replace_stale : bool
        Begin anew where the folder holds another study.

    Returns
    -------
    Outcome

    Raises
    ------
    VolkitError
        What opening the image and :func:`~volkit.training.region_study.region_study` raise;
        StaleLedgerError where the folder holds another study.
    """
    from volkit.training.region_study import region_study
    from volkit.training.region_tiles import RegionTiles

    told = config.input
    image = open_volume(told.image, level=told.level)
    facts = _facts(config, image)
    judged = _Judged(config, facts, on_message)
    known = judged.known(replace=replace_stale)
    learning, judging = (
        RegionTiles(image, boxes, told.tile, intensity_range=told.intensity_range)
        for boxes in (told.learn, told.judge)
    )
    watch = Stopwatch(on_progress)
    listener = _Epochs(config, len(learning), known, watch, judged.losses)
    found = region_study(
        learning,
        judging,
        config.study,
        regions=tuple(told.learn),
        known=known,
        on_run=judged.keep,
        on_epoch=listener.hear,
    )
    files = _report(config, found, judged.losses, facts)
    summary = found.summary().to_dict("records")
    rows = [
        (
            str(row["method"]),
            _share(row["accuracy"], row["deviation"]),
            counted(row["seeds"], "seed"),
        )
        for row in summary
    ]
    return Outcome(
        files=files,
        following=("open", config.folder / "report"),
        scores=tuple(rows),
        times=watch.times(),
    )


class _Epochs:
    """Count epochs of the encoders that are missing."""

    def __init__(
        self,
        config: Regions,
        tiles: int,
        known: Collection[tuple[Any, int]],
        watch: Stopwatch,
        losses: Losses,
    ) -> None:
        study = config.study
        missing = [
            (method, seed)
            for method in study.methods
            for seed in study.seeds
            if method not in UNSCHOOLED and (method, seed) not in known
        ]
        self.total = study.schooling.epochs * len(missing)
        self.pixels = tiles * int(np.prod(config.input.tile))
        self.done = 0
        self.watch = watch
        self.losses = losses
        self.begun = perf_counter()

    def hear(self, method: str, seed: int, epoch: int, loss: float) -> None:
        """Keep the loss of an epoch, and pass it on."""
        self.losses.setdefault((method, seed), []).append(loss)
        self.done += 1
        spent = perf_counter() - self.begun
        pixels = self.done * self.pixels
        self.watch(Progress("encoders", self.done, self.total, pixels, 0, spent))


class _Judged:
    """Encoders that have been judged, one file for each."""

    def __init__(self, config: Regions, facts: Facts, on_message: OnMessage | None) -> None:
        self.config, self.facts, self.on_message = config, facts, on_message
        self.folder = config.folder / "encoders"
        self.losses: Losses = {}

    def known(self, *, replace: bool) -> dict[tuple[Any, int], Any]:
        """Read what there is, if it is of this study."""
        found: dict[tuple[Any, int], Any] = {}
        wanted = _digest(self.facts)
        for path in sorted(self.folder.glob("*.json")):
            about = json.loads(path.read_text())
            if about["study"] != wanted and not replace:
                raise StaleLedgerError(
                    f"{path} is of another study: image, boxes or options changed; write to "
                    "another output, or replace what is stale (volkit run --replace)"
                )
            if about["study"] == wanted:
                key = about["method"], int(about["seed"])
                found[key] = np.array(about["confusion"], np.int64)
                self.losses[key] = about.get("losses", [])
        return found

    def keep(self, method: Any, seed: int, encoder: Any, table: Any) -> None:
        """Store an encoder, then what was found of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{method}-{seed}"
        if self.config.keep:
            _store(self.folder / name, encoder, self.config)
        about = {"study": _digest(self.facts), "method": method, "seed": seed}
        seen = self.losses.get((method, seed), [])
        text = json.dumps({**about, "confusion": table.tolist(), "losses": seen})
        partial = self.folder / f".{name}.partial"
        partial.write_text(text)
        partial.replace(self.folder / f"{name}.json")
        if self.on_message is not None:
            self.on_message(f"{name}: accuracy {table.trace() / table.sum():.4f}")


def _store(path: Path, encoder: Any, config: Regions) -> None:
    """Write components as ``.npz``, a network as a card with its weights."""
    if isinstance(encoder, TileComponents):
        encoder.save(path.with_name(f"{path.name}.npz"))
        return
    size = config.study.encoder
    side = config.study.side
    classes = encoder.fc.out_features if hasattr(encoder.fc, "out_features") else 0
    save_checkpoint(
        encoder.state_dict(),
        path.with_name(f"{path.name}.yaml"),
        {
            "architecture": "tile_resnet",
            "arguments": {
                "classes": classes,
                "stem": size.stem,
                "widths": list(size.widths),
                "blocks": list(size.blocks),
            },
            "channels": (1, classes or encoder.channels),
            "window": (1, *((side, side) if side else config.input.tile)),
            "output": "whole",
            "classes": list(config.input.learn) if classes else [],
            "description": f"{path.name}: tiles of {config.input.tile} pixels, from 0 to 1, "
            f"averaged down to {side or 'nothing smaller'}",
            "training_data": str(redacted(config.input.image)),
        },
    )


def _facts(config: Regions, image: Volume) -> Facts:
    """Say what decides the result."""
    return {
        "volkit": ".".join(__version__.split(".")[:2]),
        "parameters": run_parameters(config, without=("output", "keep")),
        "image": image.identity,
    }


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _report(
    config: Regions, found: Any, losses: Losses, facts: Facts
) -> tuple[tuple[str, Path], ...]:
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts, indent=1, default=str) + "\n")
    frames = {"runs": found.runs, "summary": found.summary(), "losses": _epochs(found, losses)}
    for name, frame in frames.items():
        schema = Schema(
            tuple(Column(str(c), "str" if c == "method" else frame[c].dtype.name) for c in frame)
        )
        write_table(folder / f"{name}.csv", frame, schema, facts)
    (folder / "confusion.json").write_text(
        json.dumps({"regions": found.regions, "confusion": {m: t.tolist() for m, t in
                    found.confusion.items()}}, indent=1) + "\n"
    )  # fmt: skip
    regions_figure(folder / "figure.png", found, heading=config.folder.name)
    names = ("runs.csv", "summary.csv", "losses.csv", "confusion.json", "figure.png")
    return tuple((name.partition(".")[0], folder / name) for name in names)


def _epochs(found: Any, losses: Losses) -> pd.DataFrame:
    """List the loss of every epoch: ``method``, ``seed``, ``epoch`` from 1, ``loss``."""
    rows = [
        (method, seed, epoch, loss)
        for method, seed in zip(found.runs["method"], found.runs["seed"], strict=True)
        for epoch, loss in enumerate(losses.get((method, seed), []), 1)
    ]
    frame = pd.DataFrame(rows, columns=["method", "seed", "epoch", "loss"])
    return frame.astype({"method": "str", "seed": "int64", "epoch": "int64", "loss": "float64"})


def _share(value: float, deviation: float) -> str:
    return f"{value:.4f}" + ("" if np.isnan(deviation) else f" ± {deviation:.4f}")


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file; see :func:`study`."""
    return study(workflow.config, on_progress, on_message, replace_stale=replace_stale)


PIPELINE = Pipeline(
    name="regions",
    config=Regions,
    run=carry_out,
    plan=plan,
    paths=frozenset({"image", "output"}),
)
