"""Skeletons of SWC files, as a viewer asks for them.

The format has no unit of its own; as its authors have it, lengths are micrometres.

References
----------
R. C. Cannon et al., An on-line archive of reconstructed hippocampal neurons, 1998,
https://doi.org/10.1016/S0165-0270(98)00091-0
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.viewer.frame import Frame

Unit = Literal["nm", "um"]

_NM = {"nm": 1.0, "um": 1000.0}
_COLUMNS = 7  # id, type, x, y, z, radius, parent


@dataclass(frozen=True, slots=True)
class Skeleton:
    """One skeleton.

    Parameters
    ----------
    places_nm : ndarray of float64, shape (N, 3)
        Nodes, (z, y, x).
    edges : ndarray of uint32, shape (M, 2)
        Pairs of nodes.
    radius_nm : ndarray of float32, shape (N,)
        Of each node.
    """

    places_nm: NDArray[np.float64]
    edges: NDArray[np.uint32]
    radius_nm: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ServedSkeletons:
    """Skeletons as a precomputed layer.

    Parameters
    ----------
    skeletons : mapping of int to Skeleton
        By id.
    frame : Frame
        Where the viewer counts from.
    """

    skeletons: Mapping[int, Skeleton]
    frame: Frame

    def answer(self, path: str) -> bytes | None:
        """Answer what a viewer asks for: ``info``, or a skeleton by its id; else None."""
        if path == "info":
            return json.dumps(self.info()).encode()
        found = self.skeletons.get(int(path)) if path.isdigit() else None
        if found is None:
            return None
        places = self.frame.from_nm(found.places_nm)[:, ::-1].astype("<f4")
        counts = np.array([len(places), len(found.edges)], "<u4")
        parts = (counts, places, found.edges.astype("<u4"), found.radius_nm.astype("<f4"))
        return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def info(self) -> dict[str, Any]:
        """Describe the layer."""
        return {
            "@type": "neuroglancer_skeletons",
            "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
            "vertex_attributes": [
                {"id": "radius", "data_type": "float32", "num_components": 1},
            ],
        }


def read_skeletons(path: Path, unit: Unit = "um") -> dict[int, Skeleton]:
    """Read one SWC file, or all of a folder.

    Parameters
    ----------
    path : Path
        ``NAME.swc``, or a folder of them; the last number in a name is the id, else the place in
        the folder, from 1.
    unit : {'um', 'nm'}
        Of its lengths.

    Returns
    -------
    dict of int to Skeleton

    Raises
    ------
    SourceError
        If there is none, or a line is no node.
    """
    files = sorted(path.glob("*.swc")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise SourceError(f"{path} holds no skeletons; give a file NAME.swc, or a folder of them")
    found: dict[int, Skeleton] = {}
    for number, file in enumerate(files, 1):
        named = re.findall(r"\d+", file.stem)
        key = int(named[-1]) if named else number
        if key in found:
            raise SourceError(f"{file}: another file of {path} has the id {key}, too; rename one")
        found[key] = _skeleton(file, _NM[unit])
    return found


def _skeleton(file: Path, nm: float) -> Skeleton:
    rows = []
    for line, text in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = text.partition("#")[0].split()
        if not words:
            continue
        try:
            rows.append([float(word) for word in words[:_COLUMNS]])
            if len(words) < _COLUMNS:
                raise ValueError
        except ValueError:
            raise SourceError(
                f"{file}, line {line}: {text[:60]!r} is no node; expected its id, type, x, y, z, "
                "radius and parent"
            ) from None
    if not rows:
        raise SourceError(f"{file} holds no node; check the file")
    table = np.array(rows)
    ids = {int(node): n for n, node in enumerate(table[:, 0])}
    edges = []
    for n, parent in enumerate(table[:, 6].astype(int)):
        if parent == -1:
            continue
        if parent not in ids:
            raise SourceError(f"{file}: node {int(table[n, 0])} has the parent {parent}, which is "
                              "not there; the file may be cut")  # fmt: skip
        edges.append((n, ids[parent]))
    pairs = np.array(edges, np.uint32).reshape(-1, 2)
    return Skeleton(table[:, [4, 3, 2]] * nm, pairs, (table[:, 5] * nm).astype(np.float32))
