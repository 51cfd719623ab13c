"""GradCache: peak memory and time of a large batch, whole and in sub-batches.

    python bench/losses/grad_cache.py [--batch 1024] [--cache 64] [--tokens 32] [--rounds 3]

Each row is the loss of a batch of pairs and its gradient (sentences/sbert.py, InfoNCE, dropout 0.1,
one worker), in a process of its own: the growth of anonymous memory during the steps, with the
parameters and the buffer of gradients in memory before, and the processor time of a step, which
other programs disturb less than its duration; there is one thread.  The last column
is what the batch may need besides the activations of a small one: its vectors y, ∂L/∂y, and the
scores with their gradient, both N × N.
"""
import argparse
import os
import sys
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import PeakMemory, choose, in_a_process, median, script, spread, threads_of

from scratch_embed.nn.dropout import Dropout
from scratch_embed.nn.params import init_params
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import RANKING
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.sbert import View, batch_loss, trainable
from scratch_embed.text.packed import pack
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors

CONFIG = Config(vocab=8000, dim=128, layers=4, heads=2, ff=512, positions=128)
MIB = 2**20


def views(batch, tokens):
    """Two views of random texts; as many tokens in each, so that all sub-batches are equal."""
    rng = np.random.default_rng(0)
    return [View(pack(rng.integers(5, CONFIG.vocab, (batch, tokens)))) for _ in range(2)]


def worker(job):
    """Take the steps of one row.  -> MiB of growth, processor seconds of each step"""
    tokenizer = WordPiece([*SPECIAL, "a"])
    encoder = SentenceEncoder(tokenizer, Bert(CONFIG, init_params(tensors(CONFIG), 0)),
                              Recipe(max_seq_length=job["tokens"]))
    model, recipe = trainable(encoder, RANKING, 0)
    grads, dropout = [model.p.like()], Dropout(0.1, 1)

    def step(texts, cache):
        loss, backward = batch_loss(texts, None, model, recipe, RANKING, dropout, cache)
        backward(grads)
    step(views(8, job["tokens"]), None)                    # compiles the kernels
    texts, seconds = views(job["batch"], job["tokens"]), []
    grads[0].flat[:] = 0                                   # its pages are in memory
    memory = PeakMemory()
    for _ in range(job["rounds"]):
        start = time.process_time()
        step(texts, job["cache"])
        seconds.append(time.process_time() - start)
    return {"MiB": memory.growth(), "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1024, help="pairs (%(default)s)")
    parser.add_argument("--cache", type=int, default=64, help="texts at a time (%(default)s)")
    parser.add_argument("--tokens", type=int, default=32, help="of a text (%(default)s)")
    arguments = choose(parser, ["steps"], rounds=3)
    N, small = arguments.batch, arguments.cache
    allowed = (2 * 2 * N * CONFIG.dim + 2 * N * N) * 4 / MIB
    print(f"{CONFIG.dim} wide, {CONFIG.layers} layers, texts of {arguments.tokens} tokens")
    print(f"{'batch':<28}{'peak MiB':>9}{'CPU s':>11}{'':>16}{'y, dy, scores':>15}")
    rows = {f"{small}": (small, None), f"{N} in sub-batches of {small}": (N, small),
            f"{N}": (N, None)}
    for name, (batch, cache) in rows.items():
        found = in_a_process(dict(batch=batch, cache=cache, tokens=arguments.tokens,
                                  rounds=arguments.rounds), threads_of(1))
        print(f"{name:<28}{found['MiB']:9.1f}{median(found['seconds']):11.2f}"
              f"{spread(found['seconds'], 2):>16}"
              + (f"{allowed:15.1f}" if cache else ""), flush=True)


if __name__ == "__main__":
    script(main, worker)
