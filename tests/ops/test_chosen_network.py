"""What is given as a model, and the options about it."""

import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError, GeometryError, ModelError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.chosen_network import chosen_network
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network
from volkit.testing.networks import identity, ramp
from volkit.testing.workflows import identity_checkpoint

RAW = np.random.default_rng(3).random((8, 16, 16)).astype(np.float32)
WINDOW = InferenceOptions(window=(8, 16, 16))


def test_a_text_is_where_a_card_lies(tmp_path: Path) -> None:
    identity_checkpoint(tmp_path / "a.yaml")
    identity_checkpoint(tmp_path / "b.yaml", gain=3.0)
    cpu = InferenceOptions(device="cpu")
    for model, gain in (
        (tmp_path / "a.yaml", 1),
        (str(tmp_path / "b.yaml"), 3),
        ([str(tmp_path / "a.yaml"), tmp_path / "b.yaml"], 2),
        ({"members": [str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")], "combine": "max"}, 3),
    ):
        found = infer(da.from_array(RAW), model, options=cpu).compute(scheduler="sync")
        np.testing.assert_allclose(found[0], gain * RAW, rtol=1e-6)
    with pytest.raises(ModelError, match=r"no card at .*nowhere\.yaml"):
        infer(da.from_array(RAW), str(tmp_path / "nowhere.yaml"))
    with pytest.raises(ConfigError, match=r"channels 2 is for a module.* the card says 1"):
        chosen_network(str(tmp_path / "a.yaml"), InferenceOptions(channels=2))


def test_what_is_no_model_is_refused_before_anything_is_computed() -> None:
    for wrong, message in ((5, "int is no model"), (torch.nn.Identity, "Identity is a class")):
        with pytest.raises(ModelError, match=message):
            infer(da.from_array(RAW), wrong, options=WINDOW)


def test_channels_of_a_function_are_told_or_asked_for() -> None:
    with pytest.raises(ModelError, match=r"answered 2 channels.*InferenceOptions\(channels=2\)"):
        infer(da.from_array(RAW), ramp, options=WINDOW).compute(scheduler="sync")
    two = InferenceOptions(window=(8, 16, 16), channels=2)
    assert infer(da.from_array(RAW), ramp, options=two).compute(scheduler="sync").shape[0] == 2


def test_options_do_not_change_a_network_that_is_given() -> None:
    network = Network(identity, (8, 16, 16), nonfinite="mark")
    assert chosen_network(network, InferenceOptions(window=(8, 16, 16))) is network
    for options, name in (
        (InferenceOptions(views="flips"), "views 'flips'"),
        (InferenceOptions(window=(4, 4, 4)), r"window \(4, 4, 4\)"),
        (InferenceOptions(precision="float16"), "precision 'float16'"),
        (
            InferenceOptions(providers=["CUDAExecutionProvider"]),
            r"providers \('CUDAExecutionProvider',\)",
        ),
    ):
        with pytest.raises(ConfigError, match=f"{name} is asked for"):
            chosen_network(network, options)


def test_one_extent_stands_for_all_axes() -> None:
    options = InferenceOptions(window=8, stride=[4, 4, 4])
    assert (options.window, options.stride) == ((8, 8, 8), (4, 4, 4))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"window": (16, 16)}, GeometryError, r"window \(16, 16\) is not three integers"),
        ({"window": (8, 8, -1)}, ConfigError, "at least 1 on every axis"),
        ({"stride": 0}, ConfigError, r"stride \(0, 0, 0\) must be at least 1"),
        ({"batch": 2.5}, ConfigError, "batch 2.5 must be a whole number, at least 1, or auto"),
        ({"batch": "many"}, ConfigError, "batch 'many' must be a whole number"),
        ({"blocks_at_once": 0}, ConfigError, "blocks_at_once 0 must be a whole number"),
        ({"channels": 0}, ConfigError, "channels 0 must be a whole number"),
        ({"precision": "int3"}, ConfigError, "precision 'int3' is unknown"),
        ({"device": "gpu"}, ConfigError, "device 'gpu' is unknown; choose one of auto, cuda"),
        ({"providers": "CPU"}, ConfigError, "providers 'CPU' is one name; give a list of names"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(wrong, error, message) -> None:
    with pytest.raises(error, match=message):
        InferenceOptions(**wrong)


def dense(marks: str, stride: int) -> InferenceOptions:
    return InferenceOptions(window=8, stride=stride, batch=64, nonfinite=marks)


def nothing(batch: np.ndarray) -> np.ndarray:
    return np.full_like(batch, np.nan)


def test_many_windows_over_a_voxel_leave_it_marked() -> None:
    """At stride 1, 512 windows of 8 voxels hold those in the middle."""
    raw = da.zeros((8, 8, 22), dtype=np.float32)
    found = infer(raw, nothing, options=dense("mark", 1)).compute(scheduler="sync")
    assert np.isnan(found).all()
    with pytest.raises(ConfigError, match="4352 windows hold a voxel; nonfinite='mark' counts up"):
        infer(
            raw,
            nothing,
            options=InferenceOptions(window=(16, 16, 17), stride=1, nonfinite="mark"),
        )


def half_nan(batch: np.ndarray) -> np.ndarray:
    answer = np.full_like(batch, 7e3)
    answer[..., :4] = np.nan
    return answer * np.float32(1 if batch.max() else 0.5)


def test_float16_may_hold_marks_and_refuses_what_is_too_large(tmp_path: Path) -> None:
    options = InferenceOptions(window=8, stride=8, dtype="float16", nonfinite="mark")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = infer(da.ones((8, 8, 8), dtype=np.float32), half_nan, options=options)
        values = found.compute(scheduler="sync")
    assert np.isnan(values[..., :4]).all()
    assert (values[..., 4:] == np.float16(7e3)).all()


class Two(torch.nn.Module):
    """Takes two channels, and fails on any other."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch[:, 1:] - batch[:, :1]


def test_a_batch_is_tried_with_the_channels_of_the_image(tmp_path: Path) -> None:
    """Blocks in which no window begins read nothing, and try nothing."""
    image = np.stack([RAW, 2 * RAW])
    options = InferenceOptions(
        window=(8, 16, 16), stride=(8, 16, 8), batch="auto", device="cpu", seams="exchange"
    )
    volume = open_volume(image, axes="czyx")

    found = infer(
        volume,
        Two(),
        options=options,
        grid=Grid(volume.domain, (4, 4, 4)),
        engine=JobEngine(tmp_path),
    )
    np.testing.assert_allclose(found.read()[0], RAW, rtol=1e-6)


class Below:
    """Says that its answers are bounded, and answers below 0."""

    bounded = True

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return -batch


def test_uint8_refuses_what_is_below_zero() -> None:
    options = InferenceOptions(window=(8, 16, 16), dtype="uint8")
    with pytest.raises(ContractError, match=r"answered -0\.\d+, uint8 holds probabilities"):
        infer(da.from_array(RAW), Below(), options=options).compute(scheduler="sync")
