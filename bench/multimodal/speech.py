"""What the layers of a small Whisper encoder know of content and speaker, over several seeds.

    python bench/multimodal/speech.py [--seeds 2 3 4 5 6] [--steps 400]

Each row is a mean and its 95 % interval over the seeds; see scratch_embed/why/speech.py.
"""
import argparse

from scratch_embed.why.effects import interval
from scratch_embed.why.speech import PROBING, TEST, chance, draw, mean_rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4, 5, 6])
    parser.add_argument("--steps", type=int, default=400, help="of training (%(default)s)")
    arguments = parser.parse_args()
    print("| accuracy, % | syllable of a frame | speaker |\n|---|---|---|")
    print("| chance | {:.1f} | {:.1f} |".format(*chance(draw(PROBING + TEST, arguments.seeds[0]))))
    for name, scores in mean_rows(arguments.seeds, arguments.steps):
        content, speaker = (interval(column) for column in scores.T)
        print(f"| {name} | {content.mean:.1f} ± {content.half:.1f} | {speaker.mean:.1f} ± "
              f"{speaker.half:.1f} |", flush=True)


if __name__ == "__main__":
    main()
