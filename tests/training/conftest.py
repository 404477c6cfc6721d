"""A tiny tissue: dark walls between bright cells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io.open import create_volume
from volkit.training.config import (
    LabelledVolume,
    Optimisation,
    Patches,
    TrainConfig,
    Validation,
)
from volkit.training.targets import boundary_map

SHAPE = (24, 32, 32)


@pytest.fixture(scope="session")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> LabelledVolume:
    """Nine columns and noise, stored."""
    _, y, x = np.indices(SHAPE)
    labels = (1 + y // 11 + 4 * (x // 11)).astype(np.uint32)
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    image = np.clip(150 - 80 * boundary_map(labels) + noise, 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("tissue")
    for name, values in (("image", image), ("labels", labels)):
        volume = create_volume(str(folder / f"{name}.zarr"), shape=SHAPE, dtype=values.dtype)
        volume.write(volume.domain, values)
    return LabelledVolume(str(folder / "image.zarr"), str(folder / "labels.zarr"))


@pytest.fixture
def configured(tissue: LabelledVolume, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Make the configuration of a run of a second."""

    def make(name: str = "run", *, steps: int = 4, every: int = 2, **changes) -> TrainConfig:
        given = {
            "arguments": {"widths": (8, 16), "blocks": (1, 1)},
            "patches": Patches((8, 16, 16), 2),
            "optimisation": Optimisation(steps=steps, warmup=2, learning_rate=1e-2, average=0.9),
            "validation": Validation((tissue,), every=every, window=(8, 16, 16)),
            "window": (8, 16, 16),
            **changes,
        }
        return TrainConfig(str(tmp_path / name / "tiny.yaml"), (tissue,), **given)

    return make
