"""Training steps of masked LM and SimCSE with this package and PyTorch (eager, fused AdamW).

    python bench/transformer/training.py [masked simcse memory products] [--rounds 5]

Both sides train on the same texts with dropout, clipping and AdamW, and compute the masked-LM head
for the masked tokens only.  `masked` and `simcse` time the sides in turn, A B A B, in one process,
and print the medians of the rounds and the ratios round by round.  `memory` runs each side in its
own process.  `products` times only the matrix products of our step, and prints their share of the
step, and the speed of the step relative to that of a large product.
"""
import argparse
import os
import sys
from functools import partial

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import (
    PeakMemory,
    choose,
    in_a_process,
    median,
    ratios,
    script,
    spread,
    take_turns,
)

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.sentences import simcse
from scratch_embed.text.packed import pack
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors

V, THREADS, MASK = 8000, 2, 4                      # MASK: the id of [MASK]
SHAPES = {"128 wide, 2 layers, 32 x 32 tokens": (Config(V, 128, 2, 2, 512, 128), 32, 32),
          "256 wide, 4 layers, 16 x 64 tokens": (Config(V, 256, 4, 4, 1024, 128), 16, 64)}
STEPS = 30                                         # steps in a round


def corpus(size, length, seed=0):
    """8 batches of random tokens."""
    rng = np.random.default_rng(seed)
    return pack(rng.integers(5, V, (8 * size, length)))


# ---- ours ----------------------------------------------------------------------------------------

def ours_masked(config, size, length, workers):
    """A function that takes STEPS steps of transformer/masked_lm.train."""
    p = init_params(tensors(config) | head_tensors(config), 0)
    texts, masking = corpus(size, length), masked_lm.Masking(MASK, (0, 1, 2, 3))
    return lambda: masked_lm.train(texts, config, masking, steps=STEPS, batch_size=size,
                                   optim=Optim(1e-4), options=RunOptions(workers), p=p)


def ours_simcse(config, size, length, workers):
    """A function that takes STEPS steps of sentences/simcse.train."""
    model, texts = Bert(config, init_params(tensors(config), 0)), corpus(size, length)
    return lambda: simcse.train([texts], model, steps=STEPS, batch_size=size,
                                optim=Optim(1e-4, weight_decay=0.0), options=RunOptions(workers))


# ---- PyTorch -------------------------------------------------------------------------------------

def torch_model(config, kind):
    import torch
    import transformers
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = getattr(transformers, kind)(transformers.BertConfig(
        vocab_size=config.vocab, hidden_size=config.dim, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, intermediate_size=config.ff,
        max_position_embeddings=config.positions)).train()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)


def theirs_masked(config, size, length):
    """A function that takes STEPS steps of BertForMaskedLM in eager mode."""
    import torch
    model, optimizer = torch_model(config, "BertForMaskedLM")
    rng, texts = np.random.default_rng(1), corpus(size, length)
    masking, batches = masked_lm.Masking(MASK, (0, 1, 2, 3)), []
    for start in range(0, 8 * size, size):
        rows = texts.ids.reshape(-1, length)[start:start + size]
        examples = masked_lm.mask_tokens(pack(rows), masking, V, rng)
        batches.append([torch.tensor(examples.batch.ids.reshape(size, length), dtype=torch.int64),
                        torch.tensor(examples.masked_positions),
                        torch.tensor(examples.targets, dtype=torch.int64)])

    def steps():
        for step in range(STEPS):
            ids, rows, targets = batches[step % 8]
            hidden = model.bert(ids).last_hidden_state.reshape(size * length, -1)[rows]
            loss = torch.nn.functional.cross_entropy(model.cls(hidden), targets)
            finish(model, optimizer, loss)
    return steps


def theirs_simcse(config, size, length):
    """A function that takes STEPS steps of SimCSE: two dropout views, pooler, InfoNCE."""
    import torch
    model, optimizer = torch_model(config, "BertModel")
    ids = torch.tensor(corpus(size, length).ids.reshape(8, size, length), dtype=torch.int64)

    def steps():
        for step in range(STEPS):
            views = [model(ids[step % 8]).pooler_output for _ in range(2)]
            cosines = torch.nn.functional.cosine_similarity(views[0][:, None], views[1][None],
                                                            dim=-1)
            loss = torch.nn.functional.cross_entropy(cosines / 0.05, torch.arange(size))
            finish(model, optimizer, loss)
    return steps


def finish(model, optimizer, loss):
    """Backpropagate, clip the gradient and update the parameters."""
    import torch
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


# ---- the measurements ----------------------------------------------------------------------------

def compare(ours, theirs, rounds):
    for name, (config, size, length) in SHAPES.items():
        sides = {"ours, 1 worker": ours(config, size, length, 1),
                 f"ours, {THREADS} workers": ours(config, size, length, THREADS),
                 f"PyTorch, {THREADS} threads": theirs(config, size, length)}
        taken = take_turns(sides, rounds, warmup_rounds=1)
        *_, two, peer = taken
        print(f"  {name}")
        for side, seconds in taken.items():
            ms = [s / STEPS * 1e3 for s in seconds]
            print(f"    {side:20} {median(ms):7.1f} ms a step   {spread(ms)}")
        print(f"    {peer} / {two}: {ratios(taken[peer], taken[two])}", flush=True)


def masked(rounds):
    print("masked LM")
    compare(ours_masked, theirs_masked, rounds)


def simcse_steps(rounds):
    print("SimCSE: two views of each text")
    compare(ours_simcse, theirs_simcse, rounds)


def memory(rounds):
    print("growth of memory in masked-LM training, MiB")
    for name in SHAPES:
        grown = {side: in_a_process([side, name]) for side in ("ours", "theirs")}
        print(f"  {name}: ours {grown['ours']:.0f}, PyTorch {grown['theirs']:.0f}, ours / PyTorch "
              f"{grown['ours'] / grown['theirs']:.2f}", flush=True)


def worker(job):
    """job: (side, name of a shape) -> MiB of model, optimiser and STEPS steps, without imports."""
    import torch  # both sides import it before the measurement
    import transformers
    assert torch and transformers.BertModel
    side, name = job
    config, size, length = SHAPES[name]
    if side == "ours":
        ours_masked(Config(100, 8, 1, 2, 8, 64), 2, 8, 1)            # the compiler's own memory
    peak = PeakMemory()
    steps = (ours_masked(config, size, length, THREADS) if side == "ours"
             else theirs_masked(config, size, length))
    steps()
    return peak.growth()


def products(rounds):
    """Time the matrix products of a masked-LM step; each of two threads computes a share."""
    print("matrix products of a masked-LM step")
    for name, shape in SHAPES.items():
        flops, alone, whole, peak = time_products(*shape, rounds)
        print(f"  {name}: {flops / 1e9:.2f} GFLOP a step; {alone * 1e3:.1f} ms alone of "
              f"{whole * 1e3:.1f} ms ({100 * alone / whole:.0f}%); the step runs at "
              f"{flops / whole / 1e9:.0f} GFLOP/s, a large product at {peak / 1e9:.0f} "
              f"({100 * flops / whole / peak:.0f}%)", flush=True)


def time_products(config, size, length, rounds):
    """FLOP of a step's products, their seconds, seconds of a step, FLOP/s of a large product."""
    T, M = size * length // THREADS, round(0.15 * size * length) // THREADS
    D, F, t, n = config.dim, config.ff, length, size // THREADS * config.heads
    dense = config.layers * [(T, D, D)] * 4 + config.layers * [(T, D, F), (T, F, D)]
    dense += [(M, D, D), (M, D, V)]
    heads = [((n, t, D // config.heads), (n, D // config.heads, t))] * (6 * config.layers)
    flops = THREADS * (sum(6 * m * k * n for m, k, n in dense)
                       + sum(2 * n * t * d * t for (n, t, d), _ in heads))
    a = np.ones((1024, 1024), np.float32)

    def of_a_step(_):
        for m, k, n in dense:                      # y = x Wᵀ, dx = dy W, dW = dyᵀ x
            x, W = np.ones((m, k), np.float32), np.ones((n, k), np.float32)
            y = x @ W.T
            y @ W
            y.T @ x
        for left, right in heads:
            np.ones(left, np.float32) @ np.ones(right, np.float32)

    def large(_):
        return a @ a

    step = ours_masked(config, size, length, THREADS)
    step()
    with parallel_map(THREADS) as run:
        taken = take_turns({"alone": partial(run, of_a_step, range(THREADS)), "whole": step,
                            "large": partial(run, large, range(THREADS))}, rounds)
    return (flops, median(taken["alone"]), median(taken["whole"]) / STEPS,
            THREADS * 2 * 1024**3 / median(taken["large"]))


SECTIONS = {"masked": masked, "simcse": simcse_steps, "memory": memory, "products": products}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments = choose(parser, SECTIONS)
    with one_blas_thread():
        for section in arguments.sections:
            SECTIONS[section](arguments.rounds)


if __name__ == "__main__":
    script(main, worker)
