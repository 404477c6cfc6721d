"""Attention: of the extent of the clip, and where the network looks."""

import numpy as np
import torch

from volkit.geometry import Box
from volkit.kernels.clips import Clip
from volkit.ops.stall_attention import attention
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.testing.stall_folds import write_folds

torch.set_num_threads(1)


def test_maps_have_the_extent_of_the_clip_and_follow_the_bright_side(tmp_path) -> None:
    ensemble = StallEnsemble(read_folds(write_folds(tmp_path, count=2, pooling="max")))
    shape = (20, 30, 60)
    voxels = np.full((3, *shape), 114, np.uint8)  # which the scaling makes 0
    voxels[..., 40:] = np.random.default_rng(0).integers(0, 255, (3, *shape[:2], 20))
    colours, gradient = attention(ensemble, Clip(voxels, Box.from_shape(shape, (3, 4, 5))))
    assert colours.shape == (3, *shape)
    assert gradient.shape == shape
    assert colours.dtype == gradient.dtype == np.uint8
    largest = colours[1].astype(float)
    assert largest[..., 45:].mean() > largest[..., :25].mean() + 10
    again = attention(ensemble, Clip(voxels, Box.from_shape(shape, (3, 4, 5))))
    assert (again[0] == colours).all()


def test_gradients_are_those_of_monai(tmp_path) -> None:
    from monai.visualize import GradCAM

    ensemble = StallEnsemble(read_folds(write_folds(tmp_path, count=1)))
    rng = np.random.default_rng(1)
    clip = Clip(
        rng.integers(0, 255, (3, 16, 24, 24)).astype(np.uint8), Box.from_shape((16, 24, 24))
    )
    network = ensemble.network(0)
    x = torch.from_numpy(ensemble.scale(0).apply(ensemble.prepared(clip)))[None].requires_grad_()
    theirs = GradCAM(nn_module=network, target_layers="backbone")(x)[0, 0].numpy()
    _, mine = attention(ensemble, clip)
    # MONAI's says 1 where nothing speaks for the answer.
    np.testing.assert_allclose(mine, 255 * (1 - theirs), atol=2)
