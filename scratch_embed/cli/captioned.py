"""Pairs of a file and its caption, for `train clip` and `train clap`: reading, verdict."""
import os

from scratch_embed.cli.messages import say, say_of
from scratch_embed.numerics.wording import counted

HEADER = "filepath", "title"       # as open_clip's --train-data has them
PART, ENOUGH = 10, 200             # one in PART pairs is held out if there are ENOUGH
ADVICE = "train for more --steps, or on more pairs"


def add_pairs(command, kind, example):
    """Add --pairs and --held-out.  kind: of the files, "PNG"; example: of `world scenes`"""
    what = {"PNG": "images", "WAV": "sounds"}[kind]
    command.add_argument("--pairs", metavar="FILE",
                         help=f"lines of {kind} file <tab> caption, with or without the header "
                              f"filepath <tab> title, as `world scenes` writes {example}; the "
                              f"names of files are relative to FILE (default: {what} and captions "
                              "of the toy scenes)")
    command.add_argument("--held-out", metavar="FILE",
                         help=f"measure the result on these lines of {kind} file <tab> caption, "
                              "which training does not read (default: on a tenth of the pairs, "
                              "which training then does not read, if there are at least "
                              f"{ENOUGH}; else on the training pairs)")


def read_captioned(path, errors):
    """(paths of files, captions) of a list of pairs."""
    from scratch_embed.text.columns import read_columns
    files, captions = read_columns(path, 2, 2, errors, say_of(path))
    if (files[0], captions[0]) == HEADER:
        files, captions = files[1:], captions[1:]
    if len(files) < 2:
        raise ValueError(f"{path}: expected at least 2 files with captions, got {len(files)}")
    above = os.path.dirname(path)
    for file in files:
        if not os.path.exists(os.path.join(above, file)):
            raise ValueError(f"{path}: {file!r}: there is no such file; names are relative to the "
                             f"folder {above or '.'}")
    return [os.path.join(above, file) for file in files], captions


def split_off(N):
    """(numbers to train on, numbers that are held out, which may be none) of N examples."""
    held_out = range(0, N, PART) if N >= ENOUGH else range(0)
    return [n for n in range(N) if n not in held_out], list(held_out)


def pairs_of(arguments, what):
    """(files to train on, their captions, (files, captions) to measure on, where from).

    what: the files are, in the singular
    """
    files, captions = read_captioned(arguments.pairs, arguments.errors)
    say(f"{arguments.pairs}: {counted(len(files), what)} with captions")
    if arguments.held_out:
        return files, captions, read_captioned(arguments.held_out, arguments.errors), "held out"
    kept, rest = split_off(len(files))
    sample, source = (rest, "held out") if rest else (kept, "of the training pairs")
    return (*pick(files, captions, kept), pick(files, captions, sample), source)


def pick(files, captions, numbers):
    """These pairs: (files, captions)."""
    return [files[n] for n in numbers], [captions[n] for n in numbers]


def check_pairs(arguments):
    """Exit with code 2 if the options of pairs contradict each other."""
    if arguments.batch_size < 2:
        arguments.usage_error("--batch-size: expected 2 or more, because the other pairs of a "
                              f"batch are the negatives, got {arguments.batch_size}")
    if arguments.pairs and arguments.examples:
        arguments.usage_error("--examples: the number of toy scenes; leave it out with --pairs")
    if arguments.held_out and not arguments.pairs:
        arguments.usage_error("--held-out: expected with --pairs; the toy scenes have held-out "
                              "scenes of their own: leave it out")


# ---- the verdict ---------------------------------------------------------------------------------

def report_captions(trained, start, sense, sample, source):
    """Print how well captions are found by their files, and the verdict.

    sample: (inputs of a sense of the models, their captions); equal captions are one
    """
    import numpy as np

    from scratch_embed.cli.sense_encoder import senses_of
    from scratch_embed.multimodal.partner_verdict import MOST, of_partners
    from scratch_embed.numerics.l2_normalize import l2_normalize
    inputs, captions = (part[:MOST] for part in sample)
    texts = list(dict.fromkeys(captions))
    column = {text: n for n, text in enumerate(texts)}
    cosines = [l2_normalize(encode[sense](inputs))[0] @ l2_normalize(encode["text"](texts))[0].T
               for encode in map(senses_of, (trained, start))]
    verdict = of_partners(*cosines, np.array([column[text] for text in captions]))
    what = {"image": "an image", "audio": "a sound"}[sense]
    report_partners(verdict, f"the caption of {what}", source)


def report_partners(verdict, what, source):
    """Print the mean reciprocal rank and the verdict.

    what: is found, by what; source: where the examples come from
    """
    say(f"finding {what} among {verdict.keys:,}, {source}, MRR: {verdict.trained:.4f}; before "
        f"training {verdict.start:.4f}; chance {verdict.chance:.4f}")
    say(verdict.sentence(ADVICE))
