"""Objectives: each is its loss of the views, with its gradient and a name for checkpoints."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.losses.contrastive import contrastive, online_contrastive
from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.losses.distillation import distillation
from scratch_embed.losses.false_negatives import equal_labels, equal_texts, guide_scores
from scratch_embed.losses.infonce import infonce
from scratch_embed.losses.margin_mse import margin_mse
from scratch_embed.losses.triplet import triplet
from scratch_embed.nn.gradcheck import check_backward, check_loss
from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.settings import json_value
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import (
    RANKING,
    Objective,
    by_guide,
    by_label,
    by_text,
    classified,
    distilled,
    matryoshka,
    objective,
    ranking,
)
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from tests.rounding import seeds

N, E = 6, 5
SCORES, BINARY = np.arange(-2, 4) / 4, np.array([1, 0, 0, 1, 1, 0])
TEACHER = np.array([[3.0, 1.0]] * 3 + [[-2.0, 0.5]] * 3)
TEXTS = np.array([[0, 6, 7], [1, 6, 8], [2, 7, 9], [0, 5, 5], [3, 9, 6], [4, 4, 4]])    # (N, V)
GUIDE = np.random.default_rng(3).standard_normal((N, 3, 4))

CASES = {                          # objective, number of views, targets
    "ranking": (RANKING, 2, None), "hard negatives": (ranking(0.2), 4, None),
    "by text": (ranking(0.2, by_text), 3, TEXTS), "by label": (ranking(0.2, by_label), 3, BINARY),
    "by guide": (ranking(0.2, by_guide(0.1)), 3, GUIDE),
    "triplet": (objective(triplet, margin=2.0), 3, None),
    "cosine MSE": (objective(cosine_mse), 2, SCORES),
    "CoSENT": (objective(cosent, scale=5.0), 2, SCORES),
    "contrastive": (objective(contrastive), 2, BINARY),
    "online": (objective(online_contrastive, margin=1.0), 2, BINARY),
    "distilled": (distilled(distillation, tau=0.1, temperature=2.0), 3, TEACHER),
    "margins": (distilled(margin_mse), 3, TEACHER),
    "matryoshka": (matryoshka(ranking(0.2, by_text), [5, 2], [1, 0.5]), 3, TEXTS),
    "matryoshka of a teacher": (matryoshka(distilled(margin_mse, tau=0.1), [5, 2]), 3, TEACHER)}


def vectors(seed, V, dtype=np.float64):
    return list(np.random.default_rng(seed).standard_normal((V, N, E)).astype(dtype))


# ---- each objective is its loss -----------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_there_is_a_gradient_for_each_view_of_the_views_type(name, dtype):
    """A float32 model has float32 kernels: a float64 gradient would leave them."""
    of, V, targets = CASES[name]
    loss, backward = of.loss(vectors(0, V, dtype), targets, Params({}))
    assert isinstance(loss, float)
    assert [(d.shape, d.dtype) for d in backward(Params({}))] == [((N, E), dtype)] * V


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=5)
@given(seed=seeds)
def test_backward_is_the_derivative(name, seed):
    of, V, targets = CASES[name]

    def of_views(*views):
        loss, backward = of.loss(list(views), targets, Params({}))
        return loss, lambda dloss: tuple(dloss * d for d in backward(Params({})))
    check_backward(of_views, *vectors(seed, V), seed=seed)


def test_ranking_takes_all_other_views_as_keys():
    q, k, h1, h2 = vectors(1, 4)
    loss, backward = ranking(0.1).loss([q, k, h1, h2], None, Params({}))
    want, back = infonce(q, np.concatenate([k, h1, h2]), 0.1)
    assert loss == want
    for got, d in zip(backward(None), [back()[0], *np.split(back()[1], 3)]):
        np.testing.assert_array_equal(got, d)


@pytest.mark.parametrize("mask, targets", [(by_text, TEXTS), (by_label, BINARY),
                                           (by_guide(0.5), GUIDE)])
def test_a_masked_pair_is_not_pushed_apart(mask, targets):
    """A query whose other keys are all masked has loss 0; here each mask leaves some and removes
    some, and the loss can only fall."""
    views = vectors(2, 3)
    masked = mask(views, targets)
    assert masked.shape == (N, 2 * N) and masked.dtype == bool
    assert 0 < masked[~np.eye(N, 2 * N, dtype=bool)].mean() < 1
    assert ranking(0.1, mask).loss(views, targets, None)[0] < ranking(0.1).loss(views, None,
                                                                               None)[0]


def test_masks_have_the_keys_in_the_order_of_the_views():
    """First all positives, then all hard negatives, as ranking() stacks them."""
    positives, negatives = TEXTS[:, 1], TEXTS[:, 2]
    want = equal_texts(TEXTS[:, 0], np.concatenate([positives, negatives]))
    assert (by_text([], TEXTS) == want).all()
    keys = np.concatenate([GUIDE[:, 1], GUIDE[:, 2]])
    assert (by_guide(0.1)([], GUIDE) == guide_scores(GUIDE[:, 0], keys, 0.1)).all()
    assert (by_label([0, positives, negatives], BINARY) == equal_labels(BINARY, 2 * N)).all()


@given(seeds, st.floats(0.02, 2))
def test_distilled_scores_are_cosines_divided_by_tau(seed, tau):
    views = vectors(seed, 3)
    q, *k = (l2_normalize(view)[0] for view in views)
    cosines = np.stack([(q * c).sum(1) for c in k], axis=1)
    loss, _ = distilled(distillation, tau).loss(views, TEACHER, Params({}))
    assert loss == pytest.approx(distillation(cosines / tau, TEACHER)[0], rel=1e-9, abs=1e-12)


def test_matryoshka_refuses_an_objective_with_parameters_of_its_own():
    with pytest.raises(ValueError, match="matryoshka: expected an objective without parameters of "
                                         r"its own, got \['classifier.bias', 'classifier.weight'"):
        matryoshka(classified(3), [4, 2])


# ---- checkpoints --------------------------------------------------------------------------------

def test_checkpoints_store_each_objective_with_its_settings():
    different = [of for of, _, _ in CASES.values()] + [
        ranking(0.3), ranking(0.2, by_guide(0.2)), ranking(0.2, by_guide(0.1, 0.1)), classified(2),
        classified(3), objective(triplet, margin=3.0), distilled(distillation, tau=0.2),
        distilled(margin_mse, tau=0.1), matryoshka(RANKING, [4, 2]), matryoshka(RANKING, [4, 3]),
        matryoshka(RANKING, [4, 2], [1, 2])]
    names = [json_value(of.loss) for of in different]
    assert all(isinstance(name, str) for name in names) and len({*names}) == len(names)
    assert json_value(matryoshka(RANKING, [4, 2], [1, 1.0]).loss) == json_value(
        matryoshka(RANKING, (4, 2)).loss)


@pytest.mark.parametrize("of", [ranking(0.2, lambda views, targets: None),
                                matryoshka(Objective(lambda views, targets, p: None), [2]),
                                matryoshka(ranking(0.2, lambda views, targets: None), [2])])
def test_checkpoints_refuse_an_objective_around_a_function_without_a_key(of):
    """Else a run could be resumed with another function."""
    with pytest.raises(ValueError, match="without a key"):
        json_value(of.loss)


# ---- an objective with parameters of its own ----------------------------------------------------

def tiny_encoder(dtype):
    config = Config(vocab=9, dim=4, layers=1, heads=2, ff=8)
    return SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat", "dog"]),
                           Bert(config, init_params(tensors(config, std=0.5), 1, dtype)))


def test_the_classifiers_gradient_is_the_derivative_through_the_encoder():
    encoder, pairs = tiny_encoder(np.float64), (["a cat", "red dog a"], ["cat", "a red"])
    views = [sbert.tokenize(encoder, side) for side in pairs]
    model, recipe = sbert.trainable(encoder, classified(3), seed=1)
    assert model.p["classifier.weight"].shape == (3, 12)

    def of_parameters(p):                              # p is model.p, changed in place
        loss, backward = sbert.batch_loss(views, np.array([0, 2]), model, recipe, classified(3))
        return loss, lambda g: backward([g])
    check_loss(of_parameters, model.p)


def test_the_classifier_is_trained_with_the_encoder_and_not_kept_in_it():
    encoder = tiny_encoder(np.float32)
    views = [sbert.tokenize(encoder, side) for side in (["a cat", "red dog"], ["cat", "a red"])]
    trained = sbert.train(views, encoder, classified(2), np.array([0, 1]), steps=30, batch_size=2,
                          optim=sbert.Optim(lr=3e-2))
    assert trained.losses[-1] < 0.3 < trained.losses[0]
    assert trained.p["classifier.weight"].any()
    assert "classifier.weight" not in trained.encoder.model.p
    assert isinstance(RANKING, Objective)
