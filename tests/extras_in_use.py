"""What each extra is for, done once: ``python extras_in_use.py EXTRA``, in an empty folder.

`tests/test_wheel.py` runs it in environments that have volkit with this extra, and nothing else.
"""

import importlib
import os
import pkgutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

import volkit
from volkit.errors import MissingExtraError

DOCS = "VOLKIT_DOCS"  # the variable that says where the pages lie


def torch(**how: Any) -> None:
    from volkit.models.checkpoint import load, read_checkpoint

    card = read_checkpoint("builtin:boundaries-specimen")
    batch = np.zeros((1, card.channels[0], *card.window), np.uint8)
    assert load(card, "cpu", **how)(batch).shape[1] == card.channels[1]


def models() -> None:
    from volkit.models.architectures import build

    build("monai:UNet", spatial_dims=3, in_channels=1, out_channels=2, channels=[2, 4], strides=[2])
    build("scan_transformer", window=(16, 16, 16), width=12, hidden=24, layers=1)  # by einops


def onnx() -> None:
    torch(backend="onnxruntime")


def train() -> None:
    from volkit.testing.workflows import tiny_workflow

    tiny_workflow(Path.cwd())
    Path("train.yaml").write_text(
        "checkpoint: net.yaml\n"
        "volumes: [{image: image.zarr, labels: truth.zarr}]\n"
        "arguments: {widths: [2], blocks: [1]}\n"
        "window: [8, 8, 8]\n"
        "patches: {shape: [8, 8, 8], batch: 1}\n"
        "optimisation: {steps: 2, warmup: 1}\n"
    )
    code = "from volkit.cli import main; main(['train', 'train.yaml'])"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Path("net.yaml").exists()


def bossdb() -> None:
    from volkit.testing.servers.boss import BossServer

    os.environ["HOME"] = str(Path.cwd())
    values = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    with BossServer() as server:
        server.add("col", "exp", "em", values)
        found = volkit.open_volume(f"bossdb://col/exp/em?host={server.url}").read()
    np.testing.assert_array_equal(found, values)


def precomputed() -> None:
    values = np.arange(512, dtype=np.uint64).reshape(8, 8, 8)
    volume = volkit.create_volume(
        f"precomputed://{Path.cwd()}/cells",
        shape=(8, 8, 8),
        dtype="uint64",
        voxel_size_nm=(8, 8, 8),
    )
    volume.write(volume.domain, values)  # compressed_segmentation
    np.testing.assert_array_equal(volume.read(), values)
    import brotli
    import cloudvolume  # noqa: F401

    assert brotli.decompress(brotli.compress(b"x")) == b"x"


def cloud() -> None:
    from volkit.io.objects.cloud_keys import s3_keys

    os.environ["HOME"] = str(Path.cwd())
    Path("keys.py").write_text(
        'print(\'{"Version": 1, "AccessKeyId": "AKIA3", "SecretAccessKey": "x"}\')'
    )
    Path(".aws").mkdir()
    Path(".aws/config").write_text(
        f"[profile lab]\ncredential_process = {sys.executable} {Path('keys.py').absolute()}\n"
    )
    assert s3_keys("profile:lab").key == "AKIA3"


def hpc() -> None:
    from volkit.engine.cluster.jobs import job_pools
    from volkit.engine.cluster.options import ClusterOptions

    Path("job", "logs").mkdir(parents=True)
    Path("job").chmod(0o700)
    options = ClusterOptions(system="slurm", workers=2, memory_gib=2.0, walltime="01:00")
    spec = job_pools(options, Path("job").absolute())[0].specs[0]
    job = spec["cls"]("tls://10.0.0.1:1234", name="w-0", **spec["options"])
    with job.job_file() as script:
        assert "#SBATCH -t 01:00" in Path(script).read_text()


def view() -> None:
    from volkit.viewer.view import View

    with View.of(["specimen://em?shape=8,16,16"]) as shown:
        assert b"<html" in urllib.request.urlopen(shown.url).read().lower()


def bioimageio() -> None:
    from bioimageio.spec import InvalidDescr, load_description

    from volkit.models.bioimageio.export import export_package
    from volkit.models.checkpoint import read_checkpoint

    path = export_package(read_checkpoint("builtin:boundaries-specimen"), "package", onnx=True)
    assert not isinstance(load_description(path, perform_io_checks=True), InvalidDescr)


def formats() -> None:
    import tifffile

    for name in ("dicom", "mrc", "nifti", "png", "video_frames"):
        importlib.import_module(f"volkit.io.files.{name}")
    values = np.arange(256, dtype=np.uint16).reshape(4, 8, 8)  # compressed by imagecodecs
    tifffile.imwrite("a.tif", values, compression="zstd", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(volkit.open_volume("a.tif").read(), values)


def mri() -> None:
    from volkit.io.files import dicom, nifti  # noqa: F401
    from volkit.ops.bias_field import without_bias

    head = np.random.default_rng(0).random((16, 16, 16)).astype(np.float32) + 1
    assert without_bias(head, (1.0, 1.0, 1.0))[0].shape == head.shape


def tracking() -> None:
    from volkit.training.tracking import TrackingKeys, tracked

    keys = TrackingKeys(tensorboard=True, wandb="offline")
    with tracked(Path("told"), "fold0", keys, identity="ab" * 32, facts={}) as trackers:
        trackers.log(0, {"loss": 0.5})
    assert list(Path("told/tensorboard").rglob("*tfevents*"))
    assert list(Path("told/wandb").rglob("*.wandb"))


def statistics() -> None:
    from volkit.models.tile_components import _decomposition
    from volkit.pipelines.readout_figure import _umap

    rows = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    assert _umap(rows).shape == (20, 2)
    _decomposition()


def bench() -> None:
    from volkit.bench.peers import peer_module

    for name in ("skimage.segmentation", "dask_image.ndmeasure", "skan", "zarrs", "waterz"):
        peer_module(name, "bench")


def notebook() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    from volkit.cli.notebook import NotebookBars
    from volkit.engine.base import Progress

    shell = InteractiveShell.instance()
    volume = volkit.open_volume("specimen://em?shape=8,16,16")
    assert "<img" in shell.display_formatter.format(volume)[0]["text/html"]
    NotebookBars.begin()(Progress("prob", 1, 1, 64, 0, 1.0))


def docs() -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(os.environ[DOCS], site_dir=str(Path("site").absolute()), strict=True)
    config.extra["gallery"] = False
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    assert Path("site", "index.html").exists()


def absent() -> dict[str, str]:
    """Modules that cannot be imported, and why."""
    found = {}
    for module in pkgutil.walk_packages(volkit.__path__, "volkit.", onerror=lambda name: None):
        try:
            importlib.import_module(module.name)
        except (MissingExtraError, ModuleNotFoundError) as error:
            found[module.name] = str(error)
    return found


def bare() -> None:
    """Say which modules want what, where there is no extra."""
    for name, why in sorted(absent().items()):
        sys.stdout.write(f"{name}: {why}\n")


def all() -> None:
    tools = ("hypothesis", "moto", "pytest")  # of those who write tests
    left = {n: why for n, why in absent().items() if not any(tool in why for tool in tools)}
    assert left == {}


def dev() -> None:
    for tool in ("build", "mypy", "pre_commit", "pytest", "ruff"):
        subprocess.run([sys.executable, "-m", tool, "--version"], check=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
