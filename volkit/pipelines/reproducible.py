"""Reproducible: sample blocks of a finished run, computed again and compared."""

from volkit.engine.replay import Replayed, ReplayEngine
from volkit.errors import ConfigError
from volkit.io.place import Place
from volkit.pipelines.registry import Workflow

BLOCKS = 8


def check_reproducible(
    workflow: Workflow, *, blocks: int = BLOCKS, seed: int = 0
) -> tuple[Replayed, ...]:
    """Compute sample blocks of every stage of a finished run again, and write nothing.

    Parameters
    ----------
    workflow : Workflow
        That was carried out.
    blocks : int
        Samples of each stage: corners and the middle first, then others at random.
    seed : int
        Of those.

    Returns
    -------
    tuple of Replayed
        One for each stage that makes a volume or finalizes a table, in their order.

    Raises
    ------
    ConfigError
        If the pipeline has no such stages, or no blocks are asked for.
    SourceError
        If the run is not finished.
    StaleLedgerError
        If the folder holds the run of another workflow.
    """
    if blocks < 1:
        raise ConfigError(f"{blocks} blocks are none; check at least 1")
    if workflow.pipeline.compose is None:
        raise ConfigError(
            f"{workflow.pipeline.name} has no stages that can be computed again by block; check a "
            "workflow that segments (a mirror compares as it copies)"
        )
    engine = ReplayEngine(Place.at(workflow.config.output), blocks, seed)
    workflow.pipeline.compose(workflow.config, engine)
    return tuple(engine.rows)
