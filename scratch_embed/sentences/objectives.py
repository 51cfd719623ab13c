"""Objectives: the losses of losses/ in the one form that sentences/sbert.py trains with.

Shapes    an objective: (views, targets, p) -> L, backward(g) -> a gradient for each view
          views: a list of (N, E), the vectors of a batch, such as queries, positives, negatives
          targets: (N, ...) what the loss needs besides vectors, one row per example; None: nothing
Read next losses/infonce.py, losses/cosent.py and so on (the equations), sentences/sbert.py

A loss of losses/ takes arrays with names of its own (anchors, positives, labels); a training loop
has the vectors of a batch and a row of targets for each example.  An objective connects the two.
It can be wrapped: matryoshka(objective, dims) is the objective on nested prefixes of the vectors.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.params import Params, Tensor
from scratch_embed.numerics.settings import saved_as

Views = list[np.ndarray]                                # of N rows each
LossOfViews = Callable[[Views, np.ndarray | None, Params], tuple[float, Callable]]


class Objective(NamedTuple):
    """A loss of the vectors of a batch, and the parameters of its own that it trains, if any."""

    loss: LossOfViews
    tensors: Callable[[int], dict[str, Tensor]] | None = None       # E -> {name: Tensor}


def objective(loss: Callable, **settings) -> Objective:
    """The Objective of a loss of losses/ that takes a vector for each view, and then targets.

    loss(*views, **settings) -> L, backward() -> a gradient for each view; loss(*views, targets,
    **settings) if there are targets.

    >>> from scratch_embed.losses.triplet import triplet
    >>> a, p, n = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 7.0]])
    >>> objective(triplet, margin=5).loss([a, p, n], None, Params({}))[0]
    3.0
    """
    @saved_as(f"{loss.__name__} {settings}")
    def of_views(views, targets, p):
        value, backward = loss(*views, *([] if targets is None else [targets]), **settings)
        return value, lambda g: list(backward())[:len(views)]
    return Objective(of_views)


def ranking(tau: float = 0.05, false_negatives: Callable | None = None) -> Objective:
    """InfoNCE of queries, their positives, and hard negatives: "multiple negatives ranking".

    views: [queries, positives], or with hard negatives after these, each (N, E).  Every positive
    and every hard negative is a key of every query.
    false_negatives: (views, targets) -> (N, M) bool, see losses/false_negatives.py
    """
    name = getattr(false_negatives, "saved_as", None)

    @saved_as(f"ranking {tau} {name}")
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
