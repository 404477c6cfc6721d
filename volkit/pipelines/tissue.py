"""Tissue: classes of every voxel, stored or predicted, scored and measured region by region.

This is the second and third task of the MTNeuro benchmark: pixels to classes, and classes to
features.
"""

from typing import Any

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch, added_times
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_parameters import run_parameters
from volkit.pipelines.tissue_config import Tissue
from volkit.pipelines.tissue_plan import plan
from volkit.pipelines.tissue_region import is_physical, network_of, open_regions, work_on
from volkit.pipelines.tissue_report import absent_classes, feature_frame, write_report
from volkit.version import __version__


def classify_and_measure(
    config: Tissue,
    *,
    client: Any = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> Outcome:
    """Work on all regions, one after the other; taken up where it was when it is run again.

    Parameters
    ----------
    config : Tissue
        The workflow.
    client : distributed.Client, optional
        Where blocks run; None is this process.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.
    replace_stale : bool
        Compute anew what another computation left in the folder.

    Returns
    -------
    Outcome

    Raises
    ------
    ConfigError
        If the channels of the network are not the classes.
    VolkitError
        What :func:`~volkit.pipelines.tissue_region.open_regions` raises; StaleLedgerError where
        the folder holds another computation.
    """
    say = on_message or (lambda text: None)
    boxes = open_regions(config)
    made = _provenance(config)
    say(
        "classes: " + ", ".join(f"{name} = {list(codes)}" for name, codes in config.classes.items())
    )
    if not is_physical(config):
        say(
            "the voxel size is not stated: lengths are in voxels, taken as cubes; give "
            "input.voxel_size_nm for physical units"
        )
    results = []
    for number, (name, box) in enumerate(boxes.items(), 1):
        say(f"region {number}/{len(boxes)}: {name} {box}")
        watch = Stopwatch(on_progress)
        engine = JobEngine(
            config.folder / "regions" / name / "classes",
            client,
            replace_stale=replace_stale,
            on_progress=watch,
        )
        results.append(work_on(name, box, config, engine=engine, watch=watch, on_message=say))
    files, rows = write_report(config.folder / "report", results, config, made)
    for line in absent_classes(feature_frame(results), config):
        say(line)
    return Outcome(
        files=files,
        following=("open", config.folder / "report"),
        scores=tuple(rows),
        times=added_times(time for result in results for time in result.times),
    )


def _provenance(config: Tissue) -> dict[str, Any]:
    """Say what was made of what."""
    made: dict[str, Any] = {
        "volkit": __version__,
        "parameters": run_parameters(config),
    }
    card = network_of(config)
    if card is not None:
        made["checkpoint"] = card.identity
    return made


carry_out = on_cluster(
    lambda config, engine, on_progress, on_message: classify_and_measure(
        config,
        client=engine.client,
        on_progress=on_progress,
        on_message=on_message,
        replace_stale=engine.replace_stale,
    )
)


PIPELINE = Pipeline(
    name="tissue",
    config=Tissue,
    run=carry_out,
    plan=plan,
    paths=frozenset({"image", "labels", "checkpoint", "output"}),
)
