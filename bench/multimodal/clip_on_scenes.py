"""What CLIP learns about the world of scenes: three seeds, beside untrained towers and bounds.

    python bench/multimodal/clip_on_scenes.py [clip siglip] [--seeds 3] [--workers 2]

Trains with RECIPE of multimodal/clip_verdict.py, and prints each measure of its report() as the
mean of the seeds and their range.  Recall is recall@10 of 1,000.  Accuracies are in 0..1.
"""
import argparse
import os
import sys
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import add_sizes

from scratch_embed.multimodal.clip import siglip_loss
from scratch_embed.multimodal.clip_verdict import (
    CHANCE,
    RECIPE,
    recall_bounds,
    report,
    train_on_scenes,
)
from scratch_embed.training.session import RunOptions

RECIPES = {"clip": RECIPE, "siglip": RECIPE._replace(loss=siglip_loss)}


def flat(found):
    """A report's numbers by name."""
    return {**found.zero_shot._asdict(), "text to image": found.text_to_image,
            "image to text": found.image_to_text,
            **{f"probe, {name}": x for name, x in found.probes._asdict().items()},
            "gap": found.gap, "cosine of pairs": found.pair_cosine,
            "cosine of others": found.other_cosine}


def as_text(numbers):
    return f"{np.mean(numbers):6.3f} ({min(numbers):.3f}..{max(numbers):.3f})"


def measure(name, seeds, workers):
    before, after, seconds, scales = [], [], [], []
    for seed in range(1, seeds + 1):
        start = time.perf_counter()
        untrained, trained, run = train_on_scenes(RECIPES[name], RunOptions(workers, seed))
        seconds.append(time.perf_counter() - start)
        scales.append(np.exp(run.log_scales[-1]))
        before.append(flat(report(untrained, seed)))
        after.append(flat(report(trained, seed)))
    chance, bound = zip(*(recall_bounds(seed) for seed in range(1, seeds + 1)))
    print(f"{name}: {seeds} seeds, {as_text(seconds)} s a run, scale {as_text(scales)}; recall: "
          f"chance {chance[0]:.3f}, upper bound {as_text(bound)}")
    print(f"  {'':24}{'trained':24}{'untrained':24}chance")
    for row in after[0]:
        numbers = [as_text([found[row] for found in of]) for of in (after, before)]
        by_chance = f"{getattr(CHANCE, row):.3f}" if hasattr(CHANCE, row) else ""
        print(f"  {row:24}{numbers[0]:24}{numbers[1]:24}{by_chance}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("losses", nargs="*", default=["clip", "siglip"], help="clip, siglip")
    add_sizes(parser, {"seeds": 3, "workers": 2})
    arguments = parser.parse_args()
    for name in arguments.losses:
        measure(name, arguments.seeds, arguments.workers)


if __name__ == "__main__":
    main()
