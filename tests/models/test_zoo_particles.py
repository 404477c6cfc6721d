"""The network that ships for particles: its card, and what it finds in a tomogram it never saw."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.io.points.table import points_frame
from volkit.models import location
from volkit.models.checkpoint import load, read_checkpoint
from volkit.ops.inference import infer
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.particle_convention import CZII
from volkit.ops.particle_options import PickOptions
from volkit.ops.particle_scoring import evaluate_points
from volkit.ops.particles import pick
from volkit.testing.specimen import open_specimen

CARD = read_checkpoint("builtin:particles-specimen")
LARGEST_BYTES = 3_000_000


def scored(seeds, shape, options: InferenceOptions) -> float:
    """Weighted F4 with the thresholds of the card, added up over tomograms."""
    found, truth = [], []
    for seed in seeds:
        uri = f"specimen://tomogram?shape={','.join(map(str, shape))}&seed={seed}"
        volume = open_volume(uri)
        points = open_specimen(uri).points(Box.from_shape(shape))
        centres = np.stack([points[name] for name in ("z_nm", "y_nm", "x_nm")], axis=1)
        truth.append(points_frame(centres, list(points["class"]), tomograms=str(seed)))
        heat = infer(volume, CARD, options=options)
        picks = pick(heat, PickOptions(CARD.classes, threshold=CARD.thresholds), scale=volume.scale)
        table = picks.compute()
        table.insert(0, "tomogram", str(seed))
        found.append(table)
    return evaluate_points(
        pd.concat(found, ignore_index=True), pd.concat(truth, ignore_index=True), convention=CZII
    ).score


def test_card_says_what_people_need() -> None:
    for text in (CARD.description, CARD.training_data, CARD.attribution):
        assert len(text) > 20
    assert CARD.licence == "BSD-3-Clause"
    assert CARD.classes == CZII.classes
    assert (CARD.activation, CARD.channels) == ("sigmoid", (1, 6))
    assert CARD.voxel_size_nm == (1.0012444,) * 3
    assert tuple(CARD.thresholds) == CARD.classes


def test_weights_are_small_and_belong_to_the_card() -> None:
    data = location.read_bytes(CARD.weights_uri)
    assert len(data) < LARGEST_BYTES
    assert hashlib.sha256(data).hexdigest() == CARD.sha256
    assert load(CARD, device="cpu").channels == (1, 6)


def test_it_finds_particles_it_never_saw() -> None:
    options = InferenceOptions(
        stride=(8, 32, 32), weights="pyramid", padding="constant", device="cpu"
    )
    assert scored((301,), (64, 128, 128), options) > 0.6


@pytest.mark.slow
def test_blending_and_overlap_score_higher_than_neither() -> None:
    shape, seeds = (64, 256, 256), (201, 202, 203)
    blended = InferenceOptions(
        stride=(8, 24, 24), weights="pyramid", padding="constant", batch=8, device="cpu"
    )
    alone = InferenceOptions(
        stride=(16, 64, 64), weights="constant", padding="constant", batch=8, device="cpu"
    )
    found = scored(seeds, shape, blended)
    assert found > 0.8
    assert scored(seeds, shape, alone) < found
