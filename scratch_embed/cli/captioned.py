"""Pairs of a file and its caption for `train clip`: reading, holding out, the verdict."""
import os

from scratch_embed.cli.messages import say, say_of

HEADER = "filepath", "title"       # as open_clip's --train-data has them
PART, ENOUGH = 10, 200             # one in PART pairs is held out if there are ENOUGH
FORM = ("PNG file <tab> caption, with or without the header filepath <tab> title, as `world "
        "scenes` writes captions.tsv; the names of files are relative to FILE")
ADVICE = "train for more --steps, or on more pairs"


def read_captioned(path, errors):
    """(paths of files, captions) of a list of pairs."""
    from scratch_embed.text.columns import read_columns
    files, captions = read_columns(path, 2, 2, errors, say_of(path))
    if (files[0], captions[0]) == HEADER:
        files, captions = files[1:], captions[1:]
    if len(files) < 2:
        raise ValueError(f"{path}: expected at least 2 files with captions, got {len(files)}")
    above = os.path.dirname(path)
    return [os.path.join(above, file) for file in files], captions


def split_off(N):
    """(numbers to train on, numbers that are held out, which may be none) of N examples."""
    held_out = range(0, N, PART) if N >= ENOUGH else range(0)
    return [n for n in range(N) if n not in held_out], list(held_out)


def report_partners(verdict, what, source):
    """Print the mean reciprocal rank and the verdict.

    what: is found, by what; source: where the examples come from
    """
    say(f"finding {what} among {verdict.keys:,}, {source}, MRR: {verdict.trained:.4f}; before "
        f"training {verdict.start:.4f}; chance {verdict.chance:.4f}")
    say(verdict.sentence(ADVICE))
