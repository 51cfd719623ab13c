"""Attention with all scores at once and in blocks: the time of one sequence, by its length.

    python bench/nn/attention.py [--rounds 5] [--heads 12] [--dim 32]

Forward and backward, in one thread: nn/attention.py and nn/blockwise_attention.py compute the same.
"""
import argparse
import os
import sys
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import add_sizes, choose, median, ratios, script

from scratch_embed.nn.attention import attention
from scratch_embed.numerics.blas import one_blas_thread

LENGTHS = (128, 256, 512, 1024, 2048, 4096)


def times(qkv, heads, blocks_above):
    """Seconds of the forward pass, and of the backward pass."""
    start = time.perf_counter()
    y, backward = attention(*qkv, np.array([0, len(qkv[0])]), heads, blocks_above=blocks_above)
    middle = time.perf_counter()
    backward(y)
    return middle - start, time.perf_counter() - middle


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sizes(parser, {"heads": 12, "dim": 32})
    arguments = choose(parser, ())
    print(f"ms, {arguments.heads} heads of {arguments.dim} dimensions")
    print("tokens            all scores   in blocks   all scores' time / blocks'")
    with one_blas_thread():
        for t in LENGTHS:
            qkv = np.random.default_rng(0).standard_normal(
                (3, t, arguments.heads * arguments.dim), np.float32)
            runs = range(arguments.rounds + 1)               # the first is a warm-up
            found = {above: [times(qkv, arguments.heads, above) for _ in runs]
                     for above in (t, 0)}
            for which, name in enumerate(("forward", "backward")):
                plain, blocks = ([taken[which] * 1e3 for taken in rows[1:]]
                                 for rows in found.values())
                print(f"{t:6}  {name:9} {median(plain):11.2f} {median(blocks):11.2f}   "
                      f"{ratios(plain, blocks)}", flush=True)


if __name__ == "__main__":
    script(main, None)
