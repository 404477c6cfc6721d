"""Draft: what a workflow file is written from, and the parts that several have in common."""

import json
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from volkit.geometry import Coord
from volkit.pipelines.proposal.choice import Network, by
from volkit.pipelines.proposal.roles import Roles
from volkit.version import __version__


@dataclass(frozen=True, slots=True)
class Draft:
    """What a workflow file is written from.

    Parameters
    ----------
    roles : Roles
        What there is.
    file : Path
        Where it will lie.
    block_shape : tuple of int
        Unit of work, voxels.
    places : dict of str to str
        How the file names each volume, by its URI.
    network : Network or None
        Where there is one.
    folder : str or None
        Of tomograms, instead of a list.
    credentials : str or None
        Of the stores, as ``env:NAME``.
    """

    roles: Roles
    file: Path
    block_shape: Coord
    places: dict[str, str]
    network: Network | None = None
    folder: str | None = None
    credentials: str | None = None

    def head(self, pipeline: str) -> str:
        """Write what a file begins with."""
        verb = "train" if pipeline.startswith("train") else "run"
        found = "".join(f"#   {look.name}: {look.says}\n" for look in self.roles.all)
        doubts = (
            f"#\n# PLEASE CHECK: {n.name}: {n.uncertain}\n" for n in self.roles.all if n.doubt
        )
        file = quote(self.file.name)
        plan = f"#   volkit plan {file} # what it will read, compute and need\n"
        return (
            f"# Written by `volkit init`, volkit {__version__}, for what was found:\n#\n{found}"
            f"{''.join(doubts)}#\n"
            f"{'' if verb == 'train' else plan}"
            f"#   volkit {verb} {file} # run again, it goes on where it was\n#\n"
            "# Relative paths are meant from the folder of this file.  What is left out has its\n"
            f"# default; `volkit schema {pipeline}` says which keys there are.\n"
            f"pipeline: {pipeline}\n\n"
        )

    @property
    def output(self) -> str:
        """Folder of the run, which no other workflow beside this one takes."""
        return quoted(f"runs/{self.file.stem}")

    @property
    def blocks(self) -> str:
        """The key of blocks."""
        return (
            "# The unit of work: fits the memory of this machine.  Results do not depend on it.\n"
            f"block_shape: {list(self.block_shape)}\n"
        )

    def place(self, role: str) -> str:
        """Write a volume as the file names it."""
        return quoted(self.places[getattr(self.roles, role).uri])

    def truth(self) -> str:
        """Write the key of the truth, also where there is none."""
        if self.roles.truth is None:
            return "  # truth: labels.zarr # true labels of the same voxels, to be scored against\n"
        return f"  truth: {self.place('truth')} # the result is scored against it\n"

    def voxel_size(self) -> str:
        """Write the key of the voxel size, where a volume does not say it and a person did."""
        given = (look.volume.options.voxel_size_nm for look in self.roles.all)
        found = next((size for size in given if size is not None), None)
        return "" if found is None else f"  voxel_size_nm: {list(found)} # z, y, x\n"

    def access(self) -> str:
        """Write the keys of how volumes are opened, where a person said something of it."""
        stores = f"  credentials: {quoted(self.credentials)}\n" if self.credentials else ""
        return self.voxel_size() + stores

    def box(self) -> str:
        """Write how to begin with a part."""
        volume, network = self.roles.main.volume, self.network
        domain = (volume if network is None else volume.at_level(network.level)).domain
        start, sides = domain.start, zip(domain.shape, self.block_shape, strict=True)
        stop = [s + min(side) for s, side in zip(start, sides, strict=True)]
        return f"  # box: {{start: {list(start)}, stop: {stop}}} # to begin with a part, voxels\n"

    def level(self) -> str:
        """Write the key of the level."""
        look, network = self.roles.main, self.network
        if network is None or look.volume.levels == 1 or look.states_level:
            return ""
        size = by(look.volume.at_level(network.level).voxel_size_nm)
        trained = network.checkpoint.voxel_size_nm
        why = f"; the network knows {by(trained)} nm" if trained else ""
        return f"  level: {network.level} # of {look.volume.levels}: {size} nm{why}\n"


def quoted(text: str) -> str:
    """Write text so that YAML takes it for nothing else."""
    return json.dumps(text, ensure_ascii=False)
