"""Attention of stall networks: which part of a clip their maps, and their answer, depend on."""

import numpy as np
import torch
from numpy.typing import NDArray

from volkit.kernels.attention import channel_colours, enlarged, gradient_map, to_bytes
from volkit.kernels.clips import Clip
from volkit.ops.stall_ensemble import StallEnsemble

Bytes = NDArray[np.uint8]


def attention(ensemble: StallEnsemble, clip: Clip) -> tuple[Bytes, Bytes]:
    """Map what the networks look at in a clip.

    Parameters
    ----------
    ensemble : StallEnsemble
        The networks; maps of all folds count together, gradients are averaged over folds.
    clip : Clip
        What they see.

    Returns
    -------
    colours : ndarray of uint8, shape (3, Z, Y, X)
        Deviation, largest value and mean over the channels of the maps before pooling, in red,
        green and blue; with the extent of the clip.  Published for networks that pool by the
        maximum.
    gradient : ndarray of uint8, shape (Z, Y, X)
        Grad-CAM: maps weighed by how much they speak for a stall.
    """
    maps, weighed = [], []
    for fold in range(len(ensemble.checkpoints)):
        network = ensemble.network(fold)
        where = next(network.parameters()).device
        window = ensemble.scale(fold).apply(ensemble.prepared(clip))
        with torch.enable_grad():
            seen = network.maps(torch.from_numpy(window)[None].to(where)).detach()
            seen.requires_grad_(True)
            answer = network.head(network.pooled(seen)).sum()
            (slope,) = torch.autograd.grad(answer, seen)
        maps.append(seen.detach()[0].cpu().numpy())
        weighed.append(gradient_map(maps[-1], slope[0].cpu().numpy()))
    shape = clip.region.shape
    colours = enlarged(channel_colours(np.concatenate(maps)), shape)
    return colours, enlarged(to_bytes(np.mean(weighed, axis=0))[None], shape)[0]
