"""Half precision on a processor, against what the system says of it."""

import logging
from pathlib import Path

import pytest
from torch import nn

from volkit.models.forward import forward_of
from volkit.models.half_precision import is_emulated


def flags() -> set[str]:
    """What an x86 processor can; nothing elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


@pytest.mark.skipif("avx2" not in flags(), reason="this processor or system says it otherwise")
def test_processors_without_wide_instructions_emulate_sixteen_bits() -> None:
    without = not {"avx512bw", "avx512vl", "avx512dq"} <= flags()
    assert is_emulated("bfloat16", "cpu") == without
    assert is_emulated("float16", "cpu") >= without
    assert not is_emulated("float32", "cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_emulation_is_said_to_who_asks_for_it(precision, caplog) -> None:
    with caplog.at_level(logging.WARNING, logger="volkit"):
        forward_of(nn.Identity(), device="cpu", precision=precision, compile=False)
    said = "choose precision float32" in caplog.text
    assert said == is_emulated(precision, "cpu")
