"""Writing: from what a person has to a workflow file that can be planned."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry.scale import Vector
from volkit.io.credentials import Credentials
from volkit.io.uris import local_path
from volkit.pipelines.proposal.bodies import written
from volkit.pipelines.proposal.choice import (
    Network,
    block_shape,
    boundary_network,
    fitting,
    particle_network,
)
from volkit.pipelines.proposal.draft import Draft
from volkit.pipelines.proposal.look import Look, look_at, stated_kind, tomogram_files
from volkit.pipelines.proposal.roles import Roles, check_fit, pipeline_for, roles_of
from volkit.pipelines.registry import read_workflow


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person says beside naming data; None is found out.

    Parameters
    ----------
    pipeline : str or None
        What to do.
    checkpoint : str or None
        Card of a network.
    voxel_size_nm : tuple of float or None
        Of level 0, (z, y, x), nanometres, for what does not say it.
    credentials : str or None
        Of the stores.
    """

    pipeline: str | None = None
    checkpoint: str | None = None
    voxel_size_nm: Vector | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A workflow file that was written.

    Parameters
    ----------
    file : Path
        Where it lies.
    pipeline : str
        What it is for.
    seen : tuple of str
        What was found, a line for each volume.
    notes : tuple of str
        What is to be known before it is run.
    following : str
        Command that takes the file next.
    """

    file: Path
    pipeline: str
    seen: tuple[str, ...]
    notes: tuple[str, ...]
    following: str


def write_workflow(
    uris: Sequence[str],
    file: Path | None = None,
    *,
    wishes: Wishes | None = None,
    replace: bool = False,
) -> Proposal:
    """Look at data, and write a workflow for them.

    Parameters
    ----------
    uris : sequence of str
        Volumes of the same voxels, or tomograms, or a folder of these; ``KIND=URI`` says what one
        is: image, tomogram, boundaries, affinities, labels, classes.
    file : Path or None
        To be written; None is named after the data, in the current folder.
    wishes : Wishes or None
        What is not to be found out.
    replace : bool
        Whether a file that is there is replaced.

    Returns
    -------
    Proposal

    Raises
    ------
    SourceError
        If a volume cannot be read.
    ConfigError
        If no pipeline fits, a file is there already, or no block fits the memory.
    """
    wishes = wishes or Wishes()
    files = tomogram_files(uris[0]) if len(uris) == 1 else ()
    folder = uris[0] if files else None
    named = [stated_kind(text) for text in ([str(files[0])] if files else uris)]
    looks = [
        look_at(uri, kind=kind, voxel_size_nm=wishes.voxel_size_nm, credentials=wishes.credentials)
        for kind, uri in named
    ]
    wanted = "pick_particles" if folder and wishes.pipeline is None else wishes.pipeline
    roles = roles_of(looks, wanted)
    pipeline = wanted or pipeline_for(roles)
    check_fit(roles, pipeline)
    target = file or Path(f"{_stem(roles.main)}.yaml")
    if target.exists() and not replace:
        raise ConfigError(f"{target} is there already; give --output, or --replace to replace it")
    network = _network(roles, pipeline, wishes.checkpoint)
    draft = Draft(
        roles=roles,
        file=target,
        block_shape=block_shape(_domain_shape(roles.main, network)),
        places={uri: _placed(uri, target) for _, uri in named},
        network=network,
        folder=None if folder is None else _placed(folder, target),
        credentials=wishes.credentials if isinstance(wishes.credentials, str) else None,
    )
    _write(draft, pipeline)
    return Proposal(
        file=target,
        pipeline=pipeline,
        seen=tuple(f"{look.name}: {look.says}" for look in roles.all),
        notes=tuple(_notes(roles, network, pipeline)),
        following="train" if pipeline.startswith("train") else "plan",
    )


def _write(draft: Draft, pipeline: str) -> None:
    """Write a file whose blocks fit, and read it as a run will."""
    text = written(draft, pipeline)
    block = fitting(text, draft.block_shape, pipeline=pipeline, file=draft.file)
    draft.file.parent.mkdir(parents=True, exist_ok=True)
    draft.file.write_text(written(replace(draft, block_shape=block), pipeline), encoding="utf-8")
    read_workflow(draft.file)


def _network(roles: Roles, pipeline: str, card: str | None) -> Network | None:
    if pipeline == "pick_particles":
        return particle_network(roles.main, card)
    stored = pipeline == "segment_boundaries" and roles.boundaries is not None
    if roles.image is not None and not stored and pipeline.startswith(("segment_n", "segment_b")):
        levels = min(look.volume.levels for look in roles.all)  # the truth has the same one
        return boundary_network(roles.image, card, levels=levels)
    if card is not None:
        raise ConfigError(
            f"--checkpoint {card}: {pipeline} of these data runs no network; where an image was "
            "taken for something else, say what it is: image=URI"
        )
    return None


def _notes(roles: Roles, network: Network | None, pipeline: str) -> list[str]:
    notes = [network.remark] if network is not None and network.remark else []
    notes += [
        f"{look.name}: {look.unsound:.2%} of what was read is NaN or infinite, which kernels "
        "refuse: replace these voxels first"
        for look in roles.all
        if look.unsound
    ]
    notes += [f"{look.name}: {look.uncertain}" for look in roles.all if look.doubt]
    if not roles.main.scaled:
        bare = roles.main.name
        notes.append(
            f"{bare} does not say how large its voxels are: lengths come out in voxels; say it "
            "with --voxel-size z,y,x (nm)"
        )
    if pipeline == "segment_affinities":
        notes.append("offsets: is what most networks mean; check it, affinities do not tell")
    if pipeline == "statistics" and roles.classes is not None:
        notes.append("classes: give them names; they were found by looking, and one may be missing")
    return notes


def _domain_shape(look: Look, network: Network | None) -> tuple[int, int, int]:
    level = look.volume.level if network is None else network.level
    return look.volume.at_level(level).shape


def _placed(uri: str, file: Path) -> str:
    """Write what lies beside the file, or below it, as meant from there; all else as it is."""
    if local_path(uri) is None:
        return uri
    whole = os.path.abspath(uri.removeprefix("file://"))  # noqa: PTH100
    folder = file.absolute().parent
    return os.path.relpath(whole, folder) if Path(whole).is_relative_to(folder) else whole


def _stem(look: Look) -> str:
    name = re.sub(r"[^\w-]+", "-", Path(look.name).stem).strip("-")
    return name or "workflow"
