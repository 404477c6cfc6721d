"""What a training on scans will read and need, from its manifest alone."""

from math import prod

from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.scan_manifest import ScanManifest, read_manifest
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.train_scans_config import TrainScans
from volkit.training.scan_roles import scan_roles, trainings
from volkit.training.scan_set import check_two_classes

_MIB = 2**20
# Of an r3d_18 that is trained whole: what it keeps for its gradients, per voxel of a window.
_BYTES_PER_VOXEL = 1024


def plan(config: TrainScans) -> Plan:
    """Say what a training will read and need.

    Parameters
    ----------
    config : TrainScans
        The workflow.

    Returns
    -------
    Plan
        Its domain are the folds.

    Raises
    ------
    VolkitError
        What reading the manifest raises, and what a training would refuse; scans are not read.
    """
    manifest = meant(config)
    check_trainable(config, manifest)
    count, training = trainings(manifest), config.training
    window = prod(training.window)
    seen = len(manifest.rows) * training.optimisation.epochs
    memory = (
        process_bytes()
        + config.memory_mib * _MIB
        + training.optimisation.batch * window * _BYTES_PER_VOXEL
    )
    names = ("folds", "mixed_folds") if config.measure_leakage else ("folds",)
    stages = tuple(
        StagePlan(
            name=name,
            blocks=count,
            voxels=count * seen * window,
            voxels_read=count * seen * window,
            bytes_read=4 * len(manifest.rows) * window,
            bytes_written=0,
            memory_bytes=memory,
            passes=count * seen,
            least_passes=count * seen,
        )
        for name in names
    )
    return Plan(
        grid=Grid(Box.from_shape((1, 1, count)), (1, 1, 1)),
        stages=stages,
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        advice=(
            f"{len(manifest.rows)} scans, manifest {manifest.digest[:12]}; a fold that is "
            "interrupted goes on after its last epoch",
        ),
        lighter="training.optimisation.batch",
    )


def meant(config: TrainScans) -> ScanManifest:
    """Read the manifest, and refuse another one than the one that is meant.

    Raises
    ------
    ConfigError
        If its digest is another one, or leakage is to be measured without folds.
    SourceError
        If it cannot be read.
    """
    manifest = read_manifest(config.input.manifest)
    wanted = config.input.digest
    if wanted is not None and not manifest.digest.startswith(wanted):
        raise ConfigError(
            f"{config.input.manifest} has the digest {manifest.digest[:12]}…, meant is "
            f"{wanted[:12]}…; give the manifest that is meant, or correct input.digest"
        )
    if config.measure_leakage and not manifest.folds:
        raise ConfigError(
            f"measure_leakage: of {config.input.manifest}, which has parts, few scans would be "
            "judged both ways; give a manifest of folds (split.folds), where all are"
        )
    return manifest


def check_trainable(config: TrainScans, manifest: ScanManifest) -> None:
    """Refuse scans that one of the trainings would refuse.

    Raises
    ------
    ConfigError
        If there are not two classes, or a training has scans of one class only, or none to choose
        weights by.
    ContractError
        If there are too few subjects to set some aside.
    """
    check_two_classes(manifest, config.input.positive)
    seed, options = config.training.seed, config.training.optimisation
    for number in range(trainings(manifest)):
        roles = scan_roles(manifest.rows, number, aside=options.aside, seed=seed)
        roles.check(manifest.rows, which=f"fold {number}", choose=options.choose)
