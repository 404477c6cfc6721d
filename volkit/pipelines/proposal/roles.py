"""Roles: what each of somebody's volumes is for, and which pipeline they fit together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from volkit.errors import ConfigError
from volkit.pipelines.proposal.guess import Kind
from volkit.pipelines.proposal.look import Look

WRITTEN = (
    "segment_neurons",
    "segment_boundaries",
    "segment_affinities",
    "pick_particles",
    "statistics",
    "train_boundaries",
)


@dataclass(frozen=True, slots=True)
class Roles:
    """What there is, by what it is for.

    Parameters
    ----------
    image, labels, classes, boundaries, affinities : Look or None
        At most one of each.
    tomograms : tuple of Look
        Any number.
    """

    image: Look | None = None
    labels: Look | None = None
    classes: Look | None = None
    boundaries: Look | None = None
    affinities: Look | None = None
    tomograms: tuple[Look, ...] = ()

    @property
    def truth(self) -> Look | None:
        """What a segmentation can be scored against, or learnt from: labels of few objects, too."""
        return self.labels or self.classes

    @property
    def all(self) -> tuple[Look, ...]:
        """Everything."""
        found = (self.image, self.boundaries, self.affinities, self.labels, self.classes)
        return (*(look for look in found if look is not None), *self.tomograms)

    @property
    def main(self) -> Look:
        """What the work is done on."""
        order = (self.affinities, self.boundaries, self.image, *self.tomograms, self.truth)
        return next(look for look in order if look is not None)


def roles_of(looks: Sequence[Look], pipeline: str | None = None) -> Roles:
    """Give each volume its role.

    Parameters
    ----------
    looks : sequence of Look
        One at least.
    pipeline : str, optional
        What they are for: one that has no tomograms takes them for images.

    Returns
    -------
    Roles

    Raises
    ------
    ConfigError
        If two have one role, or they are not of the same voxels.
    """
    if pipeline not in (None, "pick_particles"):
        kinds: list[Kind] = ["image" if k.kind == "tomogram" else k.kind for k in looks]
    else:
        kinds = [look.kind for look in looks]
    if pipeline == "pick_particles":
        kinds = ["tomogram" if kind == "image" else kind for kind in kinds]
    found: dict[str, Look] = {}
    for look, kind in zip(looks, kinds, strict=True):
        if kind == "tomogram":
            continue
        if kind in found:
            raise ConfigError(
                f"{found[kind].uri} and {look.uri} both look like {look.says.partition(':')[0]}; "
                "a workflow works on one: write one for each, or a batch file (volkit batch)"
            )
        found[kind] = look
    tomograms = tuple(look for look, kind in zip(looks, kinds, strict=True) if kind == "tomogram")
    _check_shapes(list(found.values()))
    return Roles(**found, tomograms=tomograms)


def pipeline_for(roles: Roles) -> str:
    """Choose what the data fit.

    Parameters
    ----------
    roles : Roles
        What there is.

    Returns
    -------
    str
        Name of a pipeline.

    Raises
    ------
    ConfigError
        If they fit none together.
    """
    if roles.tomograms:
        if roles.image or roles.truth or roles.boundaries or roles.affinities:
            raise ConfigError(
                "tomograms and other volumes fit no pipeline together; give tomograms alone, or "
                "say --pipeline"
            )
        return "pick_particles"
    if roles.affinities is not None:
        return "segment_affinities"
    if roles.boundaries is not None:
        return "segment_boundaries"
    if roles.classes is not None and roles.labels is None:
        return "statistics"
    return "segment_neurons" if roles.image is not None else "statistics"


def check_fit(roles: Roles, pipeline: str) -> None:
    """Refuse a pipeline that lacks something.

    Raises
    ------
    ConfigError
        If it does, or it is none that can be written.
    """
    if pipeline not in WRITTEN:
        raise ConfigError(
            f"init writes workflows of {', '.join(WRITTEN)}, not of {pipeline!r}; begin with one "
            "that ships (volkit demo --no-run copies them)"
        )
    needs: dict[str, tuple[tuple[object, str], ...]] = {
        "segment_neurons": ((roles.image, "an image"),),
        "segment_boundaries": ((roles.boundaries or roles.image, "a map of boundaries"),),
        "segment_affinities": ((roles.affinities, "affinities"),),
        "pick_particles": ((roles.tomograms, "tomograms"),),
        "statistics": ((roles.truth, "labels"),),
        "train_boundaries": ((roles.image, "an image"), (roles.truth, "its labels")),
    }
    missing = [what for found, what in needs[pipeline] if not found]
    if missing:
        raise ConfigError(
            f"{pipeline} needs {' and '.join(missing)}; give them as well, or leave out --pipeline"
        )


def _check_shapes(looks: Sequence[Look]) -> None:
    for first, other in pairwise(looks):
        if other.volume.domain != first.volume.domain:
            raise ConfigError(
                f"{first.uri} covers {first.volume.domain}, {other.uri} {other.volume.domain}; "
                "volumes of one workflow have the same voxels: give levels (?level=1) or copies "
                "(volkit mirror --box) that do"
            )
