"""Objectives: the losses of losses/, each with the same signature, which sentences/sbert.py calls.

Shapes    an objective's loss: (views, targets, p) -> L, backward(g) -> a gradient for each view
          views: a list of (N, E), the vectors of a batch, such as queries, positives, negatives
          targets: (N, ...) what the loss needs besides vectors, a row for each example, or None
          p, g: the parameters of the model and of the objective, and their gradients
Cost      that of the loss
Read next losses/infonce.py, losses/cosent.py and so on (the equations), sentences/sbert.py

Each loss of losses/ has its own arguments (anchors, positives, labels).  The training loop has
only the vectors of a batch and a row of targets for each example.  An objective connects the two:

    data of an example                    objective                        targets (V views)
    query, positive, hard negatives       ranking()                        none
      ... with repeated texts             ranking(tau, by_text)            text_numbers(...) (N, V)
      ... with a class of the pair        ranking(tau, by_label)           classes (N,)
      ... with a guide model              ranking(tau, by_guide(margin))   its vectors (N, V, G)
    anchor, positive, negative            objective(triplet)               none
    first, second, similar or not         objective(contrastive)           1 or 0 (N,)
                                          objective(online_contrastive)
    first, second, score                  objective(cosent)                scores (N,)
                                          objective(cosine_mse)            scores (N,) in −1..1
    first, second, class                  classified(classes)              classes (N,)
    query, candidates, teacher's scores   distilled(distillation, tau)     scores (N, V − 1)
                                          distilled(margin_mse)
                                          distilled_ranking() of e5.py: KL + α InfoNCE
    any of these except classified()      matryoshka(objective, dims)      the same
"""
from collections.abc import Callable, Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.losses.false_negatives import equal_labels, equal_texts, guide_scores
from scratch_embed.losses.infonce import infonce
from scratch_embed.losses.margin_mse import cosine_rows, score_rows
from scratch_embed.losses.matryoshka import matryoshka as matryoshka_loss
from scratch_embed.losses.softmax_pairs import softmax_pairs, softmax_pairs_tensors
from scratch_embed.nn.params import Params, Tensor
from scratch_embed.numerics.settings import saved_as, saved_with

Views = list[np.ndarray]                                # of N rows each
LossOfViews = Callable[[Views, np.ndarray | None, Params], tuple[float, Callable]]
FalseNegatives = Callable[[Views, Any], np.ndarray]            # (views, targets) -> mask (N, M)


class Objective(NamedTuple):
    """A loss of the vectors of a batch, and the parameters of its own that it trains, if any."""

    loss: LossOfViews
    tensors: Callable[[int], dict[str, Tensor]] | None = None       # E -> {name: Tensor}


def objective(loss: Callable, **settings) -> Objective:
    """The Objective of a loss of losses/ that takes the vectors of each view, and then targets.

    loss(*views, **settings), or loss(*views, targets, **settings) if there are targets -> L,
    backward() -> a gradient for each view; further gradients are discarded.

    >>> from scratch_embed.losses.triplet import triplet
    >>> a, p, n = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 7.0]])
    >>> objective(triplet, margin=5).loss([a, p, n], None, Params({}))[0]
    3.0
    """
    expected = [name for name, parameter in signature(loss).parameters.items()
                if parameter.default is Parameter.empty]

    @saved_as(f"{loss.__name__} {settings}")
    def of_views(views, targets, p):
        if len(views) + (targets is not None) != len(expected):
            raise ValueError(f"{loss.__name__}({', '.join(expected)}): expected {len(expected)} "
                             f"arrays, got {len(views)} views and {'no ' * (targets is None)}"
                             "targets; give as many views and targets as it takes")
        value, backward = loss(*views, *([] if targets is None else [targets]), **settings)
        return value, lambda g: list(backward())[:len(views)]
    return Objective(of_views)


# ---- ranking: one positive among the keys of the batch -------------------------------------------

def ranking(tau: float = 0.05, false_negatives: FalseNegatives | None = None) -> Objective:
    """InfoNCE of queries, their positives, and hard negatives: "multiple negatives ranking".

    views: [queries, positives], then any number of hard negatives, each (N, E).  Every positive and
    every hard negative is a key of every query.
    false_negatives: (views, targets) -> (N, M) bool: by_text, by_label, by_guide()
    """
    @saved_with(f"ranking {tau}", *([false_negatives] if false_negatives else []))
    def of_views(views, targets, p):
        q, keys = views[0], views[1:]
        mask = false_negatives(views, targets) if false_negatives else None
        value, backward = infonce(q, np.concatenate(keys), tau, mask)

        def back(g):
            dq, dk, _ = backward()                      # τ is a constant here
            return [dq, *np.split(dk, len(keys))]
        return value, back
    return Objective(of_views)


RANKING = ranking()                # the default: InfoNCE with tau = 0.05


@saved_as("by_text")
def by_text(views: Views, targets: np.ndarray) -> np.ndarray:
    """The mask of repeated texts.  targets: (N, V), the numbers of each view's texts -> (N, M)."""
    return equal_texts(targets[:, 0], targets[:, 1:].T.ravel())


@saved_as("by_label")
def by_label(views: Views, targets: np.ndarray) -> np.ndarray:
    """The mask of pairs of the same class.  targets: (N,) classes -> (N, M)."""
    return equal_labels(targets, sum(len(view) for view in views[1:]))


def by_guide(margin: float = 0.0, relative_margin: float = 0.0) -> FalseNegatives:
    """The mask of keys that a guide model scores above the positive, less a margin.

    targets of the result: (N, V, G), the guide's vectors of each view's texts
    """
    @saved_as(f"by_guide {margin} {relative_margin}")
    def of_guide(views, targets):
        keys = targets[:, 1:].swapaxes(0, 1).reshape(-1, targets.shape[2])      # (M, G)
        return guide_scores(targets[:, 0], keys, margin, relative_margin)
    return of_guide


# ---- a teacher, classes, prefixes ----------------------------------------------------------------

def distilled(loss: Callable, tau: float | None = None, **settings) -> Objective:
    """A loss of score rows, losses/distillation.py or losses/margin_mse.py, with a teacher.

    views: [queries, candidates, ...], (N, E) each, the positive first; targets: (N, V − 1), the
    teacher's score of each candidate.
    tau: the student's scores are cosines divided by tau; None: dot products.  A teacher's scores
    may differ by 10, but cosines by at most 2; tau = 0.1 gives them a range of 20
    """
    rows = score_rows if tau is None else partial(cosine_rows, tau=tau)

    @saved_as(f"distilled {loss.__name__} {tau} {settings}")
    def of_views(views, targets, p):
        s, back_s = rows(*views)
        value, backward = loss(s, targets, **settings)
        return value, lambda g: list(back_s(backward()))
    return Objective(of_views)


def classified(classes: int) -> Objective:
    """A classifier of pairs, losses/softmax_pairs.py, that is trained with the encoder.

    views: [first, second], (N, E) each; targets: (N,) integers in 0..classes − 1
    """
    @saved_as(f"classified {classes}")
    def of_views(views, targets, p):
        u, v = views
        value, backward = softmax_pairs(u, v, targets, p)
        return value, lambda g: list(backward(1.0, g))
    return Objective(of_views, lambda E: softmax_pairs_tensors(E, classes))


def matryoshka(objective: Objective, dims: Sequence[int], weights: Sequence[float] | None = None
               ) -> Objective:
    """The objective on the first d numbers of the vectors, normalised, summed over d in dims.

    weights: one for each of dims, by default 1.  dims should contain the full dimension E too.
    Raises ValueError for an objective with tensors of its own, whose shapes depend on d.
    """
    if objective.tensors:
        raise ValueError("matryoshka: expected an objective without parameters of its own, got "
                         f"{sorted(objective.tensors(max(dims)))}, whose shapes fit one dimension")
    weights = [1.0] * len(dims) if weights is None else [float(w) for w in weights]

    @saved_with(f"matryoshka {list(dims)} {weights} of", objective.loss)
    def of_views(views, targets, p):
        return matryoshka_loss(lambda prefixes: objective.loss(prefixes, targets, p), views, dims,
                               weights)
    return Objective(of_views)
