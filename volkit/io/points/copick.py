r"""Copick projects: tomograms and picks in folders, read and written without the package copick.

::

    ROOT/ExperimentRuns/RUN/VoxelSpacing10.012/TYPE.zarr
    ROOT/ExperimentRuns/RUN/Picks/USER_SESSION_OBJECT.json

There may be two roots: picks are written to the overlay, and both are read.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import ConfigError, SourceError
from volkit.io.objects.protocol import open_objects
from volkit.io.points.copick_places import CopickRoots, find_roots
from volkit.io.points.options import ANGSTROM_DECIMALS, ANGSTROM_PER_NM
from volkit.io.points.table import centres_of, points_frame
from volkit.io.sources import OpenOptions

_SPACING = re.compile(r"VoxelSpacing([0-9.]+)$")
_PICKS = re.compile(r"[^/]+\.json")
_NAME = re.compile(r"[^\s/_\\]+")


@dataclass(frozen=True, slots=True)
class CopickProject:
    """A project of tomograms and picks.

    Parameters
    ----------
    uri : str
        Its configuration, or its folder.
    roots : CopickRoots
        Where it keeps what.
    radius_nm : dict of str to float or None
        Objects that may be picked, with their radius where it is stated; empty where there is no
        configuration.
    options : OpenOptions or None
        Credentials and patience.
    """

    uri: str
    roots: CopickRoots
    radius_nm: dict[str, float | None]
    options: OpenOptions | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs: one tomogram, or several versions of one."""
        return self.roots.children("ExperimentRuns")

    def tomogram(
        self, run: str, *, kind: str | None = None, voxel_spacing: float | None = None
    ) -> str:
        """Find a tomogram.

        Parameters
        ----------
        run : str
            Its run.
        kind : str or None
            Such as ``denoised``; None takes the only one.
        voxel_spacing : float or None
            As folders are called, ångström; None takes the only one.

        Returns
        -------
        str
            What ``open_volume`` takes.

        Raises
        ------
        SourceError
            If there is none, or several.
        """
        self._check_run(run)
        there = sorted(self._tomograms(run))
        fits = [
            uri
            for spacing, name, uri in there
            if kind in (None, name) and voxel_spacing in (None, spacing)
        ]
        if len(fits) != 1:
            asked = f"{kind or 'any type'} at {voxel_spacing or 'any'} Å"
            listed = ", ".join(f"{name} at {spacing:g} Å" for spacing, name, _ in there)
            raise SourceError(
                f"{self.uri}: run {run} has {len(fits)} tomograms of {asked}; it has "
                f"{listed or 'none'}: choose one by kind and voxel_spacing"
            )
        return fits[0]

    def picks(
        self, run: str, *, user: str | None = None, session: str | None = None
    ) -> pd.DataFrame:
        """Read the picks of a run.

        Parameters
        ----------
        run : str
            Of which.
        user, session : str or None
            Whose and which; None takes all.

        Returns
        -------
        pandas.DataFrame
            Points, with the run as their tomogram.

        Raises
        ------
        SourceError
            If there is no such run, or a file of picks is damaged.
        """
        self._check_run(run)
        parts = [points_frame([], [], tomograms=[])]
        folder = f"ExperimentRuns/{run}/Picks"
        for name in self.roots.children(folder):
            if not _PICKS.fullmatch(name):
                continue
            where, data = self.roots.get(f"{folder}/{name}")
            found = _parsed(where, data)
            whose = user in (None, found.get("user_id"))
            if whose and session in (None, str(found.get("session_id"))):
                parts.append(_frame(where, found, run))
        return pd.concat(parts, ignore_index=True)

    def write_picks(
        self, run: str, frame: pd.DataFrame, *, user: str = "volkit", session: str = "1"
    ) -> tuple[str, ...]:
        """Write picks to the overlay, one file for each class.

        Parameters
        ----------
        run : str
            Of which; it need not be there yet.
        frame : pandas.DataFrame
            Points of this run.
        user, session : str
            Who picked, and when; what they wrote for these classes before is replaced.

        Returns
        -------
        tuple of str
            Where the picks lie.

        Raises
        ------
        SourceError
            If a class is no object of the project, or the table names other runs.
        ConfigError
            If a name does not fit into a file's name.
        """
        named = [("user", user), ("session", session), *(("class", n) for n in set(frame["class"]))]
        for what, name in named:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"{what} is {name!r}; names of copick have no space, slash or underscore"
                )
        others = set(frame["tomogram"]) - {run} if "tomogram" in frame.columns else set()
        unknown = set(frame["class"]) - set(self.radius_nm) if self.radius_nm else set()
        if others or unknown:
            raise SourceError(
                f"picks for run {run} of {self.uri} name "
                f"{', '.join(sorted(map(str, others | unknown)))}, which is no object of the "
                f"project ({', '.join(self.radius_nm) or 'any'}) or another run; write each run's "
                "own, or add the object to the configuration"
            )
        written = []
        objects = open_objects(self.roots.overlay, self.options)
        for name in sorted(set(frame["class"])):
            key = f"ExperimentRuns/{run}/Picks/{user}_{session}_{name}.json"
            objects.put(key, _json(frame[frame["class"] == name], name, run, user, session))
            written.append(f"{self.roots.overlay.rstrip('/')}/{key}")
        return tuple(written)

    def _check_run(self, run: str) -> None:
        if run not in self.runs:
            shown = ", ".join(self.runs[:10]) or "none"
            raise SourceError(f"{self.uri} has no run {run!r}; its runs are {shown}")

    def _tomograms(self, run: str) -> Iterator[tuple[float, str, str]]:
        for folder in self.roots.children(f"ExperimentRuns/{run}"):
            spacing = _SPACING.fullmatch(folder)
            if not spacing:
                continue
            for name in self.roots.children(f"ExperimentRuns/{run}/{folder}"):
                kind = name.removesuffix(".zarr")
                if kind != name and not kind.endswith("_features"):
                    uri = self.roots.place(f"ExperimentRuns/{run}/{folder}/{name}")
                    yield float(spacing[1]), kind, uri


def open_copick(uri: str, options: OpenOptions | None = None) -> CopickProject:
    """Open a project.

    Parameters
    ----------
    uri : str
        Its JSON configuration, or a folder with ``ExperimentRuns``, or with ``static`` and
        ``overlay`` that have it.
    options : OpenOptions or None
        Credentials and patience.

    Returns
    -------
    CopickProject

    Raises
    ------
    SourceError
        If it is no project, or its data are reached in a way that is not known here.
    """
    roots, config = find_roots(str(uri), options)
    radius: dict[str, float | None] = {}
    for each in config.get("pickable_objects", []):
        angstrom = each.get("radius")
        radius[str(each["name"])] = None if angstrom is None else float(angstrom) / ANGSTROM_PER_NM
    return CopickProject(str(uri), roots, radius, options)


def parsed_picks(uri: str, data: bytes) -> pd.DataFrame:
    """Read one file of picks."""
    found = _parsed(uri, data)
    return _frame(uri, found, str(found.get("run_name") or ""))


def _parsed(uri: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
        whole = isinstance(found["pickable_object_name"], str) and found.get("points") is not None
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{uri} holds no picks of copick ({error!r}); check the file") from error
    if not whole or found.get("unit", "angstrom") != "angstrom":
        raise SourceError(
            f"{uri}: picks of {found['pickable_object_name']!r} in {found.get('unit')!r} cannot be "
            "read; expected points in angstrom"
        )
    return found


def _frame(uri: str, found: dict[str, Any], run: str) -> pd.DataFrame:
    try:
        places = [[float(p["location"][axis]) for axis in "zyx"] for p in found["points"]]
        scores = [float(1.0 if p.get("score") is None else p["score"]) for p in found["points"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{uri} has a point without location ({error!r}); mend it") from error
    centres = np.array(places, np.float64).reshape(-1, 3) / ANGSTROM_PER_NM
    return points_frame(centres, found["pickable_object_name"], scores=scores, tomograms=run)


def _json(rows: pd.DataFrame, name: str, run: str, user: str, session: str) -> bytes:
    angstrom = np.round(centres_of(rows) * ANGSTROM_PER_NM, ANGSTROM_DECIMALS)
    identity = np.eye(4).tolist()
    points = [
        {
            "location": {"x": x, "y": y, "z": z},
            "transformation_": identity,
            "instance_id": 0,
            "score": score,
        }
        for (z, y, x), score in zip(angstrom.tolist(), rows["score"].tolist(), strict=True)
    ]
    return json.dumps(
        {
            "pickable_object_name": name,
            "user_id": user,
            "session_id": session,
            "run_name": run,
            "voxel_spacing": None,
            "unit": "angstrom",
            "points": points,
            "trust_orientation": False,
        },
        indent=1,
    ).encode()
