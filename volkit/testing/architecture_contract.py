"""ArchitectureTests: what every architecture must keep; subclass it in the tests of a new one."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.architectures import MONAI, build, names
from volkit.models.checkpoint import load, save_checkpoint

_CLOSE = 1e-5  # of float32 sums in another order


class ArchitectureTests:
    """The contract of an architecture.

    A subclass gives ``name`` and ``arguments``, and changes what differs.
    """

    name: str
    arguments: ClassVar[Mapping[str, Any]] = {}
    channels: tuple[int, int] = (1, 1)
    window: Coord = (16, 16, 16)
    answer: Coord | None = None  # extent of what a window is answered with; None is the window's

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls) -> nn.Module:
        """Build a network, ready to answer."""
        return cls._built(0).eval()

    @pytest.fixture(scope="class")
    @classmethod
    def batch(cls) -> Tensor:
        """Make two windows of noise."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn((2, cls.channels[0], *cls.window), generator=generator)

    def test_is_found_by_its_name(self) -> None:
        """A card can ask for it."""
        known = self.name in names() or self.name.startswith(MONAI)
        assert known, f"{self.name} is not among {', '.join(names())}"

    def test_answers_a_window(self, network: nn.Module, batch: Tensor) -> None:
        """The answer has the extent and the channels that were said, and is finite."""
        with torch.inference_mode():
            found = network(batch)
        expected = (2, self.channels[1], *(self.answer or self.window))
        assert found.shape == expected, f"the answer is {tuple(found.shape)}, not {expected}"
        assert found.dtype == torch.float32, f"the answer is of {found.dtype}"
        assert bool(torch.isfinite(found).all()), "the answer holds NaN or infinity"

    def test_windows_do_not_know_each_other(self, network: nn.Module, batch: Tensor) -> None:
        """What is answered to a window does not depend on the others of its batch."""
        with torch.inference_mode():
            together, alone = network(batch), network(batch[1:])
        np.testing.assert_allclose(together[1:], alone, rtol=_CLOSE, atol=_CLOSE)

    def test_answers_alike_twice(self, network: nn.Module, batch: Tensor) -> None:
        """Nothing is random, and nothing is remembered, once it is trained."""
        with torch.inference_mode():
            assert torch.equal(network(batch), network(batch)), "two answers to one batch differ"

    def test_what_is_seen_decides(self, network: nn.Module, batch: Tensor) -> None:
        """Another window has another answer."""
        with torch.inference_mode():
            first, second = network(batch)
        assert not torch.equal(first, second), "two windows have one answer"

    def test_every_weight_learns(self, batch: Tensor) -> None:
        """The answer depends on every weight."""
        network = self._built(0).train()
        network(batch).square().mean().backward()
        idle = [name for name, weight in network.named_parameters() if weight.grad is None]
        assert idle == [], f"the answer does not depend on {', '.join(idle)}"

    def test_weights_travel(self, network: nn.Module, batch: Tensor, tmp_path: Path) -> None:
        """A checkpoint holds all that decides the answer."""
        card: dict[str, Any] = {"architecture": self.name, "arguments": dict(self.arguments)}
        card |= {"channels": list(self.channels), "window": list(self.window), **self._output()}
        save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card)
        found = load(tmp_path / "net.yaml", "cpu")(batch.numpy())
        with torch.inference_mode():
            expected = network(batch).numpy()
        np.testing.assert_allclose(found, expected, rtol=_CLOSE, atol=_CLOSE)

    def test_wrong_arguments_are_refused(self) -> None:
        """An argument that it does not have is named."""
        with pytest.raises(ModelError, match="cannot be built with .*no_such_argument"):
            build(self.name, **self.arguments, no_such_argument=1)

    @classmethod
    def _built(cls, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(cls.name, **cls.arguments)

    @classmethod
    def _output(cls) -> dict[str, Any]:
        """Say in the words of a card which voxels of a window are answered."""
        if cls.answer is None or cls.answer == cls.window:
            return {}
        if prod(cls.answer) == 1:
            return {"output": "whole"}
        lost = [w - a for w, a in zip(cls.window, cls.answer, strict=True)]
        return {"output": "valid", "margin": [-(-n // 2) for n in lost]}
