"""Ablations of Matryoshka training: the prefixes, their weights, normalisation, the pairs.

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 3 (weights), section
          4.1 (sizes between the trained ones).
Shapes    a score is four numbers: nDCG@10 in % of the first 4, 8, 16 and all 64 numbers
Cost      a training takes about three seconds on one core
Read next why/prefixes.py (the task, and other ways to short vectors), losses/matryoshka.py

The task is the taxonomy.  The verdict is about 4 numbers, where the ways differ most; the other
three sizes are printed below it.
"""
from collections.abc import Callable
from functools import partial

import numpy as np

from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import objective, ranking
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.compression import truncate, truncate_normalised
from scratch_embed.why.effects import HELPS, NOT_SIGNIFICANT
from scratch_embed.why.prefixes import PAIRS, TRAINING, Task, score, train, unit_vectors
from scratch_embed.worlds.training_pairs import taxonomy_pairs

SCORED = (4, 8, 16, 64)            # prefixes; the first decides the verdict
OTHERS = tuple(f"at {m}" for m in SCORED[1:])


# ---- pairs and losses ---------------------------------------------------------------------------

def graded(task: Task) -> Task:
    """Pairs that share 0, 1, 2 and 3 levels, and CoSENT: the task as it is."""
    return task


def regressed(task: Task) -> Task:
    """The same pairs; their cosines should be 0, 1/3, 2/3 and 1."""
    return task._replace(targets=task.targets / 3, objective=objective(cosine_mse))


def positives(task: Task, levels: tuple[int, ...]) -> Task:
    """Pairs that share one of these numbers of levels; InfoNCE calls the texts of a pair alike."""
    first, second, _ = taxonomy_pairs(PAIRS, task.seed, levels, [*task.queries, *task.documents])
    return task._replace(pairs=(first, second), targets=None, objective=ranking(tau=0.05))


# ---- the ablations ------------------------------------------------------------------------------

BASE = dict(TRAINING, pairs=graded, form=truncate_normalised)

ABLATIONS = [
    Ablation(
        "the loss on prefixes of 64, 32, 16, 8, 4",
        "A loss on whole vectors does not order the numbers, so their first 4 are an arbitrary "
        "choice.  A loss on 4 alone is about as good at 4, and nothing trains the other numbers.  "
        "If the smallest prefix of the loss is 16, 4 numbers stay poor; sizes between two trained "
        "ones need no loss of their own (look at 8).",
        BASE, {"64 alone": (dict(dims=(64,)), HELPS),
               "4 alone": (dict(dims=(4,)), NOT_SIGNIFICANT),
               "64, 16, 4": (dict(dims=(64, 16, 4)), NOT_SIGNIFICANT),
               "64, 32, 16": (dict(dims=(64, 32, 16)), HELPS)}),
    Ablation(
        "equal weights",
        "An early number is in all five prefixes, so it is already favoured.  With weights in "
        "proportion to the size, the 4 numbers count for 1/31 and get worse; with the inverse "
        "weights they get no better, and 64 numbers get worse.",
        BASE, {"as the size: 16 8 4 2 1": (dict(weights=(16, 8, 4, 2, 1)), HELPS),
               "inverse: 1 2 4 8 16": (dict(weights=(1, 2, 4, 8, 16)), NOT_SIGNIFICANT)}),
    Ablation(
        "prefixes scaled to norm 1 for the search",
        "The norm of a prefix differs between texts.  Compared by dot product, a document with "
        "much of its norm in the first numbers is found too often.",
        BASE, {"as cut": (dict(form=truncate), HELPS)}),
    Ablation(
        "pairs of all grades, CoSENT",
        "InfoNCE calls the two texts of a pair alike and all others different.  So pairs of one "
        "kind push the kinds of a family apart, pairs of one family make its kinds equal, and "
        "mixed pairs do a little of both.  Regression to the cosines 0, 1/3, 2/3 and 1 knows the "
        "grades too, and should do as well as CoSENT.",
        BASE, {"same kind, InfoNCE": (dict(pairs=partial(positives, levels=(3,))), HELPS),
               "same family, InfoNCE": (dict(pairs=partial(positives, levels=(2,))), HELPS),
               "mixed grades, InfoNCE": (dict(pairs=partial(positives, levels=(1, 2, 3))), HELPS),
               "cosine regression": (dict(pairs=regressed), NOT_SIGNIFICANT)}),
]

Trained = tuple[SentenceEncoder, Callable]         # and how a table is stored: (X, dim) -> Stored


def trained(settings: dict, task: Task) -> Trained:
    """The encoder that is trained with settings such as BASE, and the form of its prefixes."""
    rest = dict(settings)
    pairs, form = rest.pop("pairs"), rest.pop("form")
    return train(pairs(task), **rest), form


def measures(task: Task, model: Trained) -> np.ndarray:
    """nDCG@10 in % of the SCORED prefixes.  -> (4,)"""
    encoder, form = model
    Q, X = unit_vectors(task, encoder)
    return np.array([score(task, form(X, m), Q)[0] for m in SCORED])
