"""check_contrastive_loss: faulty losses and this package's losses."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.losses.infonce import infonce, symmetric_infonce
from scratch_embed.testing import CONTRASTIVE_LOSS, check_contrastive_loss
from tests.testing.broken_functions import assert_broken


def logits(q, k, tau):
    q, k = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, k))
    return q @ k.T / tau


def unshifted(q, k, tau):
    """The textbook softmax, without subtracting the largest logit."""
    e = np.exp(logits(q, k, tau))
    return -np.log(e.diagonal() / e.sum(axis=1)).mean()


def ours(q, k, tau):
    return infonce(q, k, tau)[0]


def clip(q, k, tau):
    return symmetric_infonce(q, k, tau)[0]


def dot_products(q, k, tau):
    s = q @ k.T / tau
    return (np.log(np.exp(s - s.max(1, keepdims=True)).sum(1)) + s.max(1) - s.diagonal()).mean()


def without_the_positive(q, k, tau):
    """The positive is missing in the sum of the denominator."""
    s = logits(q, k, tau).astype(float)
    others = np.where(np.eye(*s.shape, dtype=bool), -np.inf, s)
    return (np.log(np.exp(others - 1 / tau).sum(1)) + 1 / tau - s.diagonal()).mean()


def first_pair_weighs_more(q, k, tau):
    return (ours(q, k, tau) + ours(q[:1], k, tau)) / 2


@pytest.mark.parametrize("f, names", [
    (unshifted, "low_temperature gap"),
    (lambda q, k, tau: len(q) * ours(q, k, tau), "value low_temperature collapse"),
    (lambda q, k, tau: ours(q, k, tau * tau), "value low_temperature"),
    (lambda q, k, tau: -ours(q, k, tau),
     "value low_temperature non_negative gap collapse further_negative"),
    (first_pair_weighs_more, "value pair_order"),
    (lambda q, k, tau: ours(abs(q), k, tau), "value low_temperature")])
def test_the_broken_invariants_of_a_faulty_function_are_found(f, names):
    assert_broken(names, check_contrastive_loss, CONTRASTIVE_LOSS, f)


def test_a_loss_on_dot_products_breaks_length():
    with pytest.raises(AssertionError, match="'length'"):
        check_contrastive_loss(dot_products,
                               without=("value", "low_temperature", "gap", "collapse"))


def test_a_denominator_without_the_positive_breaks_non_negative():
    with pytest.raises(AssertionError, match="'non_negative'"):
        check_contrastive_loss(without_the_positive, without=("value", "low_temperature"))


def test_our_infonce_satisfies_all_invariants():
    check_contrastive_loss(ours, max_examples=10)


def test_with_symmetric_clips_loss_passes_and_a_loss_of_one_direction_fails():
    check_contrastive_loss(clip, symmetric=True, max_examples=10)
    assert_broken("value exchanged", partial(check_contrastive_loss, symmetric=True),
                  CONTRASTIVE_LOSS, ours)
