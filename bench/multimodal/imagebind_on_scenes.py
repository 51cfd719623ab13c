"""What ImageBind learns about the world of scenes: every pair of senses beside bounds and chance.

    python bench/multimodal/imagebind_on_scenes.py [--seeds 3] [--workers 2]

For each seed: trains CLIP with RECIPE of multimodal/clip_verdict.py, then the four senses with that
of multimodal/imagebind_verdict.py, and prints its report(), over the seeds: recall@10 of 1,000 (the
chance is 0.010), zero-shot accuracies, and the nearest image to a sound plus a word.
"""
import argparse
import os
import sys
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import add_sizes

from scratch_embed.multimodal.clip_verdict import train_on_scenes
from scratch_embed.multimodal.imagebind_verdict import matrix_lines, report, share_of_bound
from scratch_embed.training.session import RunOptions


def as_text(numbers):
    return f"{np.mean(numbers):.3f} ({min(numbers):.3f}..{max(numbers):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sizes(parser, {"seeds": 3, "workers": 2})
    arguments = parser.parse_args()
    reports, seconds = [], []
    for seed in range(1, arguments.seeds + 1):
        options = RunOptions(arguments.workers, seed)
        _, trained, _ = train_on_scenes(options=options)
        start = time.perf_counter()
        reports.append(report(trained, options=options))
        seconds.append(time.perf_counter() - start)
    print(f"{arguments.seeds} seeds, {as_text(seconds)} s for a report; * met in training")
    for title, matrices in (
            ("trained", [found.matrix for found in reports]),
            ("with random towers", [found.untrained for found in reports]),
            ("with the image tower trained together with sound", [r.moved for r in reports])):
        print(f"\nrecall@10 of 1,000, {title}: mean of the seeds, of the bound")
        print("\n".join(matrix_lines(matrices)))
        for paired, name in (True, "pairs that met"), (False, "pairs that never met"):
            shares = [share_of_bound(matrix, paired) for matrix in matrices]
            print(f"share of the way from chance to the bound, {name}: {as_text(shares)}")
    print("\nzero-shot by prompts, beside the best possible")
    for (sense, attribute), (_, best) in sorted(reports[0].zero_shot.items()):
        found = [one.zero_shot[sense, attribute][0] for one in reports]
        print(f"  {sense:8} {attribute:10} {as_text(found):24} {best:.3f}")
    print("\nthe nearest image has the right")
    for kind in reports[0].sums:
        print(f"  {kind:14}" + "   ".join(
            f"{name} {as_text([getattr(one.sums[kind], name) for one in reports])}"
            for name in reports[0].sums[kind]._fields))


if __name__ == "__main__":
    main()
