"""What `train cross-encoder` reads: queries with their candidates, or pairs with scores."""
from typing import Any, NamedTuple

from scratch_embed.cli.messages import say_of
from scratch_embed.cli.sbert_data import MOST_CLASSES, kind_of_data, note_classes, read_texts
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

# for each kind of data: the losses that fit, the default first
LOSSES = {"pairs": ("cross-entropy", "bce"), "scored": ("bce", "mse", "cross-entropy")}
NEGATIVES = 4                      # drawn at random for each query, if the file has none
MOST_COLUMNS = 1 + 64              # a query, its positive and its hard negatives


class Examples(NamedTuple):
    """N examples: a query and its C candidates, the positive first; or two texts, C = 1."""

    columns: list[list[str]]       # 1 + C of N texts
    targets: Any                   # (N,) or (N, C), what the loss needs besides scores
    labels: int = 1                # O, the scores of a pair

    @property
    def pairs(self):
        """N · C pairs, the C of a query one after the other."""
        return [(query, text) for query, *others in zip(*self.columns) for text in others]


def loss_of(arguments):
    """The loss of --loss, in the form that training takes."""
    from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
    from scratch_embed.sentences.cross_encoder_training import CLASSES, SCORES, pair_loss
    if arguments.loss == "bce":
        return pair_loss(binary_cross_entropy, pos_weight=arguments.pos_weight or 1.0)
    return CLASSES if arguments.loss == "cross-entropy" else SCORES


def read_examples(arguments):
    """The Examples of --pairs, with random negatives, or of --scored.

    Raises FormatError that names the line; ValueError for fewer than 2 examples or classes.
    """
    kind, path = kind_of_data(arguments, LOSSES)
    if kind == "scored":
        examples = read_scored(arguments, path, MOST_CLASSES)
        what = "two texts and a " + ("class" if examples.labels > 1 else "score")
        if arguments.loss == "cross-entropy" and examples.labels < 2:
            raise ValueError(f"{path}: expected classes 0, 1 and so on, found only 0")
    else:
        examples = read_candidates(arguments, path, arguments.negatives)
        if len(examples.columns) < 3:
            raise ValueError(f"--negatives: expected at least 1, because {path} has no hard "
                             f"negatives, got {arguments.negatives}")
        what = (f"a query, its positive and {counted(len(examples.columns) - 2, 'negative')}")
    N = len(examples.targets)
    if N < 2:
        raise ValueError(f"{path}: expected at least 2 examples, found {N}")
    say(f"{counted(N, 'example')} of {path}: {what}")
    return examples


def read_held_out(arguments, examples):
    """The Examples of --held-out, in the form of the training data, or None without this option."""
    path = arguments.held_out
    if not path:
        return None
    if arguments.pairs is None:
        return read_scored(arguments, path, max(examples.labels, 2))
    return read_candidates(arguments, path, 0)


# ---- queries and candidates ----------------------------------------------------------------------

def read_candidates(arguments, path, negatives):
    """The Examples of a file of queries and positives, with or without hard negatives.

    negatives: how many more are drawn at random; None: NEGATIVES if the file has none
    """
    import numpy as np

    from scratch_embed.sentences.cross_encoder_training import random_negatives
    columns = read_texts(arguments, path, 2, MOST_COLUMNS)
    if negatives is None:
        negatives = 0 if len(columns) > 2 else NEGATIVES
    try:
        drawn = random_negatives(columns[0], columns[1], negatives, arguments.seed)
    except ValueError as error:
        raise ValueError(f"{path}: --negatives: {error}" + (
            ", the default; give a smaller number, or texts with hard negatives"
            if arguments.negatives is None else "")) from None
    N, C = len(columns[0]), len(columns) - 1 + negatives
    targets = np.zeros(N, np.int64)                          # the place of the positive
    if arguments.loss == "bce":
        targets = np.tile(np.float32([1] + [0] * (C - 1)), (N, 1))
    return Examples([*columns, *drawn], targets)


# ---- scored pairs --------------------------------------------------------------------------------

def read_scored(arguments, path, classes):
    """The Examples of a file of scored pairs.  classes: the most of them, for cross-entropy."""
    import numpy as np

    from scratch_embed.evaluate.scored_pairs import read_scored_pairs
    if arguments.loss == "cross-entropy":
        first, second, scores = read_scored_pairs(
            path, arguments.errors, lambda y: y in range(classes),
            f"a class, a whole number from 0 to {classes - 1},", say_of(path))
        note_classes(path, scores)
        targets = np.array(scores, np.int64)
        return Examples([first, second], targets, int(targets.max()) + 1)
    if arguments.loss == "mse":
        first, second, scores = read_scored_pairs(path, arguments.errors, note=say_of(path))
        return Examples([first, second], np.float32(scores))
    most = arguments.max_score or 1.0
    first, second, scores = read_scored_pairs(
        path, arguments.errors, lambda y: 0 <= y <= most,
        f"a number from 0 to {most:g} (--max-score is another limit)", say_of(path))
    return Examples([first, second], np.float32(scores) / np.float32(most))
