"""What `train sbert` reads: files of pairs, triplets or scored pairs; which loss fits which."""
import argparse
from typing import Any, NamedTuple

from scratch_embed.cli.messages import say_of
from scratch_embed.cli.other_names import loss_here
from scratch_embed.cli.training import say
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.wording import counted

# for each kind of data: the losses that fit, the default first
LOSSES = {"pairs": ("infonce",), "triplets": ("infonce", "triplet"),
          "scored": ("cosent", "cosine-mse", "contrastive", "online-contrastive", "softmax")}
MOST_CLASSES = 1000                # of --loss softmax, so that a score is not taken for a class


class Examples(NamedTuple):
    """N examples: V columns of N texts, and the score or label of each, if they have one."""

    columns: list[list[str]]
    scores: Any = None             # (N,): scores in 0..1, labels 0 and 1, or classes 0..C−1

    @property
    def classes(self):
        """C, the number of classes, if the scores are classes."""
        return int(self.scores.max()) + 1


def loss_among(losses):
    """An argparse type: the name of one of the losses, {kind of data: names}."""
    names = names_of(losses)

    def loss(text):
        if text not in names:
            here = loss_here(text)
            raise argparse.ArgumentTypeError(
                f"{text} is {here} here" if here and here.split()[0] in names else
                f"expected {', '.join(names)}, got {text!r}")
        return text
    return loss


def names_of(losses):
    """The names of all losses, each once."""
    return tuple(dict.fromkeys(name for names in losses.values() for name in names))


def kind_of_data(arguments, losses=LOSSES):
    """(pairs, triplets or scored; the file)."""
    return next((kind, path) for kind in losses if (path := getattr(arguments, kind)) is not None)


def check_loss(arguments, losses=LOSSES):
    """Exit with code 2 unless --loss fits the data; fill in its default."""
    kind, _ = kind_of_data(arguments, losses)
    arguments.loss = arguments.loss or losses[kind][0]
    if arguments.loss not in losses[kind]:
        others = [f"--{other}" for other, names in losses.items() if arguments.loss in names]
        arguments.usage_error(
            f"--loss {arguments.loss} does not fit --{kind}: expected {' or '.join(losses[kind])}; "
            f"{arguments.loss} takes {' or '.join(others)}")


def read_examples(arguments):
    """The Examples of --pairs, --triplets or --scored.

    Raises FormatError that names the line; ValueError if --loss needs more examples or classes.
    """
    kind, path = kind_of_data(arguments)
    width = {"pairs": (2, 2), "triplets": (3, 3)}.get(kind)
    examples = read_file(arguments, path, width)
    N = len(examples.columns[0])
    if N < 2:
        raise ValueError(f"{path}: expected at least 2 examples, found {N}")
    if arguments.loss == "softmax" and examples.classes < 2:
        raise ValueError(f"{path}: expected classes 0, 1 and so on, found only 0")
    say(f"{counted(N, 'example')} of {path}: " + {
        "pairs": "texts and positives", "triplets": "texts, positives and hard negatives",
        "scored": f"two texts and a {'class' if arguments.loss == 'softmax' else 'score'}"}[kind])
    return examples


def read_held_out(arguments, examples):
    """The Examples of --held-out, in the form of the training data, or None without this option.

    In place of triplets there may be pairs.
    """
    if not arguments.held_out:
        return None
    kind, _ = kind_of_data(arguments)
    width = {"pairs": (2, 2), "triplets": (2, 3)}.get(kind)
    classes = examples.classes if arguments.loss == "softmax" else MOST_CLASSES
    return read_file(arguments, arguments.held_out, width, classes)


def read_file(arguments, path, width, classes=MOST_CLASSES):
    """The Examples of one file.  width: the least and most texts of a line; None: scored pairs."""
    if not width:
        return read_scored(arguments, path, classes)
    try:
        return Examples(read_texts(arguments, path, *width))
    except FormatError as error:
        path, place, problem = error.parts
        if width == (2, 2) and problem.endswith("found 3"):
            problem += ("; use --triplets if the third is a hard negative, --scored if it is a "
                        "score")
        raise FormatError(path, place, problem) from None


def read_texts(arguments, path, least, most):
    """The columns of a file of pairs or tuples.  ValueError for scores in the place of negatives.
    """
    from scratch_embed.recognition import is_number
    from scratch_embed.text.columns import read_columns
    columns = read_columns(path, least, most, arguments.errors, say_of(path))
    third = [] if len(columns) != 3 else columns[2][1:] or columns[2]
    if third and all(map(is_number, third)):
        raise ValueError(f"{path}: expected a text as the third field, got numbers such as "
                         f"{third[0][:40]!r}; for two texts and a score, use --scored")
    return columns


def read_scored(arguments, path, classes):
    """The Examples of a file of scored pairs; scores are checked, and divided by --max-score."""
    import numpy as np

    from scratch_embed.evaluate.scored_pairs import read_scored_pairs
    most = arguments.max_score or 1.0
    a_score = (lambda y: 0 <= y <= most, f"a number from 0 to {most:g} (--max-score is another "
               "limit)", np.float32, most)
    a_label = (lambda y: y in (0, 1), "0 or 1", np.float32, 1)
    a_class = (lambda y: y in range(classes), f"a class, a whole number from 0 to {classes - 1},",
               np.int64, 1)
    valid, expected, dtype, divisor = {
        "cosent": a_score, "cosine-mse": a_score, "contrastive": a_label,
        "online-contrastive": a_label, "softmax": a_class}[arguments.loss]
    pairs = read_scored_pairs(path, arguments.errors, valid, expected, say_of(path))
    if arguments.loss == "softmax":
        note_classes(path, pairs.scores)
    return Examples([pairs.first, pairs.second], (np.array(pairs.scores) / divisor).astype(dtype))


def note_classes(path, classes):
    """Say which classes below the largest do not occur: the model gets outputs for them too."""
    missing = sorted(set(range(int(max(classes)))) - set(classes))
    if missing:
        say(f"{path}: no example has the class {', '.join(map(str, missing[:5]))}"
            f"{', ...' * (len(missing) > 5)}; the model gets {int(max(classes)) + 1} classes, and "
            "classes without examples are never right: number them from 0 without gaps")


# ---- the loss ------------------------------------------------------------------------------------

def objective_of(arguments, examples, dim):
    """(the Objective of --loss and --matryoshka, its targets).  dim: E, of the vectors.

    InfoNCE does not use a text as a negative of its own pair, however often the batch has it.
    """
    from scratch_embed.losses.contrastive import contrastive, online_contrastive
    from scratch_embed.losses.cosent import cosent
    from scratch_embed.losses.cosine_mse import cosine_mse
    from scratch_embed.losses.false_negatives import text_numbers
    from scratch_embed.losses.triplet import triplet
    from scratch_embed.sentences.objectives import (
        by_text,
        classified,
        matryoshka,
        objective,
        ranking,
    )
    tau = 0.05 if arguments.tau is None else arguments.tau
    margin = {} if arguments.margin is None else {"margin": arguments.margin}
    made_by = {"infonce": lambda: ranking(tau, by_text),
               "triplet": lambda: objective(triplet, **margin),
               "cosent": lambda: objective(cosent, scale=1 / tau),
               "cosine-mse": lambda: objective(cosine_mse),
               "contrastive": lambda: objective(contrastive, **margin),
               "online-contrastive": lambda: objective(online_contrastive, **margin),
               "softmax": lambda: classified(examples.classes)}
    found = made_by[arguments.loss]()
    if arguments.matryoshka:
        found = matryoshka(found, matryoshka_dims(arguments, dim))
    return found, text_numbers(*examples.columns) if arguments.loss == "infonce" else (
        examples.scores)


def check_matryoshka(arguments, dim):
    """Raise ValueError if --matryoshka exceeds the dimensions of the vectors."""
    if arguments.matryoshka and max(arguments.matryoshka) > dim:
        raise ValueError(f"--matryoshka: expected at most {dim}, the dimensions of the vectors, "
                         f"got {max(arguments.matryoshka)}")


def matryoshka_dims(arguments, dim):
    """The dims of --matryoshka, the largest first, with the full dimension, which is added."""
    check_matryoshka(arguments, dim)
    if dim not in arguments.matryoshka:
        say(f"--matryoshka: {dim}, the full dimension, is trained too")
    return sorted({dim, *arguments.matryoshka}, reverse=True)
