"""Basins merged by the mutex watershed of near and far affinities, in a pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.ops.test_mutex import affinities_of
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed
from volkit.ops.mutex import mutex_agglomerate
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.segment_affinities_chain import compute_affinities
from volkit.pipelines.segment_affinities_inputs import open_inputs
from volkit.testing.specimen import EmSpecimen

FAR = [(0, 0, -3), (-3, 0, 0), (0, -3, 0)]
# Far channels first, one that holds no affinity, and neighbours in another order than z, y, x.
STATED = [*FAR, None, NEAREST[2], NEAREST[0], NEAREST[1]]
SEGMENT = {"low": 0, "high": 0.999, "fill": None, "smallest": 60}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """Affinities of noisy tissue, the neighbours on z, y, x first."""
    specimen = EmSpecimen((14, 18, 20), seed=3, voxel_size_nm=(24.0, 24.0, 24.0))
    prob = specimen.boundary(Box.from_shape(specimen.shape))
    prob = prob + 0.1 * np.random.default_rng(1).normal(size=prob.shape)
    return affinities_of(np.clip(prob, 0, 1).astype(np.float32), [*NEAREST, *FAR])


@pytest.fixture(scope="module")
def folder(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    stored = np.concatenate([values[3:], np.full_like(values[:1], 0.5), values[[2, 0, 1]]])
    volume = create_volume(
        folder / "affinities.zarr",
        shape=values.shape[1:],
        channels=len(stored),
        dtype=np.float32,
        voxel_size_nm=(24, 24, 24),
    )
    volume.write(volume.domain, stored)
    return folder


def workflow(folder: Path, pipeline: str = "segment_affinities", **changes: Any):
    keys = {
        "pipeline": pipeline,
        "input": {"affinities": "affinities.zarr"},
        "offsets": [offset and list(offset) for offset in STATED],
        "output": str(folder / "run"),
        "segment": {**SEGMENT, "mutex": {}},
        "layers": {"labels": False},
        "cluster": {"workers": 0},
    }
    path = folder / "run.yaml"
    told = {key: value for key, value in {**keys, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(told))
    return read_workflow(path)


def expected(values: np.ndarray) -> np.ndarray:
    """By hand, on whole arrays; groups of fewer than 60 voxels are left out."""
    near, options = open_volume(values[:3]), AffinityOptions(NEAREST, low=0, high=0.999)
    basins = open_volume(affinity_watershed(near, options=options).compute(scheduler="sync"))
    merged = mutex_agglomerate(
        basins, open_volume(values), offsets=[*NEAREST, *FAR], held="whole"
    ).compute(scheduler="sync")
    ids, where, sizes = np.unique(merged, return_inverse=True, return_counts=True)
    assert 10 < len(ids) < len(np.unique(basins.read())) - 10
    assert 0 < np.count_nonzero(sizes < 60) < len(ids) - 10
    return np.where(sizes < 60, 0, ids)[where].reshape(merged.shape)


def test_labels_are_those_of_the_whole_graph_for_every_block_shape(folder, values) -> None:
    labels = expected(values)
    segment = {**SEGMENT, "mutex": {"held": "boxes"}}
    found = workflow(folder, segment=segment, block_shape=[7, 8, 9])
    outcome = found.pipeline.run(
        found, on_progress=None, on_message=lambda text: None, replace_stale=False
    )
    assert "merge tree" not in dict(outcome.files)
    np.testing.assert_array_equal(open_volume(dict(outcome.files)["labels"]).read(), labels)
    assert (folder / "run" / "signed_graph.parts").is_dir()
    config = workflow(folder, block_shape=[8, 18, 11]).config
    lazy = compute_affinities(open_inputs(config), config, LazyEngine()).labels
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [None] * 4 + [list(o) for o in STATED[4:]]}, "reach neighbours only"),
        ({"segment": {"mutex": {}, "agglomeration": {}}}, "two ways to merge; leave one out"),
        ({"segment": {"mutex": {"held": "all"}}}, "segment.mutex.held"),
        (
            {
                "pipeline": "segment_boundaries",
                "input": {"boundaries": "affinities.zarr"},
                "offsets": None,
            },
            "segment.mutex needs affinities that reach farther than neighbours",
        ),
    ],
)
def test_what_cannot_be_merged_so_is_refused(folder, changes, message: str) -> None:
    def planned() -> None:
        found = workflow(folder, **changes)
        found.pipeline.plan(found.config)

    with pytest.raises(ConfigError, match=message):
        planned()
