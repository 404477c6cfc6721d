"""The mirror workflow: the shipped file on a loopback service, its plan, its report."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from volkit.errors import BlockFailedError, ConfigError, GeometryError
from volkit.geometry import Box
from volkit.io import create_volume, open_volume
from volkit.io.registry import forget_opened
from volkit.pipelines.mirror import PIPELINE, Mirror, plan
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.status import read_status
from volkit.testing.servers.boss import BossServer

SHIPPED = Path(__file__).parents[2] / "workflows" / "mirror_bossdb.yaml"
AROUND = Box((100, 890, 4590), (130, 1170, 4870))  # what the channel here holds of the real one


def tissue(box: Box) -> np.ndarray:
    z, y, x = np.ogrid[box.slices]
    return ((7 * z + 3 * y + x) % 251).astype(np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BossServer]:
    with BossServer() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        running.add(
            "prasad",
            "prasad2020",
            "image",
            tissue(AROUND),
            origin=AROUND.start,
            voxel_size_nm=(1.17,) * 3,
            unit="micrometers",
        )
        yield running
    forget_opened()


def carry_out(path: Path, *settings: str, replace: bool = False) -> Outcome:
    workflow = read_workflow(path, settings)
    return PIPELINE.run(
        workflow, on_progress=None, on_message=lambda text: None, replace_stale=replace
    )


def here(server: BossServer, output: Path) -> list[str]:
    return [
        f"input.image=bossdb://prasad/prasad2020/image?host={server.url}",
        "input.box.stop=[120, 1156, 4856]",
        f"output={output}",
    ]


def test_the_shipped_workflow_mirrors_a_channel(server: BossServer, tmp_path: Path) -> None:
    part = Box((110, 900, 4600), (120, 1156, 4856))
    server.clear_requests()
    outcome = carry_out(SHIPPED, *here(server, tmp_path / "cortex.zarr"))
    copy = open_volume(tmp_path / "cortex.zarr")
    assert copy.domain == part
    np.testing.assert_array_equal(copy.read(), tissue(part))
    assert copy.voxel_size_nm == pytest.approx((1170.0,) * 3)
    cutouts = [r for r in server.requests if "/cutout/" in r.path]
    assert len(cutouts) == 4  # two cuboids along y, two along x
    assert outcome.files == (("volume", tmp_path / "cortex.zarr"),)
    assert outcome.following == ("volkit info", tmp_path / "cortex.zarr")
    (stage,) = outcome.times
    assert (stage.stage, stage.blocks, stage.resumed) == ("mirror", 1, 0)
    server.clear_requests()
    (stage,) = carry_out(SHIPPED, *here(server, tmp_path / "cortex.zarr")).times
    assert stage.resumed == 1
    assert not [r for r in server.requests if "/cutout/" in r.path]


def test_the_shipped_workflow_names_the_real_channel() -> None:
    workflow = read_workflow(SHIPPED)
    assert workflow.config.input.image == "bossdb://prasad/prasad2020/image"
    assert workflow.config.input.box == Box((110, 900, 4600), (470, 1156, 4856))


@pytest.fixture
def em(tmp_path: Path) -> Path:
    shape = (20, 40, 60)
    volume = create_volume(
        tmp_path / "em.zarr", shape=shape, dtype="uint8", voxel_size_nm=(40, 4, 4)
    )
    values = np.arange(np.prod(shape)).reshape(shape) % 251
    volume.write(volume.domain, values.astype(np.uint8))
    return tmp_path / "em.zarr"


def workflow(folder: Path, **keys: object) -> Path:
    path = folder / "mirror.yaml"
    image = {"image": "em.zarr", **keys.pop("input", {})}  # type: ignore[dict-item]
    tree = {"pipeline": "mirror", "input": image, "output": "out/copy.zarr", **keys}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("part", "box"),
    [
        ({}, "[0:20, 0:40, 0:60]"),
        ({"level_0": {"start": [1, 2, 3], "stop": [4, 5, 6]}}, "[1:4, 2:5, 3:6]"),
        ({"center_um": [0.4, 0.08, 0.08], "size_um": [0.08, 0.04, 0.04]}, "[9:11, 15:25, 15:25]"),
        ({"start_nm": [80, 40, 40], "stop_nm": [120, 80, 80]}, "[2:3, 10:20, 10:20]"),
    ],
)
def test_ways_of_saying_which_part(
    em: Path, tmp_path: Path, part: dict[str, object], box: str
) -> None:
    carry_out(workflow(tmp_path, input=part))
    copy = open_volume(tmp_path / "out" / "copy.zarr")
    assert str(copy.domain) == box
    np.testing.assert_array_equal(copy.read(), open_volume(em).read(copy.domain))


def test_plan_says_what_will_be_fetched(em: Path, tmp_path: Path) -> None:
    config: Mirror = read_workflow(workflow(tmp_path, block_shape=[8, 16, 32])).config
    found = plan(config)
    (stage,) = found.stages
    assert (stage.blocks, stage.voxels, stage.bytes_written) == (18, 48000, 48000)
    assert stage.requests == 18
    assert stage.voxels_read > stage.voxels  # blocks cut chunks
    assert found.problems() == []
    carry_out(tmp_path / "mirror.yaml")
    assert plan(config).problems() == []
    other: Mirror = read_workflow(workflow(tmp_path, block_shape=[8, 16, 16])).config
    (problem,) = plan(other).problems()
    assert "block_shape: [8, 16, 32] became [8, 16, 16]" in problem
    assert plan(other).problems(replace=True) == []
    carry_out(tmp_path / "mirror.yaml", replace=True)


def test_a_run_leaves_a_record(em: Path, tmp_path: Path) -> None:
    carry_out(workflow(tmp_path, block_shape=[8, 16, 32]))
    folder = tmp_path / "out" / "copy.zarr.mirror"
    record = json.loads((folder / "run.json").read_text())
    assert record["parameters"]["block_shape"] == [8, 16, 32]
    assert record["source"]["uri"] == str(em)
    (stage,) = read_status(folder).stages
    assert (stage.stage, stage.done, stage.total) == ("mirror", 18, 18)


def test_a_failure_is_noted(em: Path, tmp_path: Path) -> None:
    chunk = next(path for path in sorted((em / "0" / "c").rglob("*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(BlockFailedError, match=r"1 block failed 3 times .*em\.zarr"):
        carry_out(workflow(tmp_path))
    found = read_status(tmp_path / "out" / "copy.zarr.mirror")
    assert "em.zarr" in found.failure
    assert found.stages[0].set_aside == 1


def test_bad_keys(em: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input\.centre_um: unknown key; did you mean center_um"):
        read_workflow(workflow(tmp_path, input={"centre_um": [1, 2, 3]}))
    with pytest.raises(ConfigError, match="block_shape .* must be at least 1"):
        read_workflow(workflow(tmp_path, block_shape=[0, 8, 8]))
    config = read_workflow(workflow(tmp_path, input={"center_um": [1, 2, 3]})).config
    with pytest.raises(ConfigError, match="a cutout by center_um; give box, or center_um and"):
        plan(config)
    far = {"box": {"start": [0, 0, 0], "stop": [21, 40, 60]}}
    with pytest.raises(GeometryError, match=r"box \[0:21, 0:40, 0:60\] is outside .*em.zarr"):
        plan(read_workflow(workflow(tmp_path, input=far)).config)
