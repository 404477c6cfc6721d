"""Precision: where bfloat16 would be emulated, training computes in float32 and says so."""

import logging

from volkit.models.half_precision import is_emulated
from volkit.training import precision
from volkit.training.loop import train


def test_emulated_bfloat16_is_float32_and_is_said_once(configured, caplog) -> None:
    precision._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="volkit"):
        losses = [
            train(configured(f"{name}-{i}", steps=2, precision=name)).losses
            for i, name in enumerate(("float32", "bfloat16", "bfloat16"))
        ]
    said = [text for text in caplog.messages if "training computes in float32" in text]
    emulated = is_emulated("bfloat16", "cpu")
    assert (losses[0] == losses[1]) == emulated
    assert len(said) == emulated
