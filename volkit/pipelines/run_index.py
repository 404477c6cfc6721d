"""Index of a run: which of its volumes and tables has which identity."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import finished_volume, table_place
from volkit.engine.stages import Stage, find_stages
from volkit.engine.table_about import Table, read_about
from volkit.engine.verify import volume_of
from volkit.errors import SourceError
from volkit.io.place import Place
from volkit.io.volume import Volume

VERSIONS = "versions"


@dataclass(slots=True)
class RunIndex:
    """What lies in the folder of a run; looked up when it is asked for, and once.

    Parameters
    ----------
    root : Place
        The folder.
    """

    root: Place
    _stages: list[Stage] | None = field(default=None, repr=False)
    _volumes: dict[str, Volume] | None = field(default=None, repr=False)
    _tables: tuple[Table, ...] | None = field(default=None, repr=False)

    @property
    def volumes(self) -> dict[str, Volume]:
        """The volumes of its stages, by identity."""
        if self._volumes is None:
            self._volumes = dict(self._find_volumes())
        return self._volumes

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of its reductions, in the order of the stages."""
        if self._tables is None:
            self._tables = tuple(self._find_tables())
        return self._tables

    def table(self, sha256: str, reader: str) -> Table | None:
        """Find the table that a stage read.

        Parameters
        ----------
        sha256 : str
            Its digest, which several may share: two that are empty do.
        reader : str
            The stage; of several tables it read the last one that was begun before it.
        """
        order = [stage.name for stage in self.stages]
        until = order.index(reader) if reader in order else len(order)
        found = [table for table in self.tables if table.sha256 == sha256]
        before = [t for t in found if t.stage in order[:until] or t.stage not in order]
        return before[-1] if before else None

    @property
    def stages(self) -> list[Stage]:
        """Its stages, in the order in which they were begun."""
        if self._stages is None:
            try:
                self._stages = find_stages(self.root)
            except SourceError:
                self._stages = []  # a ledger that cannot be read: the chain goes on elsewhere
        return self._stages

    def _find_volumes(self) -> Iterator[tuple[str, Volume]]:
        found = (volume_of(self.root, stage) for stage in self.stages)
        shared = (finished_volume(self._bases, *noted) for noted in self._shared())
        for volume in (*found, *shared):
            if volume is None:
                continue
            try:
                yield volume.identity, volume
            except SourceError:
                continue  # not created yet, or taken away

    def _find_tables(self) -> Iterator[Table]:
        own = [stage.name for stage in self.stages if "combine" in stage.facts]
        shared = dict(self._shared())
        for stage in dict.fromkeys((*own, *shared)):
            sums = self.root.inside(f"{stage}.npz")
            if stage in shared:
                sums = table_place(self._bases, stage, shared[stage]) or sums
            finals = [place.inside(f"{stage}.final.npz") for place in (self.root, sums.above)]
            for place in (sums, *finals):
                table = read_about(place)
                if table is not None:
                    yield table

    def _shared(self) -> Iterator[tuple[str, str]]:
        """Name the stages that another version of the run has computed, and the computations."""
        for name, noted in read_reuse(self.root).items():
            if noted.get("shared"):
                yield name, str(noted["fingerprint"])

    @property
    def _bases(self) -> list[Place]:
        """The other versions of the run, where this is one: it and they lie in one folder."""
        path = self.root.local
        if path is None or path.parent.name != VERSIONS:
            return []
        folders = [path.parent.parent, *sorted(path.parent.iterdir())]
        return [Place.at(folder) for folder in folders if folder != path]
