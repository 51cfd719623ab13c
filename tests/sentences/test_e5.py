"""E5: prompts and instructions, the loss of stage 2, both stages, and folders with prompts."""
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.settings import json_value
from scratch_embed.sentences import e5
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.hard_negatives import Mining
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import cls
from tests.rounding import seeds

N, E, V = 4, 5, 4                  # queries, positives and two hard negatives
P = Params({})


def vectors(seed):
    return list(np.random.default_rng(seed).standard_normal((V, N, E)))


def teacher_of(seed):
    return np.random.default_rng([seed, 1]).standard_normal((N, V - 1))


# ---- the loss of stage 2 ------------------------------------------------------------------------

def test_one_query_worked_by_hand():
    """Cosines 1 and 0 at τ = 1: p = (e, 1)/(e + 1); a teacher with equal scores: q = (½, ½).

    KL = ½ log(½/p₀) + ½ log(½/p₁) = log(e + 1) − ½ − log 2;  InfoNCE = −log p₀ = log(e + 1) − 1.
    """
    views = [np.array([[2.0, 0]]), np.array([[1.0, 0]]), np.array([[0, 3.0]])]
    loss, _ = e5.distilled_ranking(tau=1.0, alpha=0.5).loss(views, np.array([[7.0, 7.0]]), P)
    kl, nce = np.log(np.e + 1) - 0.5 - np.log(2), np.log(np.e + 1) - 1
    assert loss == pytest.approx(kl + 0.5 * nce, rel=1e-12)


@given(seeds, st.floats(0, 2))
def test_backward_is_the_derivative(seed, alpha):
    def loss(*views):
        value, backward = e5.distilled_ranking(0.3, alpha).loss(list(views), teacher_of(seed), P)
        return value, lambda u: tuple(u * dy for dy in backward(None))
    check_backward(loss, *vectors(seed))


@given(seeds)
def test_without_infonce_a_student_that_agrees_with_the_teacher_has_loss_and_gradient_0(seed):
    views, tau = vectors(seed), 0.2
    q, *candidates = (l2_normalize(view)[0] for view in views)
    scores = np.stack([(q * k).sum(1) / tau for k in candidates], axis=1)
    shift = np.arange(N)[:, None]                    # what a query's scores share does not count
    loss, backward = e5.distilled_ranking(tau, alpha=0).loss(views, scores + shift, P)
    assert loss == pytest.approx(0, abs=1e-12)
    for dy in backward(None):
        np.testing.assert_allclose(dy, 0, atol=1e-12)


@given(seeds)
def test_a_teacher_that_is_sure_of_the_positive_is_infonce_over_the_querys_own_candidates(seed):
    views = vectors(seed)
    sure = np.where(np.arange(V - 1) == 0, 1000.0, 0.0) * np.ones((N, 1))
    loss, _ = e5.distilled_ranking(0.2, alpha=0).loss(views, sure, P)
    own = [infonce(views[0][[n]], np.stack([view[n] for view in views[1:]]), 0.2)[0]
           for n in range(N)]
    assert loss == pytest.approx(np.mean(own), rel=1e-12)


def test_a_checkpoint_can_store_the_loss():
    names = {json_value(e5.distilled_ranking(tau, alpha).loss)
             for tau in (0.01, 0.05) for alpha in (0, 0.2)}
    assert len(names) == 4 and json.dumps(sorted(names))


def test_the_teacher_scores_stand_in_the_row_of_their_query():
    texts = [["a", "bb"], ["c", "d"], ["eee", "f"]]
    scores = e5.teacher_scores(lambda pairs: [len(a + b) for a, b in pairs], texts)
    assert scores.tolist() == [[2, 4], [3, 3]]


# ---- prompts ------------------------------------------------------------------------------------

WORDS = [f"{side}{n}" for side in "qp" for n in range(8)]
TOKENIZER = WordPiece([*SPECIAL, ":", "query", "passage", "instruct", "deed", "place", *WORDS])
CONFIG = Config(len(TOKENIZER), dim=8, layers=1, heads=2, ff=8, positions=16)


def encoder_of(seed=0, **recipe):
    return SentenceEncoder(TOKENIZER, Bert(CONFIG, init_params(tensors(CONFIG, std=0.3), seed)),
                           Recipe(max_seq_length=16, **recipe))


def test_the_prompts_are_pooled_stored_and_found_by_their_names(tmp_path):
    prompted = e5.with_prompts(encoder_of(poolings=(cls,), include_prompt=False))
    prompted.save(tmp_path)
    loaded = SentenceEncoder.load(tmp_path)
    assert dict(loaded.recipe.prompts) == e5.PROMPTS and loaded.recipe.include_prompt
    by_name, by_hand = (loaded.encode("q1", prompt_name="query"),
                        loaded.encode("query: q1", prompt=""))
    np.testing.assert_array_equal(by_name, by_hand)
    assert np.abs(by_name - loaded.encode("q1", prompt_name="passage")).max() > 1e-3


def test_training_sees_the_texts_as_encode_does():
    encoder = e5.with_prompts(encoder_of())
    queries, passages = e5.views_of(encoder, [["q1 q2"], ["p1"]])
    assert queries.texts.ids.tolist() == encoder.tokenize(["query: q1 q2"]).ids.tolist()
    assert passages.texts.ids.tolist() == encoder.tokenize(["passage: p1"]).ids.tolist()


def test_two_instructions_give_a_query_two_vectors():
    deed, place = (encoder_of().encode("q1", prompt=e5.instruct(what)) for what in
                   ("deed", "place"))
    assert np.abs(deed - place).max() > 1e-3


# ---- both stages --------------------------------------------------------------------------------

def test_both_stages_at_toy_size():
    """Text qN belongs to pN.  Afterwards each query finds its passage, which no word shows."""
    pairs = [[f"q{n}" for n in range(8)], [f"p{n}" for n in range(8)]]
    asked = []

    def teacher(asked_pairs):
        asked.extend(asked_pairs)
        return np.array([9.0 * (a[1:] == b[1:]) for a, b in asked_pairs])
    stage = e5.Stage(steps=40, batch_size=8, optim=Optim(0.02, weight_decay=0.0), dropout=0.0)
    train = partial(e5.train, pairs, pairs, encoder_of(), teacher, (stage, stage._replace(steps=5)))
    trained = train(Mining(num_negatives=2))
    Q, D = (trained.encode(texts, prompt_name=name) for texts, name in
            zip(pairs, ("query", "passage")))
    assert (Q @ D.T).argmax(axis=1).tolist() == list(range(8))
    assert len(asked) == 8 * 3 and len(set(asked)) == 8 * 3
    with pytest.raises(ValueError, match="stage 2: expected pairs with 8 hard negatives"):
        train(Mining(num_negatives=8))
