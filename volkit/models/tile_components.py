"""Components of tiles: PCA and NMF, the baselines that look at pixels alone."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ModelError, missing_extra

Kind = Literal["pca", "nmf"]
Floats = NDArray[np.float32]
_ITERATIONS = 400


@dataclass(frozen=True, slots=True, eq=False)
class TileComponents:
    """Tiles as sums of components.

    Parameters
    ----------
    kind : {"pca", "nmf"}
        NMF has neither negative components nor negative shares.
    mean : ndarray of float32, shape (P,)
        Subtracted from the P pixels of a tile; 0 for NMF.
    components : ndarray of float32, shape (D, P)
        One row each.
    shape : tuple of int
        Of a tile, (C, y, x).
    """

    kind: Kind
    mean: Floats
    components: Floats
    shape: tuple[int, int, int]

    @classmethod
    def fit(cls, tiles: Floats, kind: Kind, *, count: int, seed: int = 0) -> "TileComponents":
        """Find the components of some tiles.

        Parameters
        ----------
        tiles : ndarray of float32, shape (N, C, y, x)
            Not negative for NMF.
        kind : {"pca", "nmf"}
            How.
        count : int
            Components; no more than there are tiles or pixels are found.
        seed : int
            Of the solvers, as far as they draw.

        Returns
        -------
        TileComponents

        Raises
        ------
        MissingExtraError
            If scikit-learn is not installed.
        """
        sklearn = _decomposition()
        flat = tiles.reshape(len(tiles), -1)
        count = min(count, *flat.shape)
        if kind == "pca":
            found = sklearn.PCA(count, svd_solver="full", random_state=seed).fit(flat)
            mean = found.mean_
        else:
            found = sklearn.NMF(
                count, init="nndsvda", random_state=seed, max_iter=_ITERATIONS, tol=1e-3
            ).fit(flat)
            mean = np.zeros(flat.shape[1])
        channels, y, x = tiles.shape[1:]
        kept = np.asarray(found.components_, np.float32)
        return cls(kind, np.asarray(mean, np.float32), kept, (channels, y, x))

    @property
    def features(self) -> int:
        """Number of components."""
        return len(self.components)

    @property
    def facts(self) -> dict[str, str]:
        """What decides the embeddings, as JSON."""
        digest = hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()
        return {"components": self.kind, "sha256": digest}

    def __call__(self, tiles: Floats) -> Floats:
        """Embed tiles, shape (B, C, y, x): shape (B, D)."""
        flat = tiles.reshape(len(tiles), -1)
        if flat.shape[1] != len(self.mean):
            raise ModelError(
                f"tiles of shape {tiles.shape[1:]} for components of {self.shape}; give tiles of "
                "the size that they were found in"
            )
        if self.kind == "pca":
            return np.asarray((flat - self.mean) @ self.components.T, np.float32)
        shares, _, _ = _decomposition().non_negative_factorization(
            flat,
            H=self.components,
            n_components=self.features,
            init="custom",
            update_H=False,
            max_iter=_ITERATIONS,
            tol=1e-6,
        )
        return np.asarray(shares, np.float32)

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        stream = io.BytesIO()
        np.savez(
            stream,
            kind=np.array(self.kind),
            mean=self.mean,
            components=self.components,
            shape=np.array(self.shape),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(stream.getvalue())
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "TileComponents":
        """Read what :meth:`save` wrote; nothing in it is unpickled.

        Raises
        ------
        ModelError
            If there is no such file, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                z, y, x = file["shape"].tolist()
                kind: Any = str(file["kind"])
                return cls(kind, file["mean"], file["components"], (z, y, x))
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{path} cannot be read as components of tiles ({error}); run the study again"
            ) from error


def _decomposition() -> Any:
    try:
        import sklearn.decomposition as module
    except ImportError as error:
        raise missing_extra("scikit-learn", "statistics") from error
    return module
