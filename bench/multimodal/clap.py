"""CLAP's training steps and vectors of sounds with this package and with transformers on PyTorch.

    python bench/multimodal/clap.py [training tower sounds scenes] [--rounds 5]

Both sides have the same architecture, random weights and the same inputs.  The sides take turns, A
B A B, in one process; medians of the rounds, and ratios round by round.  `training` takes steps of
multimodal/clap_verdict.py's recipe, from spectrograms; PyTorch's are eager, with fused AdamW, and
batch norm uses its running statistics, as here.  `tower` computes vectors of spectrograms of ten
seconds with the sizes of HTSAT-tiny.  `sounds` begins at the waves, at 48 kHz.  `scenes` trains the
recipe with three seeds and prints the retrieval scores beside the baselines (five minutes).
"""
import argparse
import os
import sys
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, median, ratios, script, spread, take_turns

from scratch_embed.multimodal import clap, htsat
from scratch_embed.multimodal.audio import ClapAudio, write_clap_audio
from scratch_embed.multimodal.clap_folder import config_fields
from scratch_embed.multimodal.clap_verdict import AUDIO, RECIPE, bounds, report, train_on_scenes
from scratch_embed.nn.optim import AdamW
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.workers import parallel_map, serial_map
from scratch_embed.text.packed import pack, take
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import roberta

THREADS, STEPS, SEEDS = 2, 10, (1, 2, 3)
D, LAYERS = RECIPE.text
SMALL = clap.Config(RECIPE.tower, roberta.Config(420, D, LAYERS, D // 32, 4 * D, 66), RECIPE.dim)
TINY = clap.Config(htsat.Config(), roberta.Config(420, 64, 1, 2, 256, 66))     # HTSAT-tiny


def original(config):
    """transformers' ClapModel with random weights, in evaluation mode: constant statistics."""
    import torch
    import transformers
    torch.set_num_threads(THREADS)
    return transformers.ClapModel(transformers.ClapConfig.from_dict(config_fields(config))).eval()


def draw(config, size, frames, length, seed=0):
    """Random spectrograms, and texts of `length` tokens from <s> to </s>."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, config.text.vocab, (size, length))
    ids[:, 0], ids[:, -1] = 0, 2
    return rng.standard_normal((size, frames, config.audio.mels)).astype(np.float32), pack(ids)


def print_turns(name, sides, rounds, count, unit):
    """Time sides in turn, print ms of one of `count`, and the last side over the one before."""
    taken = take_turns(sides, rounds, warmup_rounds=1)
    *_, ours, peer = taken
    print(f"  {name}")
    for side, seconds in taken.items():
        ms = [s / count * 1e3 for s in seconds]
        print(f"    {side:20} {median(ms):8.2f} {unit}   {spread(ms, 2)}")
    print(f"    {peer} / {ours}: {ratios(taken[peer], taken[ours])}", flush=True)


# ---- training ------------------------------------------------------------------------------------

def training(rounds, length=8):
    size = RECIPE.batch_size
    mels, texts = draw(SMALL, STEPS * size, AUDIO.frames, length)
    batches = [np.arange(n * size, (n + 1) * size) for n in range(STEPS)]

    def ours(workers, map):
        p = htsat.freeze_statistics(init_params(clap.tensors(SMALL), 1))
        optimizer, grads = AdamW(p), [p.like() for _ in range(workers)]

        def steps():
            for rows in batches:
                for g in grads:
                    g.flat[:] = 0
                _, backward = clap.batch_loss(mels[rows], take(texts, rows), p, SMALL,
                                              workers=workers, map=map)
                backward(grads)
                optimizer.step(grads, 1e-4, 1.0, map)
        return steps
    with parallel_map(THREADS) as in_threads:
        print_turns(f"training steps of the recipe, {size} pairs", {
            "ours, 1 worker": ours(1, serial_map), f"ours, {THREADS} workers": ours(
                THREADS, in_threads), "PyTorch": original_steps(mels, texts, length, batches)},
            rounds, STEPS, "ms a step")


def original_steps(mels, texts, length, batches):
    """A function that takes steps of ClapModel in eager mode."""
    import torch
    model = original(SMALL)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    mels, ids = torch.tensor(mels[:, None]), torch.tensor(texts.ids.reshape(-1, length)).long()

    def steps():
        for rows in batches:
            optimizer.zero_grad()
            model(input_ids=ids[rows], input_features=mels[rows], is_longer=None,
                  return_loss=True).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return steps


# ---- vectors of sounds ---------------------------------------------------------------------------

def tower(rounds, count=4):
    import torch
    p, model = init_params(clap.tensors(TINY), 1), original(TINY)
    mels, _ = draw(TINY, count, ClapAudio().frames, 3)
    as_torch, halves = torch.tensor(mels[:, None]), np.array_split(np.arange(count), THREADS)

    def theirs():
        with torch.inference_mode():
            return model.get_audio_features(input_features=as_torch)
    with parallel_map(THREADS) as run:
        print_turns(f"vectors of {count} spectrograms of ten seconds, HTSAT-tiny", {
            "ours": lambda: run(lambda rows: clap.infer_sounds(mels[rows], p, TINY), halves),
            "transformers": theirs}, rounds, count, "ms a sound")


def sounds(rounds, count=4):
    import tempfile

    import torch
    from transformers import ClapFeatureExtractor
    p, model, audio = init_params(clap.tensors(TINY), 1), original(TINY), ClapAudio()
    waves = [*np.random.default_rng(0).uniform(-1, 1, (count, audio.samples)).astype(np.float32)]
    halves = np.array_split(np.arange(count), THREADS)
    with tempfile.TemporaryDirectory() as folder:
        write_clap_audio(folder, audio)
        extractor = ClapFeatureExtractor.from_pretrained(folder)

    def ours(rows):
        mels = clap.log_mels([waves[n] for n in rows], audio, np.random.default_rng(0))
        return clap.infer_sounds(mels, p, TINY)

    def theirs():
        mels = extractor(waves, sampling_rate=audio.rate, return_tensors="pt")["input_features"]
        with torch.inference_mode():
            return model.get_audio_features(input_features=mels.float())
    with parallel_map(THREADS) as run:
        print_turns(f"vectors of {count} sounds of ten seconds at 48 kHz, HTSAT-tiny", {
            "ours": lambda: run(ours, halves), "transformers": theirs}, rounds, count,
            "ms a sound")


# ---- quality -------------------------------------------------------------------------------------

def scenes(rounds):
    """Mean scores over SEEDS, with the lowest and the highest."""
    rows, seconds = {}, []
    for seed in SEEDS:
        began = time.perf_counter()
        start, trained, _ = train_on_scenes(RECIPE, RunOptions(THREADS, seed))
        seconds.append(time.perf_counter() - began)
        chance, best = bounds(seed)
        found = report(start, trained, seed) | {"chance": chance, "best possible": best}
        for name, numbers in found.items():
            rows.setdefault(name, []).append(numbers)
    print(f"retrieval among {RECIPE.test:,} new scenes, {len(SEEDS)} seeds: mean (lowest..highest);"
          f" training took {median(seconds):.0f} s ({spread(seconds, 0)})")
    print(f"  {'':28} {'exact, caption':>20} {'exact, sound':>20} {'recall@10, caption':>20} "
          f"{'recall@10, sound':>20}")
    for name, numbers in rows.items():
        cells = (f"{np.mean(x):.3f} ({min(x):.3f}..{max(x):.3f})" for x in zip(*numbers))
        print(f"  {name:28} " + " ".join(f"{cell:>20}" for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = {"training": training, "tower": tower, "sounds": sounds, "scenes": scenes}
    arguments = choose(parser, sections)
    for section in arguments.sections:
        sections[section](arguments.rounds)


if __name__ == "__main__":
    script(main, None)
