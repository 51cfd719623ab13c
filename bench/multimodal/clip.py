"""CLIP's training steps and encoding with this package and with transformers on PyTorch.

    python bench/multimodal/clip.py [training images texts resize start] [--rounds 5]

Both sides have the same architecture, random weights and the same inputs.  The sides take turns, A
B A B, in one process; medians of the rounds, and ratios round by round.  `training` takes steps of
multimodal/clip_verdict.py's recipe and of one four times as wide; PyTorch's are eager, with fused
AdamW.  `images` and `texts` encode with the sizes of ViT-B/32.  `resize` makes images of 375 x 500
into the input of a model of 224 x 224 pixels.  `start` runs each side in a new process: seconds
and peak memory from its start to the first vector of an image, from a saved folder.
"""
import argparse
import os
import sys
import tempfile
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, in_a_process, median, peak_mib, ratios, script, spread, take_turns

from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import (
    BETAS,
    EPS,
    Config,
    TextConfig,
    infer_images,
    infer_texts,
    tensors,
    train,
)
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_folder import config_fields
from scratch_embed.multimodal.image_processor import ImageProcessor
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.text.bpe_training import train_clip_bpe
from scratch_embed.text.packed import pack, take
from scratch_embed.training.session import RunOptions

THREADS, STEPS = 2, 20             # STEPS: of training, in a round
V = 1000                           # of the texts of `training`


def config_of(pixels, patch, vocab, length, image, text, dim):
    """image, text: (D, L, H) of a tower; F = 4 D."""
    trunks = [Trunk(D, L, H, 4 * D) for D, L, H in (image, text)]
    return Config(vit.Config(pixels, patch, 3, trunks[0]),
                  TextConfig(vocab, length, vocab - 1, trunks[1]._replace(causal=True)), dim)


TRAINED = {"the recipe: 64 wide, 128 pairs": (
               config_of(16, 4, V, 24, (64, 2, 4), (64, 1, 4), 64), 128, 10),
           "256 wide, 4 layers, 64 pairs": (
               config_of(32, 4, V, 24, (256, 4, 4), (256, 4, 4), 256), 64, 16)}
BASE = config_of(224, 32, 49408, 77, (768, 12, 12), (512, 12, 8), 512)         # ViT-B/32


def draw(config, size, length, seed=0):
    """Random images, and texts of `length` tokens that end with the end-of-text token."""
    rng, S = np.random.default_rng(seed), config.image.pixels
    ids = rng.integers(0, config.text.vocab - 1, (size, length))
    ids[:, -1] = config.text.end
    return rng.standard_normal((size, 3, S, S)).astype(np.float32), pack(ids)


def original(config):
    """transformers' CLIPModel with random weights."""
    import torch
    import transformers
    torch.set_num_threads(THREADS)
    return transformers.CLIPModel(transformers.CLIPConfig.from_dict(config_fields(config)))


# ---- training ------------------------------------------------------------------------------------

def ours_training(config, size, length, workers):
    """A function that takes STEPS steps of multimodal/clip.train."""
    images, texts = draw(config, 8 * size, length)
    p = init_params(tensors(config), 1)
    return lambda: train(images, texts, p, config, STEPS, size, Optim(1e-4, 0.1, 0.1),
                         options=RunOptions(workers))


def theirs_training(config, size, length):
    """A function that takes STEPS steps of CLIPModel in eager mode."""
    import torch
    model = original(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, BETAS, EPS, 0.1, fused=True)
    images, texts = draw(config, 8 * size, length)
    images = torch.tensor(images)
    ids = torch.tensor(texts.ids.reshape(-1, length), dtype=torch.int64)

    def steps():
        for step in range(STEPS):
            rows = slice(step % 8 * size, (step % 8 + 1) * size)
            optimizer.zero_grad()
            model(input_ids=ids[rows], pixel_values=images[rows], return_loss=True).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return steps


def training(rounds):
    print("training steps")
    for name, (config, size, length) in TRAINED.items():
        report(name, {f"ours, {w} worker{'s' * (w > 1)}": ours_training(config, size, length, w)
                      for w in (1, THREADS)}
               | {f"PyTorch, {THREADS} threads": theirs_training(config, size, length)},
               rounds, STEPS, "ms a step")


def report(name, sides, rounds, count, unit):
    """Time sides in turn, print ms of one of `count`, and the last side over the one before."""
    taken = take_turns(sides, rounds, warmup_rounds=1)
    *_, ours, peer = taken
    print(f"  {name}")
    for side, seconds in taken.items():
        ms = [s / count * 1e3 for s in seconds]
        print(f"    {side:20} {median(ms):8.2f} {unit}   {spread(ms, 2)}")
    print(f"    {peer} / {ours}: {ratios(taken[peer], taken[ours])}", flush=True)


# ---- encoding ------------------------------------------------------------------------------------

def images(rounds, count=16):
    import torch
    p, model = init_params(tensors(BASE), 1), original(BASE).eval()
    pixels, _ = draw(BASE, count, 2)
    as_torch, halves = torch.tensor(pixels), np.array_split(np.arange(count), THREADS)

    def theirs():
        with torch.inference_mode():
            return model.get_image_features(pixel_values=as_torch)
    with parallel_map(THREADS) as run:
        report(f"vectors of {count} images, ViT-B/32",
               {"ours": lambda: run(lambda rows: infer_images(pixels[rows], p, BASE), halves),
                "transformers": theirs}, rounds, count, "ms an image")


def texts(rounds, count=64, length=12):
    import torch
    p, model = init_params(tensors(BASE), 1), original(BASE).eval()
    _, batch = draw(BASE, count, length)
    ids = torch.tensor(batch.ids.reshape(count, length), dtype=torch.int64)
    halves = np.array_split(np.arange(count), THREADS)

    def theirs():
        with torch.inference_mode():
            return model.get_text_features(input_ids=ids)
    with parallel_map(THREADS) as run:
        report(f"vectors of {count} texts of {length} tokens, CLIP's text tower",
               {"ours": lambda: run(lambda rows: infer_texts(take(batch, rows), p, BASE), halves),
                "transformers": theirs}, rounds, count, "ms a text")


def resize(rounds, count=8):
    from transformers import CLIPImageProcessorPil
    pictures = list(np.random.default_rng(0).integers(0, 256, (count, 375, 500, 3), np.uint8))
    ours, theirs = ImageProcessor(), CLIPImageProcessorPil()
    report(f"{count} images of 375 x 500 to 224 x 224",
           {"ours": lambda: ours(pictures), "transformers, PIL": lambda: theirs(pictures)},
           rounds, count, "ms an image")


# ---- from the start ------------------------------------------------------------------------------

def start(rounds):
    print("from the start of a process to the first vector of an image, ViT-B/32")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_clip_bpe(["a red circle"] * 2)
        config = BASE._replace(text=BASE.text._replace(end=len(tokenizer) - 1))
        Clip(config, init_params(tensors(config), 1), tokenizer, ImageProcessor()).save(folder)
        found = {side: [in_a_process([side, folder, time.time()]) for _ in range(rounds)]
                 for side in ("ours", "transformers")}
    for side, runs in found.items():
        seconds, mib = zip(*runs)
        print(f"  {side:14} {median(seconds):6.2f} s ({spread(seconds, 2)}), peak "
              f"{median(mib):.0f} MiB", flush=True)


def worker(job):
    """job: (side, folder, when the process was started) -> seconds since then, peak MiB."""
    side, folder, started = job
    picture = np.zeros((375, 500, 3), np.uint8)
    if side == "ours":
        Clip.load(folder).encode_images([picture])
    else:
        import torch
        from transformers import CLIPImageProcessorPil, CLIPModel
        model = CLIPModel.from_pretrained(folder).eval()
        inputs = CLIPImageProcessorPil.from_pretrained(folder)([picture], return_tensors="pt")
        with torch.inference_mode():
            model.get_image_features(**inputs)
    return time.time() - started, peak_mib()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = {"training": training, "images": images, "texts": texts, "resize": resize,
                "start": start}
    arguments = choose(parser, sections)
    for section in arguments.sections:
        sections[section](arguments.rounds)


if __name__ == "__main__":
    script(main, worker)
