"""The verdict on a sentence encoder: MRR by hand; right on encoders that learned and did not."""
import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences.simcse import train
from scratch_embed.sentences.verdict import (
    SearchVerdict,
    halves,
    of_encoder,
    reciprocal_ranks,
    token_weights,
)
from scratch_embed.text.packed import pack
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import mean

CONFIG = Config(65, dim=24, layers=1, heads=2, ff=32, positions=24)


def test_reciprocal_ranks_by_hand():
    """The cosines of (1, 0) with (1, 0), (0, 1) and (1, 1): 1, 0 and 0.71."""
    Q, K = np.array([[1, 0], [1, 0], [1, 0.0]]), np.array([[1, 0], [0, 1], [1, 1.0]])
    np.testing.assert_allclose(reciprocal_ranks(Q, K), [1, 1 / 3, 1 / 2])
    np.testing.assert_allclose(reciprocal_ranks(Q, np.ones((3, 2))), [(1 + 1 / 2 + 1 / 3) / 3] * 3)


def test_equal_vectors_are_as_good_as_chance():
    ranks = reciprocal_ranks(np.ones((100, 3)), np.ones((100, 3)))
    np.testing.assert_allclose(ranks.mean(), (1 / np.arange(1, 101)).mean())


def test_halves_keep_the_first_and_last_token_and_leave_out_short_texts():
    texts = pack([[2, *range(10, 19), 3], [2, 5, 6, 3]])
    first, second = halves(texts)
    assert first.ids.tolist() == [2, 10, 11, 12, 13, 3]
    assert second.ids.tolist() == [2, 14, 15, 16, 17, 18, 3]


def test_tokens_of_all_texts_weigh_nothing_and_rare_ones_most():
    queries, keys = pack([[2, 7, 8], [2, 8, 8]]), pack([[2, 7], [2, 9]])
    Q, K = token_weights(queries, keys)                     # tokens 2, 7, 8, 9 in 4, 2, 2, 1 texts
    np.testing.assert_allclose(Q, np.log([[1, 2, 2, 1], [1, 1, 4, 1]]))
    np.testing.assert_allclose(K, np.log([[1, 2, 1, 1], [1, 1, 1, 4]]))


@pytest.mark.parametrize("trained, tokens, words", [
    (0.6, 0.5, "verdict: better than the model before training (MRR 0.600 against 0.300) and than "
               "common tokens (0.500)"),
    (0.6, 0.7, "verdict: better than the model before training (MRR 0.600 against 0.300), and "
               "worse than common tokens (0.700): train the BERT on more"),
    (0.31, 0.7, "verdict: no better than the model before training (MRR 0.310 against 0.300), and "
                "worse than common tokens (0.700): train the BERT on more"),
    (0.31, 0.2, "verdict: no better than the model before training (MRR 0.310 against 0.300): "
                "train on more texts")])
def test_the_sentence_compares_with_the_model_before_training_and_with_tokens(trained, tokens,
                                                                            words):
    assert SearchVerdict(trained, 0.3, tokens, 0.01, 0.02, 500).sentence().startswith(words)


def pairs(seed, n=200):
    """n pairs of texts of one of 10 topics each; partners share the topic, but no token."""
    rng = np.random.default_rng(seed)
    topics = 5 + 6 * rng.permutation(np.arange(n) % 10)[:, None]
    return [pack([[2, *row, 3] for row in (topics + rng.integers(0, 3, (n, 6)) + side).tolist()])
            for side in (0, 3)]


@pytest.mark.parametrize("seed", range(3))
def test_training_on_pairs_finds_more_partners_and_a_step_of_training_does_not(seed):
    start = Bert(CONFIG, init_params(tensors(CONFIG), seed))
    for steps, learned in (60, True), (1, False):
        model = train(pairs(seed), start, mean, steps=steps, batch_size=32,
                      optim=Optim(0.01 if learned else 1e-6, weight_decay=0.0), dropout=0.0,
                      options=RunOptions(seed=seed)).model
        found = of_encoder(model, start, mean, *pairs(seed + 100), seed)
        assert found.learned == learned and found.chance == pytest.approx(
            (1 / np.arange(1, 201)).mean())


def test_there_is_no_verdict_on_a_few_texts():
    start = Bert(CONFIG, init_params(tensors(CONFIG), 1))
    assert of_encoder(start, start, mean, *pairs(1, 9)) is None
