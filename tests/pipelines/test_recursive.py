"""Two networks in one run: the second sees the image and what the first one answered."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from volkit.errors import ConfigError, ModelError  # noqa: E402
from volkit.io.open import create_volume, open_volume  # noqa: E402
from volkit.models.checkpoint import read_checkpoint, save_checkpoint  # noqa: E402
from volkit.models.em_networks import VD2D, VD2D3D  # noqa: E402
from volkit.ops.inference import InferenceOptions, infer  # noqa: E402
from volkit.pipelines.registry import read_workflow  # noqa: E402

SHAPE = (3, 14, 19)
LEVELS = (95, 161)
ANSWERS = {"activation": "softmax", "classes": ["interior", "boundary"], "output": "valid"}
FLAT = {"window": [1, 124, 124], "margin": [0, 54, 54], "stride": [1, 16, 16]}
DEEP = {"window": [5, 100, 100], "margin": [2, 42, 42], "stride": [1, 8, 8]}
FIXED = {"kind": "fixed", "shift": 128, "divide": 33}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, an untrained VD2D, and two untrained VD2D3D that scale, or leave it to others."""
    folder = tmp_path_factory.mktemp("recursive")
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    volume = create_volume(folder / "em.zarr", shape=SHAPE, dtype="uint8")
    volume.write(volume.domain, image)
    torch.manual_seed(1)
    vd2d, vd2d3d = VD2D().state_dict(), VD2D3D().state_dict()
    for state in (vd2d, vd2d3d):
        state["convx.weight"] *= 0.05  # so that no answer is 0 or 1
    first = {"architecture": "vd2d", "channels": [1, 2], "scaling": FIXED, **ANSWERS, **FLAT}
    save_checkpoint(vd2d, folder / "vd2d.yaml", first)
    for name, scaling in (("vd2d3d", FIXED), ("bare", {"kind": "none"})):
        card = {"architecture": "vd2d3d", "channels": [2, 2], "scaling": scaling}
        save_checkpoint(vd2d3d, folder / f"{name}.yaml", {**card, **ANSWERS, **DEEP})
    return folder


def workflow(folder: Path, output: Path, **changes):
    keys = {
        "pipeline": "recursive_vd2d3d",
        "input": {"image": "em.zarr"},
        "preliminary": "vd2d.yaml",
        "checkpoint": "vd2d3d.yaml",
        "levels": list(LEVELS),
        "output": str(output),
        "block_shape": [3, 14, 10],
        "infer_preliminary": {"device": "cpu"},
        "infer": {"device": "cpu"},
        "segment": {"quantiles": True, "low": 0.2, "high": 0.9, "linkage": [[5, 0.4]]},
        "layers": {"labels": False, "image": False},
        "cluster": {"workers": 0},
    }
    path = folder / f"{output.name}.yaml"
    path.write_text(yaml.safe_dump({**keys, **changes}))
    return read_workflow(path)


def carried_out(found):
    return found.pipeline.run(found, on_progress=None, on_message=print, replace_stale=False)


def test_the_second_network_sees_the_image_and_the_map(folder: Path, tmp_path: Path) -> None:
    found = workflow(folder, tmp_path / "run")
    plan = found.pipeline.plan(found.config)
    outcome = carried_out(found)
    image = open_volume(str(folder / "em.zarr")).read()
    options = InferenceOptions(device="cpu")
    known = infer(open_volume(image), read_checkpoint(folder / "vd2d.yaml"), options=options)
    known = known.compute(scheduler="sync")
    np.testing.assert_array_equal(open_volume(tmp_path / "run" / "map.zarr").read(), known)
    low, high = LEVELS
    stack = np.stack([image.astype(np.float32), low + (high - low) * known[1]])
    np.testing.assert_allclose(
        open_volume(tmp_path / "run" / "stack.zarr").read(), stack, rtol=1e-6
    )
    last = infer(open_volume(stack), read_checkpoint(folder / "vd2d3d.yaml"), options=options)
    answers = open_volume(tmp_path / "run" / "prob.zarr").read()
    np.testing.assert_allclose(answers, last.compute(scheduler="sync"), atol=1e-5)
    assert answers[1].std() > 0.001
    inside = open_volume(tmp_path / "run" / "affinities.zarr").read()
    expected = 1 - np.maximum(answers[1, :, :, 1:], answers[1, :, :, :-1])
    np.testing.assert_allclose(inside[2, :, :, 1:], expected, atol=1e-6)
    ran = {time.stage: time.blocks for time in outcome.times if "/" not in time.stage}
    assert {stage.name: stage.blocks for stage in plan.stages} == ran
    passes = {stage.name: stage.least_passes for stage in plan.stages if stage.least_passes}
    assert passes.keys() == {"map", "prob"}
    assert len(np.unique(open_volume(tmp_path / "run" / "filled.zarr").read())) > 1
    run = json.loads((tmp_path / "run" / "report" / "run.json").read_text())
    assert {run[key]["uri"].rpartition("/")[2] for key in ("checkpoint", "preliminary")} == {
        "vd2d.yaml",
        "vd2d3d.yaml",
    }


def test_a_card_without_scaling_gets_the_image_as_the_first_one_does(folder, tmp_path) -> None:
    changes = {"checkpoint": "bare.yaml", "levels": [-1, 1]}
    carried_out(workflow(folder, tmp_path / "unscaled", **changes))
    stack = open_volume(tmp_path / "unscaled" / "stack.zarr").read()
    image = open_volume(str(folder / "em.zarr")).read()
    np.testing.assert_allclose(stack[0], (image - 128.0) / 33, rtol=1e-6)
    known = open_volume(tmp_path / "unscaled" / "map.zarr").read()[1]
    np.testing.assert_allclose(stack[1], 2 * known - 1, atol=1e-6)


def test_networks_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    found = workflow(folder, tmp_path / "run", channel=2)
    with pytest.raises(ConfigError, match="channel is 2, there are 2; give 0 to 1"):
        found.pipeline.plan(found.config)
    found = workflow(folder, tmp_path / "run", preliminary="nothing.yaml")
    with pytest.raises(ModelError, match="there is no card at"):
        found.pipeline.plan(found.config)
