"""The examples of clusters are read and checked as a run would; no cluster is needed."""

from pathlib import Path

import pytest

from volkit.cli.clusters import cluster_settings
from volkit.engine.cluster.jobs import job_pools
from volkit.engine.cluster.options import QUEUEING
from volkit.errors import ConfigError
from volkit.pipelines.config import read_yaml
from volkit.pipelines.registry import read_workflow
from volkit.testing.workflows import tiny_workflow

HPC = Path(__file__).parents[2] / "workflows" / "hpc"
FILES = sorted(HPC.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_is_a_cluster_that_volkit_understands(path: Path, tmp_path: Path) -> None:
    if "pipeline" in read_yaml(path):
        options = read_workflow(path).config.cluster
    else:
        before, after = cluster_settings(path)
        options = read_workflow(tiny_workflow(tmp_path), [*before, *after]).config.cluster
    assert options.place != "local"
    if options.place in QUEUEING:
        pools = job_pools(options, tmp_path)
        assert [len(pool.specs) * pool.size for pool in pools] == [options.workers, options.gpus]


def test_the_command_line_is_stronger_than_the_file(tmp_path: Path) -> None:
    workflow = tiny_workflow(tmp_path)
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster: {system: local, workers: 3, memory_gib: 2}\n")
    before, after = cluster_settings(file, workers=5)
    cluster = read_workflow(workflow, [*before, "cluster.memory_gib=4", *after]).config.cluster
    assert (cluster.workers, cluster.memory_gib, cluster.place) == (5, 4, "local")
    before, after = cluster_settings(file, local=True)
    assert read_workflow(workflow, [*before, *after]).config.cluster.place == "here"
    before, after = cluster_settings(scheduler="tcp://a:1")
    assert read_workflow(workflow, [*before, *after]).config.cluster.place == "address"


def test_a_wrong_key_of_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("system: slurm\nworker: 3\n")
    before, _ = cluster_settings(file)
    with pytest.raises(ConfigError, match=r"cluster\.worker: unknown key; did you mean workers\?"):
        read_workflow(tiny_workflow(tmp_path), before)
