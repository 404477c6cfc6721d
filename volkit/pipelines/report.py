"""Report: a figure, the scores, and where everything comes from."""

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.origin import Session, utc_now, write_origin
from volkit.geometry import Box
from volkit.io.place import Place
from volkit.io.redaction import redacted
from volkit.io.tables import Column, Schema, write_table
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble, named
from volkit.pipelines.figure import Panel, section_figure

_PACKAGES = ("volkit", "numpy", "scipy", "numba", "dask", "distributed", "zarr", "torch")
_SCORES = Schema(
    (
        Column("score", "str", "", "its name; voi.* are bits, rand.* 0 to 1, others counts"),
        Column("value", "float64", "", "of the whole domain"),
    )
)


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be reported of a run.

    Parameters
    ----------
    heading, footing : str
        Above and below the figure.
    panels : tuple of Panel
        From left to right.
    domain : Box
        What was worked on.
    scores : mapping or None
        Nested; None without a truth.
    parameters : mapping
        Everything that the workflow says.
    inputs : mapping of str to Volume
        By their role.
    checkpoint : Checkpoint, Ensemble or None
        The network; None where its answers were stored already.
    results : mapping of str to Volume
        What the scores are of, by name.
    stages : tuple of str
        Whose tables the scores follow from.
    others : mapping of str to Checkpoint or Ensemble
        Further networks, by their role.
    warnings : tuple of str
        What looks wrong.
    """

    heading: str
    footing: str
    panels: tuple[Panel, ...]
    domain: Box
    scores: Mapping[str, Any] | None
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Volume]
    checkpoint: Checkpoint | Ensemble | None
    results: Mapping[str, Volume] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    others: Mapping[str, Checkpoint | Ensemble] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def write_report(folder: Path, report: Report) -> tuple[tuple[str, Path], ...]:
    """Write ``figure.png``, ``run.json`` and, with a truth, ``scores.json`` and ``scores.csv``.

    Nothing in them depends on the time or on the machine's speed: equal runs leave equal bytes.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    report : Report
        What to write.

    Returns
    -------
    tuple of (str, Path)
        The report's folder, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    session = Session.here()
    provenance = _provenance(report)
    _write_json(folder / "run.json", provenance)
    if report.scores is not None:
        _write_json(folder / "scores.json", report.scores)
        rows = [row for row in _flat(report.scores) if not isinstance(row[1], str)]
        frame = pd.DataFrame(
            {
                "score": pd.Series([name for name, _ in rows], dtype="str"),
                "value": [float(value) for _, value in rows],
            }
        )
        write_table(folder / "scores.csv", frame, _SCORES, {"run": provenance})
    section_figure(
        folder / "figure.png",
        report.panels,
        domain=report.domain,
        heading=report.heading,
        footing=report.footing,
    )
    # Beside the folder, where nobody looks for equal bytes.
    ledger = Place.at(folder).beside(".ledger")
    write_origin(ledger, None, replace(session, hosts=(session.host,), until=utc_now()))
    return (("report", folder),)


def _provenance(report: Report) -> dict[str, Any]:
    return {
        "versions": dict(package_versions()),
        "parameters": redacted(report.parameters),
        "domain": str(report.domain),
        "inputs": {name: _described(volume) for name, volume in report.inputs.items()},
        "results": {name: _described(volume) for name, volume in report.results.items()},
        "stages": list(report.stages),
        **({"warnings": list(report.warnings)} if report.warnings else {}),
        **({} if report.checkpoint is None else {"checkpoint": described_model(report.checkpoint)}),
        **{role: described_model(model) for role, model in report.others.items()},
    }


def described_model(model: Checkpoint | Ensemble) -> dict[str, Any]:
    """Say which network answered.

    Parameters
    ----------
    model : Checkpoint or Ensemble
        Any.

    Returns
    -------
    dict
        JSON: ``uri``, ``sha256`` and ``identity`` among others; for an ensemble, which lies in no
        one place, ``uri`` is what to call it, and ``members`` holds the same of every checkpoint.
    """
    if isinstance(model, Ensemble):
        cards = model.checkpoints
        return {
            "uri": f"ensemble of {', '.join(named(card) for card in cards)}",
            "sha256": model.sha256,
            "identity": model.identity,
            "weights": list(model.shares),
            "combine": model.combine,
            "deviation": model.deviation,
            "members": [described_model(card) for card in cards],
        }
    return {
        "uri": model.uri,
        "sha256": model.sha256,
        "identity": model.identity,
        "description": model.description,
        "licence": model.licence,
        "training_data": model.training_data,
    }


def _described(volume: Volume) -> dict[str, Any]:
    return {
        "uri": volume.uri,
        "level": volume.level,
        "identity": volume.identity,
        "shape": list(volume.shape),
        "dtype": str(volume.dtype),
        "voxel_size_nm": list(volume.voxel_size_nm),
    }


def package_versions() -> Iterator[tuple[str, str]]:
    """Give the versions of Python and of the packages that results may depend on, by name."""
    yield "python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _write_json(path: Path, value: Any) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    scratch.replace(path)
