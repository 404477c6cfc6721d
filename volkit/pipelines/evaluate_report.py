"""Report of an evaluation: scores as JSON and tables, worst objects first."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.tables import Column, Schema, write_table
from volkit.kernels.curves import RandCurve
from volkit.kernels.scores import RandScores
from volkit.ops.evaluation_results import BoundaryEvaluation, LabelEvaluation

Files = tuple[tuple[str, Path], ...]

_MEANINGS = {
    "id": ("", "of the object, or segment"),
    "voxels": ("voxels", "its size"),
    "pieces": ("", "objects of the other side in it"),
    "best": ("", "the one of the other side that shares most, 0 for none"),
    "kept": ("voxels", "shared with that one"),
    "split": ("voxels", "in other segments"),
    "missed": ("voxels", "in no segment"),
    "merged": ("voxels", "of other true objects"),
    "beyond": ("voxels", "of true label 0"),
}


def write_labels(folder: Path, found: LabelEvaluation, provenance: Mapping[str, Any]) -> Files:
    """Write the scores of labels, and tables of ``objects``, ``segments`` and ``sections``.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    found : LabelEvaluation
        What to write.
    provenance : mapping
        JSON.

    Returns
    -------
    tuple of (str, Path)
        What was written, by name.
    """
    scores = {
        "kind": "labels",
        "convention": asdict(found.convention),
        "volume": asdict(found.volume),
        "stack": asdict(found.stack),
        "cremi_score": found.cremi_score,
        "warnings": list(found.warnings),
    }
    if found.convention.components:
        del scores["volume"], scores["cremi_score"]  # objects of sections have no third dimension
    sections = _section_rows(found.sections)
    return (
        ("scores", _json(folder / "scores.json", {**scores, "made": provenance})),
        ("objects", _objects(folder / "objects.csv", found.objects, "split", provenance)),
        ("segments", _objects(folder / "segments.csv", found.segments, "merged", provenance)),
        ("sections", _rand_table(folder / "sections.csv", sections, provenance)),
    )


def write_boundary(folder: Path, found: BoundaryEvaluation, provenance: Mapping[str, Any]) -> Files:
    """Write the scores of a boundary map: ``scores.json``, ``curve.csv`` and ``sections.csv``.

    Parameters
    ----------
    folder, found, provenance
        As for :func:`write_labels`.
    """
    edge = found.boundary
    best: dict[str, Any] = {
        "pixel_error": {
            "threshold": edge.thresholds[edge.best],
            "value": edge.pixel_error[edge.best],
        }
    }
    columns: dict[str, Any] = {
        "threshold": edge.thresholds,
        "pixel_error": edge.pixel_error,
        "precision": edge.precision,
        "recall": edge.recall,
    }
    files: list[tuple[str, Path]] = []
    if found.curve is not None:
        columns |= _rand_columns(found.curve)
        at = found.curve.best
        best["rand"] = {
            "threshold": found.curve.thresholds[at],
            **asdict(found.curve.scores[at]),
        }
        frame = _section_rows({z: curve.scores[at] for z, curve in found.sections.items()})
        files.append(("sections", _rand_table(folder / "sections.csv", frame, provenance)))
    scores = {
        "kind": "boundary",
        "convention": asdict(found.convention),
        "truth_boundary": found.truth_boundary,
        "boundary_voxels": edge.boundary,
        "interior_voxels": edge.interior,
        "separation": edge.separation,
        "best": best,
        "warnings": list(found.warnings),
        "made": provenance,
    }
    path = _rand_table(folder / "curve.csv", pd.DataFrame(columns), provenance)
    return (("scores", _json(folder / "scores.json", scores)), ("curve", path), *files)


def worst_first(table: Mapping[str, NDArray[Any]], by: str) -> NDArray[np.int64]:
    """Order objects by what is wrong with them, most first; of equal ones, the smaller id."""
    return np.lexsort((table["id"], -table[by]))


def _section_rows(scores: Mapping[int, RandScores]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "z": np.array(list(scores), np.int64),
            "f_score": [s.f_score for s in scores.values()],
            "split": [s.split for s in scores.values()],
            "merge": [s.merge for s in scores.values()],
            "voxels": np.array([s.voxels for s in scores.values()], np.int64),
        }
    )


def _rand_columns(curve: RandCurve) -> dict[str, Any]:
    return {
        "f_score": [score.f_score for score in curve.scores],
        "split": [score.split for score in curve.scores],
        "merge": [score.merge for score in curve.scores],
        "segments": np.array(curve.segments, np.int64),
    }


def _rand_table(path: Path, frame: pd.DataFrame, provenance: Mapping[str, Any]) -> Path:
    meanings = {
        "z": ("voxels", "the section"),
        "threshold": ("", "of the map: boundary from here on"),
        "f_score": ("", "Rand F of sections, 1 best"),
        "split": ("", "Rand split, 1 best"),
        "merge": ("", "Rand merge, 1 best"),
        "voxels": ("voxels", "that count"),
        "segments": ("", "of all sections"),
        "pixel_error": ("", "share of pixels that are called wrongly"),
        "precision": ("", "share of what is called boundary that is"),
        "recall": ("", "share of the boundary that is called so"),
    }
    described = [Column(n, frame[n].dtype.name, *meanings[n]) for n in frame.columns]
    write_table(path, frame, Schema(tuple(described)), dict(provenance))
    return path


def _objects(
    path: Path, table: Mapping[str, NDArray[Any]], by: str, provenance: Mapping[str, Any]
) -> Path:
    order = worst_first(table, by)
    frame = pd.DataFrame({name: column[order] for name, column in table.items()})
    described = [
        Column(name, frame[name].dtype.name, *_MEANINGS.get(name, ("voxels", "of its box")))
        for name in frame.columns
    ]
    write_table(path, frame, Schema(tuple(described)), dict(provenance))
    return path


def _json(path: Path, value: Mapping[str, Any]) -> Path:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    scratch.replace(path)
    return path
