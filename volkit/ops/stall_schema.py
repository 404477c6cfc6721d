"""The stall table: its columns, with types, units and meaning, and what every table must be."""

from typing import Any

import pandas as pd

from volkit.errors import ContractError
from volkit.io.tables import Column, Schema

KEY = ["volume_id", "segment_id"]
_NULLABLE = ("str", "float64", "boolean", "Int64", "UInt64")
_AXES = "zyx"

_IDENTITY = (
    Column("volume_id", "str", "", "volume or clip that the segment is of"),
    Column("segment_id", "uint64", "", "1 + index of its first skeleton voxel; of a clip, by name"),
    Column("node_a", "UInt64", "", "junction or free end on one side; 0 where it is a ring"),
    Column("node_b", "UInt64", "", "junction or free end on the other side"),
    *(Column(f"owner_chunk_{a}", "Int64", "", "block that holds the centroid") for a in _AXES),
    Column("run_id", "str", "", "digest of workflow, input and networks"),
)
_GEOMETRY = (
    *(Column(f"{a}0", "int64", "voxel", f"first voxel of the cuboid along {a}") for a in _AXES),
    *(Column(f"{a}1", "int64", "voxel", f"end of the cuboid along {a}, exclusive") for a in _AXES),
    *(Column(f"centroid_{a}", "float64", "voxel", "centre of the centre line") for a in _AXES),
    *(Column(f"centroid_um_{a}", "float64", "um", "the same in space") for a in _AXES),
    Column("n_voxels", "Int64", "voxel", "voxels of the segment's vessel"),
    Column("length_um", "float64", "um", "along the centre line, to the centres of junctions"),
    Column("radius_um_mean", "float64", "um", "mean over the centre line"),
    Column("radius_um_min", "float64", "um", "where it is thinnest"),
    Column("tortuosity", "float64", "", "length over the distance of its ends"),
    Column("depth_um", "float64", "um", "of the centroid below the first plane"),
    Column("n_frames", "int64", "frame", "planes of the cuboid, or frames of the clip"),
    Column("touches_border", "bool", "", "whether it may go on beyond the volume or the picture"),
    Column("roi_shape", "str", "voxel", "extent of the cuboid, z x y x x"),
    Column("resize_factor", "float64", "", "geometric mean of window over cuboid, per axis"),
)
_SIGNAL = (
    Column("mean_intensity", "float64", "grey", "of the vessel, or of the clip within its outline"),
    Column("snr", "float64", "", "vessel minus surroundings over the surroundings' deviation"),
    Column("motion_score", "float64", "", "change between frames in the vessel over that outside"),
    Column("contour_found", "boolean", "", "whether the clip's outline was found"),
)
_MODEL = (
    Column("p_tta_std", "float64", "", "deviation over views of the mean of folds"),
    Column("p_stalled", "float64", "", "mean over folds and views"),
    Column("logit_mean", "float64", "", "mean logit over folds and views"),
)
_CALIBRATED = (
    Column("p_calibrated", "float64", "", "frequency of stalls that p_stalled stands for"),
    Column("calibrator_id", "str", "", "digest of the calibrator"),
    Column("prior_assumed", "float64", "", "share of stalled segments that it is meant for"),
)
_UNCERTAINTY = (
    Column("mc_n", "int64", "", "passes of every head with dropout"),
    Column("mc_mean", "float64", "", "mean over passes and folds"),
    Column("mc_std", "float64", "", "deviation over passes and folds"),
    Column("mc_range", "float64", "", "largest minus smallest of all passes and folds"),
    Column("entropy", "float64", "bit", "of mc_mean"),
    Column("mutual_info", "float64", "bit", "what passes and folds differ in"),
    Column("fold_std", "float64", "", "deviation over folds"),
)
_DECISION = (
    Column("threshold", "float64", "", "from which on a segment is stalled"),
    Column("call", "str", "", "stalled, flowing or undecided"),
    Column("needs_review", "bool", "", "whether somebody should look"),
    Column("review_reason", "uint16", "bits", "of volkit.kernels.stall_decision.REASONS"),
    Column("priority", "float64", "", "1 first, 0 not at all"),
)
_HUMAN = (
    Column("reviewer", "str", "", "who answered last"),
    Column("review_label", "str", "", "stalled, flowing or unsure"),
    Column("reviewed_at", "str", "", "when, ISO 8601"),
    Column("crowd_score", "float64", "", "share of the crowd that said stalled"),
    Column("n_votes", "Int64", "", "of the crowd"),
    Column("expert_label", "str", "", "stalled or flowing, by an expert"),
    Column("tier1", "boolean", "", "whether the label is of high confidence"),
)
_PROVENANCE = tuple(
    Column(name, "str", "", what)
    for name, what in (
        ("model_name", "cards of the networks"),
        ("model_version", "of the cards"),
        ("weights_sha256", "digest of the weights of all folds"),
        ("preprocess_hash", "digest of how cuboids are made"),
        ("config_hash", "digest of the workflow"),
        ("volkit_version", "that made the table"),
        ("input_uri", "where the voxels lie"),
        ("input_version", "digest of the input"),
        ("created_at", "when the run was begun, ISO 8601"),
    )
)
HUMAN = tuple(column.name for column in _HUMAN)
"""Columns that people fill in; predictions never change them."""


def stall_schema(folds: int) -> Schema:
    """Give the columns of a stall table.

    Parameters
    ----------
    folds : int
        Networks whose answers are kept apart.

    Returns
    -------
    Schema

    Examples
    --------
    >>> [name for name in stall_schema(2).names if name.startswith("p_fold")]
    ['p_fold_0', 'p_fold_1']
    """
    each = (
        Column(f"p_fold_{k}", "float64", "", f"mean over views, fold {k}") for k in range(folds)
    )
    return Schema(
        (
            *_IDENTITY,
            *_GEOMETRY,
            *_SIGNAL,
            *each,
            *_MODEL,
            *_CALIBRATED,
            *_UNCERTAINTY,
            *_DECISION,
            *_HUMAN,
            *_PROVENANCE,
        )
    )


def folds_of(frame: pd.DataFrame) -> int:
    """Count the folds of a table by its columns."""
    return sum(str(name).startswith("p_fold_") for name in frame.columns)


def completed(frame: pd.DataFrame, *, folds: int) -> pd.DataFrame:
    """Bring a table into the form of its schema.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns of the schema in any order; those that may be null can be missing.
    folds : int
        As for `stall_schema`.

    Returns
    -------
    pandas.DataFrame
        All columns, typed, null where nothing was computed, sorted by volume and segment.

    Raises
    ------
    ContractError
        If a segment is there twice, a column is unknown, or one that is never null is missing.
    """
    schema = stall_schema(folds)
    strange = [str(name) for name in frame.columns if name not in schema.names]
    nullable = {c.name for c in schema.columns if c.dtype in _NULLABLE}
    missing = sorted({*schema.names} - {*frame.columns} - nullable)
    if strange or missing:
        raise ContractError(
            f"the table has unknown columns {', '.join(strange) or '(none)'} and misses "
            f"{', '.join(missing) or 'none'}; its schema is volkit.ops.stall_schema.stall_schema"
        )
    check_unique(frame)
    typed = {c.name: _column(frame, c) for c in schema.columns}
    return pd.DataFrame(typed).sort_values(KEY, kind="stable", ignore_index=True)


def _column(frame: pd.DataFrame, column: Column) -> "pd.Series[Any]":
    values = frame.get(column.name, pd.Series([None] * len(frame), frame.index, dtype=object))
    return values.astype(column.dtype)  # type: ignore[call-overload]


def check_unique(frame: pd.DataFrame) -> None:
    """Refuse a table in which a segment is there twice.

    Raises
    ------
    ContractError
        If one is; the first ones are named.
    """
    twice = frame[frame.duplicated(KEY, keep=False)]
    if len(twice):
        shown = ", ".join(
            f"{v}/{s}" for v, s in zip(twice["volume_id"], twice["segment_id"], strict=True)
        )
        raise ContractError(
            f"segments are there twice: {shown[:200]}; every segment of a volume has an id of its "
            "own: make the ids unique, or drop the copies"
        )
