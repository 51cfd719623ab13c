"""The product of a linear layer: the kernel of nn/matmul.py beside NumPy's BLAS, one thread each.

    python bench/nn/matmul.py [--rounds 5]

For MiniLM's matrices and several numbers of rows.  Up to 64 rows the matrices are many, 50 MB in
all, as a model's are: so each is read from memory, as for one text a call.
"""
import argparse
import os
import sys
from functools import partial

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, median, ratios, script, take_turns

from scratch_embed.nn.matmul import matmul_kernel
from scratch_embed.numerics.blas import one_blas_thread

SHAPES = {"q, k, v, o": (384, 384), "up": (1536, 384), "down": (384, 1536)}      # (O, I)
ROWS, BYTES = (8, 24, 64, 512), 50_000_000


def by_blas(x, weights):
    for W in weights:
        x @ W.T


def by_kernel(x, b, y, weights):
    for W in weights:
        matmul_kernel(x, W, b, y)


def main():
    arguments = choose(argparse.ArgumentParser(description=__doc__.splitlines()[0]), ())
    rng = np.random.default_rng(0)
    print("rows  matrix       kernel, GFLOP/s      BLAS   BLAS's time / kernel's")
    for T in ROWS:
        for name, (O, I) in SHAPES.items():
            x = rng.standard_normal((T, I), np.float32)
            weights = list(rng.standard_normal(
                (BYTES // (4 * O * I) if T <= 64 else 4, O, I), np.float32))
            b, y = np.zeros(O, np.float32), np.empty((T, O), np.float32)
            gflop = 2 * T * O * I * len(weights) / 1e9
            taken = take_turns({"kernel": partial(by_kernel, x, b, y, weights),
                                "BLAS": partial(by_blas, x, weights)}, arguments.rounds, 1)
            speed = {side: gflop / median(seconds) for side, seconds in taken.items()}
            print(f"{T:4}  {name:11} {speed['kernel']:16.0f} {speed['BLAS']:9.0f}   "
                  f"{ratios(taken['BLAS'], taken['kernel'])}", flush=True)


if __name__ == "__main__":
    with one_blas_thread():
        script(main, None)
