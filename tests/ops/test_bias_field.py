"""Bias field: shading that was put on a head is taken off again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.ops.bias_field import BiasOptions, without_bias
from volkit.testing.heads import Scanner, head
from volkit.testing.heads_drawing import Anatomy

sitk = pytest.importorskip("SimpleITK")

SPACING = (3.6, 3.6, 3.6)
QUICK = BiasOptions(shrink=2, iterations=(20, 10))


def shaded(strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head without noise or shading, the same with shading, and its brain."""
    plain = head(Anatomy.drawn(1), 0.3, seed=2, scanner=Scanner(noise=0.005, shading=0.0))
    values = plain.image.astype(np.float32)
    z, y, x = (np.linspace(-1, 1, n) for n in values.shape)
    field = np.exp(strength * (0.7 * x + 0.5 * y[:, None] ** 2 - 0.4 * z[:, None, None]))
    return values, (values * field).astype(np.float32), plain.brain > 0


def uneven(values: np.ndarray, truth: np.ndarray, brain: np.ndarray) -> float:
    """Deviation of the ratio to the truth over its mean: 0 without shading."""
    ratio = values[brain] / truth[brain]
    return float(ratio.std() / ratio.mean())


def test_shading_is_taken_off() -> None:
    truth, given, brain = shaded(0.7)
    found, field = without_bias(given, SPACING, BiasOptions(shrink=3))
    assert found.dtype == field.dtype == np.float32
    np.testing.assert_allclose(found * field, given, rtol=1e-5)
    assert uneven(given, truth, brain) > 0.15
    assert uneven(found, truth, brain) < 0.35 * uneven(given, truth, brain)


def test_it_is_what_simpleitk_does_in_one_thread_and_the_same_again() -> None:
    _, given, brain = shaded(0.3)
    found, _ = without_bias(given, SPACING, QUICK, mask=brain)
    again, _ = without_bias(given, SPACING, QUICK, mask=brain)
    np.testing.assert_array_equal(found, again)
    image = sitk.GetImageFromArray(given)
    image.SetSpacing(SPACING)
    inside = sitk.GetImageFromArray(brain.astype(np.uint8))
    inside.SetSpacing(SPACING)
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    peer = sitk.N4BiasFieldCorrectionImageFilter()
    peer.SetNumberOfThreads(1)
    peer.SetMaximumNumberOfIterations([20, 10])
    peer.SetConvergenceThreshold(0.001)
    peer.Execute(sitk.Shrink(image, [2] * 3), sitk.Shrink(inside, [2] * 3))
    field = sitk.GetArrayFromImage(sitk.Exp(peer.GetLogBiasFieldAsImage(image)))
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    np.testing.assert_allclose(found, given / field, rtol=1e-6)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_it_does_not_depend_on_how_many_threads_itk_would_take(threads: int) -> None:
    _, given, brain = shaded(0.3)
    _, field = without_bias(given, SPACING, QUICK, mask=brain)
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        with ThreadPoolExecutor(2) as two:
            fits = [two.submit(without_bias, given, SPACING, QUICK, mask=brain) for _ in range(3)]
            for fit in fits:
                np.testing.assert_array_equal(fit.result()[1], field)
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def test_heads_that_are_too_small_or_dark_are_refused() -> None:
    with pytest.raises(ContractError, match=r"less than 4 voxels on an axis after bias.shrink 2"):
        without_bias(np.ones((7, 20, 20), np.float32), SPACING, QUICK)
    dark = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    with pytest.raises(ContractError, match="no bias field can be fitted"):
        without_bias(dark, SPACING, QUICK, mask=np.zeros(dark.shape, bool))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "n3"}, "bias.method is 'n3'"),
        ({"shrink": 0}, "bias.shrink 0"),
        ({"iterations": ()}, "whole numbers of 1 or more"),
        ({"tolerance": 0.0}, "bias.tolerance"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BiasOptions(**given)
