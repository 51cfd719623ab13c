"""How codes.safetensors was made: by sentence-transformers 6.2.0, from these arrays.

    python tests/golden/make_codes.py

SAMPLE determines the range of each dimension.  X has rows inside the ranges, at both ends, outside,
and rows of zeros of both signs.  Dimension 5 of SAMPLE is constant.  With 13 dimensions, the bits
of a row end in the middle of a byte.
"""
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(20240215)
SAMPLE = (RNG.standard_normal((40, 13)) * 10.0 ** RNG.integers(-3, 3, 13)).astype(np.float32)
SAMPLE[:, 5] = 0.25
LOW, HIGH = SAMPLE.min(axis=0), SAMPLE.max(axis=0)
X = np.vstack([SAMPLE[:6], LOW, HIGH, (LOW + HIGH) / 2, 3 * LOW, 3 * HIGH, 0 * LOW, -0.0 * HIGH,
               LOW + RNG.random((20, 13), np.float32) * (HIGH - LOW)]).astype(np.float32)


def main():
    from safetensors.numpy import save_file
    from sentence_transformers.util.quantization import quantize_embeddings
    codes = {precision: quantize_embeddings(X, precision, calibration_embeddings=SAMPLE)
             for precision in ("uint8", "int8", "ubinary", "binary")}
    save_file({"sample": SAMPLE, "x": X, **codes}, Path(__file__).with_name("codes.safetensors"))


if __name__ == "__main__":
    main()
