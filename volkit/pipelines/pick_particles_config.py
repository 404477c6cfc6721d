"""Configuration of ``pick_particles``: the keys of its workflow files."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.geometry.scale import Vector
from volkit.io.faults import Patience
from volkit.io.sources import CacheOptions
from volkit.kernels.matching import Match
from volkit.models.ensemble import EnsembleOptions
from volkit.ops.inference import InferenceOptions
from volkit.ops.particle_convention import CZII, PointConvention
from volkit.pipelines.cluster import ClusterOptions

Picked = Literal["star", "csv", "czii", "portal", "annotations", "copick"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TomogramKeys:
    """A tomogram of a list; at least an image or a stored heat map.

    Parameters
    ----------
    image : str, optional
        Path or URI of the tomogram.
    heat : str, optional
        Path or URI of its stored heat maps, instead of a network.
    name : str, optional
        In tables and of files; None takes the name of the file.
    truth : str, optional
        Its true points: a table, or ``specimen://tomogram?...``.
    """

    image: str | None = None
    heat: str | None = None
    name: str | None = None
    truth: str | None = None

    def __post_init__(self) -> None:
        if self.image is None and self.heat is None:
            raise ConfigError("a tomogram of the list has neither image nor heat; give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomogramsInput:
    """Which tomograms: a list, a copick project, or a folder.

    Parameters
    ----------
    tomograms : tuple of str or TomogramKeys
        Paths or URIs, or mappings of them.
    copick : str, optional
        A copick project: its configuration or its folder.
    runs : tuple of str
        Of the project; none takes all.
    kind : str, optional
        Of its tomograms, such as ``denoised``; None takes the only one.
    voxel_spacing : float, optional
        Of its tomograms, ångström; None takes the only one.
    folder : str, optional
        Folder or bucket of ``.mrc``, ``.map``, ``.rec`` and ``.zarr``.
    heat : str, optional
        Where stored heat maps lie, with ``{name}`` for the tomogram; instead of a network.
    level, voxel_size_nm, missing, credentials, patience, cache
        See ``OpenOptions``; a voxel size is for tomograms that do not state theirs.

    Raises
    ------
    ConfigError
        If there is not exactly one of list, project and folder, or a key belongs to another one.
    """

    tomograms: tuple[str | TomogramKeys, ...] = ()
    copick: str | None = None
    runs: tuple[str, ...] = ()
    kind: str | None = None
    voxel_spacing: float | None = None
    folder: str | None = None
    heat: str | None = None
    level: int | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"
    credentials: str | None = None
    patience: Patience = field(default_factory=Patience)
    cache: CacheOptions | None = None

    def __post_init__(self) -> None:
        told = {"tomograms": self.tomograms, "copick": self.copick, "folder": self.folder}
        given = [name for name, value in told.items() if value]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given) or 'nothing'} given; give exactly one of tomograms (a "
                "list), copick (a project) and folder"
            )
        if self.copick is None and (self.runs or self.kind or self.voxel_spacing):
            raise ConfigError("runs, kind and voxel_spacing choose from a copick project; name it")
        if self.heat is not None and "{name}" not in self.heat:
            raise ConfigError(
                f"heat is {self.heat!r}; write {{name}} where the tomogram's name stands"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PickKeys:
    """What counts as a particle; see :class:`~volkit.ops.particle_options.PickOptions`.

    Parameters
    ----------
    threshold : float or dict of str to float, optional
        One for all classes, or one for each; None takes those of the network's card, or 0.5.
    kernel, refine, exclusion_nm, across_classes, target_offset
        As there.
    """

    threshold: float | dict[str, float] | None = None
    kernel: Coord | int = 7
    refine: bool = False
    exclusion_nm: float | dict[str, float] | None = None
    across_classes: bool = False
    target_offset: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthKeys:
    """True points, and how picks are scored against them.

    Parameters
    ----------
    points : str, optional
        Path or URI of them; None takes picks of the copick project, or those of the list.
    user, session : str, optional
        Whose picks of a copick project are true, and of which session.
    radius_nm, weight, share, beta
        As for :class:`~volkit.ops.particle_convention.PointConvention`; without radii, those of
        the CZII challenge.
    """

    points: str | None = None
    user: str | None = None
    session: str | None = None
    radius_nm: dict[str, float] = field(default_factory=dict)
    weight: dict[str, float] = field(default_factory=dict)
    share: float = 0.5
    beta: float = 4.0

    def __post_init__(self) -> None:
        self.convention("czii")

    def convention(self, match: Match) -> PointConvention:
        """Give classes, radii and weights, with one way of matching."""
        radius = self.radius_nm or CZII.radius_nm
        weight = self.weight or ({} if self.radius_nm else CZII.weight)
        return PointConvention(radius, weight, self.share, self.beta, match)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteKeys:
    """What is written beside ``picks.parquet``.

    Parameters
    ----------
    formats : tuple of str
        ``star`` (RELION) and ``annotations`` (Neuroglancer), one for each tomogram; ``portal``
        (ndjson), one for each of its classes; ``csv`` and ``czii`` (the challenge's), one for all;
        ``copick``.
    copick : str, optional
        The project that gets picks; None takes the one that the tomograms come from.
    user, session : str
        Who picked, and when, as copick wants to know.
    """

    formats: tuple[Picked, ...] = ("star",)
    copick: str | None = None
    user: str = "volkit"
    session: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PickParticles:
    """The keys of a workflow file.

    Parameters
    ----------
    input : TomogramsInput
        Which tomograms.
    output : str
        Folder of the run.
    checkpoint : str, tuple of str or EnsembleOptions, optional
        Card of a network that answers heat maps; not with stored ones.
    classes : tuple of str
        What the channels of stored heat maps are; a card says its own.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels; the picks do not depend on it.
    truth : TruthKeys, optional
        True points; None scores nothing, unless the list names some.
    infer, pick, write, cluster
        See their classes.

    Raises
    ------
    ConfigError
        If there are a network and stored heat maps, or neither, or something has no place.
    """

    input: TomogramsInput
    output: str
    checkpoint: str | tuple[str, ...] | EnsembleOptions | None = None
    classes: tuple[str, ...] = ()
    block_shape: Coord = (128, 256, 256)
    infer: InferenceOptions = field(default_factory=InferenceOptions)
    pick: PickKeys = field(default_factory=PickKeys)
    truth: TruthKeys | None = None
    write: WriteKeys = field(default_factory=WriteKeys)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")
        listed = [item for item in self.input.tomograms if isinstance(item, TomogramKeys)]
        stored = self.input.heat is not None or any(item.heat for item in listed)
        if stored == (self.checkpoint is not None):
            raise ConfigError(
                f"{'both' if stored else 'neither'} checkpoint and stored heat maps given; give a "
                "network's card, or heat maps (input.heat, or heat of each tomogram)"
            )
        bare = stored and self.input.heat is None and len(listed) < len(self.input.tomograms)
        if bare or (stored and self.input.heat is None and not all(i.heat for i in listed)):
            raise ConfigError("some tomograms have heat maps and others none; give heat for each")
        self._check_truth(any(item.truth for item in listed))
        if "copick" in self.write.formats and not (self.write.copick or self.input.copick):
            raise ConfigError("write.copick is missing: name the project that gets the picks")

    def _check_truth(self, listed: bool) -> None:
        told = self.truth
        if told is not None and not (told.points or self.input.copick or listed):
            raise ConfigError("truth.points is missing: name the table of true points")
        if told is not None and not told.points and not listed and not (told.user or told.session):
            raise ConfigError(
                "truth names neither points, user nor session; say whose picks of the project are "
                "true, such as user: curation"
            )
