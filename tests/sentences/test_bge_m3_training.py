"""Training BGE-M3: its gradient, what the order of texts must not change, what it learns, resuming.
"""
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.losses.false_negatives import text_numbers
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.numerics.settings import saved_as
from scratch_embed.sentences import sbert
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.bge_m3_scores import hybrid_scores
from scratch_embed.sentences.bge_m3_training import (
    Settings,
    batch_loss,
    concatenated,
    train,
    trainable,
)
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.packed import take
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.transformer.bert import Bert
from tests.sentences.test_bge_m3 import ALL, model

QUERIES = ["a red cat", "dog on mat", "cats", "a mat sat", "red dogs", "on a dog"]
POSITIVES = ["cat red red", "the mat on a dog", "cats sat", "mat mat", "a red dog sat on", "dog"]
NEGATIVES = ["a cat", "a dog sat", "dogs", "a red mat", "cat on a mat", "dogs on mats"]
FAST = dict(steps=6, batch_size=3, optim=Optim(1e-2, weight_decay=0.0))


def batch(m3):
    """Queries, keys and targets: negatives first, so that a target is not its row."""
    views = [sbert.tokenize(m3.encoder, texts).texts for texts in (QUERIES, NEGATIVES, POSITIVES)]
    return views[0], concatenated(views[1:]), 6 + np.arange(6)


def views(m3, *columns):
    return [sbert.tokenize(m3.encoder, texts) for texts in columns]


@pytest.fixture(scope="module")
def m3():
    return model(token_dim=5)


# ---- the gradient -------------------------------------------------------------------------------

def test_backward_is_the_derivative_without_self_distillation():
    """Whose teacher is held constant, so finite differences would not be its gradient."""
    m3 = model(token_dim=5, dtype=np.float64)
    whole = trainable(m3)
    queries, keys, targets = batch(m3)

    def loss(p):
        value, back = batch_loss(queries, keys, targets, whole.with_params(p), m3.unweighted,
                                 Settings(0.5, False))
        return value, lambda g: back([g, g])
    check_loss(loss, whole.p)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(12)), st.booleans())
def test_the_order_of_queries_and_texts_changes_nothing(q_order, k_order, distil):
    m3 = SMALL
    whole, (queries, keys, targets) = trainable(m3), batch(m3)
    mask = np.random.default_rng(1).random((6, 12)) < 0.2

    def of(queries, keys, targets, mask):
        grads = [whole.p.like(), whole.p.like()]
        loss, backward = batch_loss(queries, keys, targets, whole, m3.unweighted,
                                    Settings(0.5, distil), mask)
        backward(grads)
        return loss, grads[0].flat + grads[1].flat
    q_order, k_order = np.array(q_order), np.array(k_order)
    loss, gradient = of(queries, keys, targets, mask)
    again, other = of(take(queries, q_order), take(keys, k_order),
                      np.argsort(k_order)[targets[q_order]], mask[q_order][:, k_order])
    assert again == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(other, gradient, atol=1e-12)


SMALL = model(token_dim=5, dtype=np.float64)


# ---- training -----------------------------------------------------------------------------------

@pytest.mark.parametrize("distil_from", [0, None])
def test_it_learns_the_pairs_by_all_three_scores(m3, distil_from):
    trained = train(views(m3, QUERIES, POSITIVES, NEGATIVES), m3, 60, 6,
                    Optim(1e-2, weight_decay=0.0), dropout=0.0, tau=0.1, distil_from=distil_from)
    assert trained.losses[-1] < trained.losses[0] / 2
    found = hybrid_scores(trained.model.encode(QUERIES, **ALL),
                          trained.model.encode(POSITIVES, **ALL))
    for kind in ("dense", "multi", "hybrid"):
        assert (getattr(found, kind).argmax(1) == np.arange(6)).all(), kind
    assert (found.sparse.argmax(1) == np.arange(6)).mean() >= 0.5            # chance: 1/6


def test_the_start_is_not_changed_and_two_workers_give_the_same_bits(m3):
    before = m3.encoder.model.p.flat.copy(), m3.heads.flat.copy()
    one, two = (train(views(m3, QUERIES, POSITIVES), m3, **FAST, options=RunOptions(workers)).model
                for workers in (1, 2))
    np.testing.assert_array_equal(one.heads.flat, two.heads.flat)
    np.testing.assert_array_equal(one.encoder.model.p.flat, two.encoder.model.p.flat)
    assert (one.heads.flat != before[1]).any()
    np.testing.assert_array_equal(m3.encoder.model.p.flat, before[0])
    np.testing.assert_array_equal(m3.heads.flat, before[1])


def test_self_distillation_begins_after_its_step(m3):
    losses = {start: train(views(m3, QUERIES, POSITIVES), m3, **FAST, distil_from=start).losses
              for start in (None, 3)}
    assert losses[None][:3] == losses[3][:3] and losses[None][3] != losses[3][3]


def test_a_copy_of_a_positive_is_no_negative(m3):
    same = ["cats", "a dog", "a dog", "a mat", "a cat", "red"]
    texts = text_numbers(QUERIES, same)
    options = dict(FAST, batch_size=6, steps=1)
    plain = train(views(m3, QUERIES, same), m3, **options).losses
    masked = train(views(m3, QUERIES, same), m3, **options, texts=texts).losses
    assert masked[0] < plain[0]


def test_an_interrupted_run_resumes_to_the_same_bits(m3, tmp_path):
    def run(after, checkpoint=None):
        calls = []

        @saved_as("gelu")
        def activation(x):
            calls.append(0)
            if len(calls) == after:                          # 4 calls a step: in the third
                signal.raise_signal(signal.SIGINT)
            return gelu(x)
        bert = m3.encoder.model
        start = BgeM3(SentenceEncoder(m3.tokenizer, Bert(
            bert.config._replace(activation=activation), bert.p), m3.encoder.recipe), m3.heads)
        return train(views(m3, QUERIES, POSITIVES), start, **FAST,
                     options=RunOptions(checkpoint=checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(11, Checkpoint(path))
    assert len(read_safetensors(path)[0]["session/losses"]) == 3
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses
    assert resumed.model.heads.flat.tobytes() == whole.model.heads.flat.tobytes()
    with pytest.raises(ValueError, match="cannot resume, tau was 0.02"):
        train(views(m3, QUERIES, POSITIVES), m3, **FAST, tau=0.1,
              options=RunOptions(checkpoint=Checkpoint(path, resume=True)))


@pytest.mark.parametrize(("columns", "message"), [
    ((QUERIES,), "views: expected at least 2"), ((QUERIES, POSITIVES[:3]), "equally many")])
def test_views_that_do_not_fit_are_refused(m3, columns, message):
    with pytest.raises(ValueError, match=message):
        train(views(m3, *columns), m3)


def test_other_types_are_refused(m3):
    with pytest.raises(TypeError, match="start: expected"):
        train(views(m3, QUERIES, POSITIVES), m3.encoder)
    with pytest.raises(ValueError, match="texts: expected numbers .6, 2."):
        train(views(m3, QUERIES, POSITIVES), m3, texts=np.zeros((6, 3), int))
