"""A program with SynthStrip's command line: it finds brains by a threshold, and logs its calls.

``synthstrip.py -i head.nii -m mask.nii --model WEIGHTS``: what is brighter than two fifths of the
brightest, joined to the middle, is brain.  Before it works, the SHA-256 of the head and the name of
the weights go as a line to the file that the variable STRIP_LOG names.  NumPy alone starts fast.
"""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np

HEADER, OFFSET, KIND, UINT8 = 352, 40, 70, 2


def grown(inside: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Spread over faces as far as is allowed."""
    while True:
        wider = inside.copy()
        for axis in range(3):
            for ahead in (slice(1, None), slice(None, -1)):
                behind = slice(None, -1) if ahead.start else slice(1, None)
                to, source = [slice(None)] * 3, [slice(None)] * 3
                to[axis], source[axis] = ahead, behind
                wider[tuple(to)] |= inside[tuple(source)]
        wider &= allowed
        if (wider == inside).all():
            return inside
        inside = wider


def main() -> None:
    """Find the brain of a head."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", type=Path, required=True)
    parser.add_argument("-m", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    data = given.i.read_bytes()
    if "STRIP_LOG" in os.environ:
        with Path(os.environ["STRIP_LOG"]).open("a", encoding="utf-8") as log:
            log.write(f"{hashlib.sha256(data).hexdigest()} {given.model and given.model.name}\n")
    time.sleep(float(os.environ.get("SLOW_STRIP", "0")))
    shape = np.frombuffer(data, "<i2", 4, OFFSET)[:0:-1]
    values = np.frombuffer(data, "<f4", -1, HEADER).reshape(shape)
    if values.max() > 1e6:
        sys.exit("out of memory, as it were")
    bright = values > 0.4 * np.quantile(values, 0.98)
    middle = np.zeros(shape, bool)
    middle[tuple(slice(n // 2 - 3, n // 2 + 3) for n in shape)] = True
    brain = grown(middle & bright, bright)
    corner = np.zeros(shape, bool)
    corner[0, 0, 0] = True
    brain = ~grown(corner, ~brain)
    header = bytearray(data[:HEADER])
    header[KIND : KIND + 4] = np.array([UINT8, 8], "<i2").tobytes()
    given.m.write_bytes(bytes(header) + brain.astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
