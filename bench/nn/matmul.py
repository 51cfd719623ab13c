"""The products of a linear layer: the kernel of nn/matmul.py beside NumPy's BLAS, one thread each.

    python bench/nn/matmul.py [--rounds 5]

For MiniLM's matrices and several numbers of rows.  Up to 64 rows the matrices are many, 50 MB in
all, as a model's are: so each is read from memory, as for one text a call.  For 512 rows the
products of the backward pass, dx = dy W and dW = dyᵀ x, are measured too.
"""
import argparse
import os
import sys
from itertools import product

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, median, ratios, script, take_turns

from scratch_embed.nn.matmul import matmul
from scratch_embed.numerics.blas import one_blas_thread

SHAPES = {"q, k, v, o": (384, 384), "up": (1536, 384), "down": (384, 1536)}      # (O, I)
ROWS, BYTES = (8, 24, 64, 512), 50_000_000


def compare(T, name, pairs, rounds):
    """Print the speed of a @ b for all pairs (a, b), by the kernel and by BLAS."""
    sides = {"kernel": lambda: [matmul(a, b) for a, b in pairs],
             "BLAS": lambda: [a @ b for a, b in pairs]}
    (rows, inner), outputs = pairs[0][0].shape, pairs[0][1].shape[1]
    gflop = 2 * rows * inner * outputs * len(pairs) / 1e9
    taken = take_turns(sides, rounds, 1)
    speed = {side: gflop / median(seconds) for side, seconds in taken.items()}
    print(f"{T:4}  {name:16} {speed['kernel']:16.0f} {speed['BLAS']:9.0f}   "
          f"{ratios(taken['BLAS'], taken['kernel'])}", flush=True)


def main():
    arguments = choose(argparse.ArgumentParser(description=__doc__.splitlines()[0]), ())
    rng = np.random.default_rng(0)
    print("rows  matrix            kernel, GFLOP/s      BLAS   BLAS's time / kernel's")
    with one_blas_thread():
        for T, (name, (O, I)) in product(ROWS, SHAPES.items()):
            x, dy = rng.standard_normal((T, I), np.float32), rng.standard_normal((T, O), np.float32)
            number = BYTES // (4 * O * I) if T <= 64 else 4
            weights = list(rng.standard_normal((number, O, I), np.float32))
            compare(T, name, [(x, W.T) for W in weights], arguments.rounds)
            if T == ROWS[-1]:
                compare(T, name + ", dx", [(dy, W) for W in weights], arguments.rounds)
                compare(T, name + ", dW", [(dy.T, x)] * number, arguments.rounds)


if __name__ == "__main__":
    script(main, None)
