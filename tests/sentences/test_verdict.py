"""The verdicts on sentence encoders: by hand; right for a trained and an untrained encoder."""
import numpy as np
import pytest

from scratch_embed.losses.cosent import cosent
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import classified, objective, ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.simcse import train
from scratch_embed.sentences.verdict import (
    ScoreVerdict,
    SearchVerdict,
    halves,
    of_classes,
    of_encoder,
    of_scored_pairs,
    of_text_pairs,
    reciprocal_ranks,
    token_weights,
)
from scratch_embed.text.packed import pack
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import mean

CONFIG = Config(65, dim=24, layers=1, heads=2, ff=32, positions=24)


def test_reciprocal_ranks_by_hand():
    """The cosines of (1, 0) with (1, 0), (0, 1) and (1, 1): 1, 0 and 0.71."""
    Q, K = np.array([[1, 0], [1, 0], [1, 0.0]]), np.array([[1, 0], [0, 1], [1, 1.0]])
    np.testing.assert_allclose(reciprocal_ranks(Q, K), [1, 1 / 3, 1 / 2])
    np.testing.assert_allclose(reciprocal_ranks(Q, np.ones((3, 2))), [(1 + 1 / 2 + 1 / 3) / 3] * 3)


def test_equal_vectors_have_the_MRR_of_chance():
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


@pytest.mark.parametrize("trained, tokens, sentence", [
    (0.6, 0.5, "verdict: better than the model before training (MRR 0.600 against 0.300) and than "
               "common tokens (0.500)"),
    (0.6, 0.7, "verdict: better than the model before training (MRR 0.600 against 0.300), and "
               "worse than common tokens (0.700): train the BERT on more"),
    (0.31, 0.7, "verdict: no better than the model before training (MRR 0.310 against 0.300), and "
                "worse than common tokens (0.700): train the BERT on more"),
    (0.31, 0.2, "verdict: no better than the model before training (MRR 0.310 against 0.300): "
                "train on more texts")])
def test_the_sentence_compares_with_the_model_before_training_and_with_tokens(trained, tokens,
                                                                              sentence):
    assert SearchVerdict(trained, 0.3, tokens, 0.01, 0.02, 500).sentence().startswith(sentence)


@pytest.mark.parametrize("trained, start, error, spread, sentence", [
    (0.105, 0.086, 0.001, 0.002, "no better than chance (MRR 0.105 against 0.107), so nothing was "
                                 "learned: train on more texts"),
    (0.115, 0.086, 0.001, 0.004, "no better than chance"), (0.125, 0.086, 0.001, 0.004, "better"),
    (0.2, 0.4, 0.01, 0.01, "worse than the model before training (MRR 0.200 against 0.400): train "
                           "with a smaller --lr"),
    (0.38, 0.4, 0.01, 0.01, "no better than the model before training")])
def test_the_sentence_says_if_nothing_was_learned_or_something_forgotten(trained, start, error,
                                                                         spread, sentence):
    found = SearchVerdict(trained, start, 0.1, 0.107, error, 500, spread)
    assert found.sentence().startswith(f"verdict: {sentence}")
    assert found.learned == (sentence == "better")


def test_the_mean_of_equal_ranks_is_no_better_than_chance():
    start = Bert(CONFIG, init_params(tensors(CONFIG), 1))
    for side in pairs(1):
        found = of_encoder(start, start, mean, *(pack([[2, 3]] * 200), side))
        assert not found.learned and "no better than chance" in found.sentence()


def pairs(seed, n=200):
    """n pairs of texts of one of 10 topics each; partners share the topic, but no token."""
    rng = np.random.default_rng(seed)
    topics = 5 + 6 * rng.permutation(np.arange(n) % 10)[:, None]
    return [pack([[2, *row, 3] for row in (topics + rng.integers(0, 3, (n, 6)) + side).tolist()])
            for side in (0, 3)]


@pytest.mark.parametrize("seed", range(3))
def test_after_60_steps_more_partners_are_found_and_after_one_tiny_step_not(seed):
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


# ---- bi-encoders ---------------------------------------------------------------------------------

WORDS = [f"w{n}" for n in range(12)]
TOKENIZER = WordPiece([*SPECIAL, *WORDS])


def untrained(seed=1):
    config = Config(len(TOKENIZER), dim=16, layers=1, heads=2, ff=16, positions=8)
    return SentenceEncoder(TOKENIZER, Bert(config, init_params(tensors(config), seed)),
                           Recipe(max_seq_length=8))


def labelled(n, seed):
    """n pairs of texts with a topic each, in other words; and whether the topics agree."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, (2, n))
    b = np.where(np.arange(n) % 2, a, b)
    filler = rng.integers(8, 12, (2, n))
    return ([f"w{t} w{f}" for t, f in zip(a, filler[0])],
            [f"w{4 + t} w{f}" for t, f in zip(b, filler[1])], (a == b).astype(np.int64))


def trained(objective, steps, lr=0.01, targets=True):
    first, second, same = labelled(200, 1)
    if not targets:
        first, second = ([x for x, y in zip(side, same) if y] for side in (first, second))
    start = untrained()
    return start, sbert.train([sbert.tokenize(start, side) for side in (first, second)], start,
                              objective, same if targets else None, steps=steps, batch_size=32,
                              optim=Optim(lr, weight_decay=0.0), dropout=0.0)


def test_the_verdict_on_pairs_is_that_of_a_search_with_the_encoders():
    start, result = trained(ranking(0.1), 30, targets=False)
    first, second, same = labelled(200, 2)
    first, second = ([x for x, y in zip(side, same) if y] for side in (first, second))
    found = of_text_pairs(result.encoder, start, first, second)
    assert found.learned and found.texts == len(first)
    for encoder, mrr in ((result.encoder, found.trained), (start, found.start)):
        assert reciprocal_ranks(encoder.encode(first), encoder.encode(second)).mean() == mrr
    assert not of_text_pairs(start, start, first, second).learned
    prompted = of_text_pairs(result.encoder, start, first, second, prompts=("w8 w9 ", ""))
    assert prompted.trained != found.trained and prompted.tokens == found.tokens
    assert of_text_pairs(start, start, first[:9], second[:9]) is None


def test_the_verdict_on_scored_pairs_is_a_rank_correlation():
    start, result = trained(objective(cosent), 30)
    first, second, same = labelled(200, 2)
    found = of_scored_pairs(result.encoder, start, first, second, same)
    assert found.learned and found.trained > 0.8 and abs(found.words) < 0.2 and found.pairs == 200
    nothing = of_scored_pairs(start, start, first, second, same)
    assert not nothing.learned and nothing.error == 0 and nothing.start == found.start
    assert of_scored_pairs(start, start, first, second, np.ones(200)) is None     # all equal
    assert of_scored_pairs(start, start, first[:9], second[:9], same[:9]) is None


def test_a_bag_of_words_that_orders_no_pair_has_correlation_0():
    texts = [f"w{n % 12}" for n in range(20)], [f"w{(n + 1) % 12}" for n in range(20)]
    assert of_scored_pairs(untrained(), untrained(2), *texts, np.arange(20) % 3).words == 0


@pytest.mark.parametrize("steps, lr, learned", [(60, 0.02, True), (1, 1e-6, False)])
def test_the_verdict_on_classes_compares_losses_with_class_frequencies(steps, lr, learned):
    objective = classified(2)
    start, result = trained(objective, steps, lr)
    first, second, same = labelled(200, 2)
    found = of_classes(result, start, objective, first, second, same, labelled(200, 1)[2])
    assert found.learned == learned and found.examples == 200
    p = same.mean()
    assert found.baseline == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p), abs=0.01)
    assert found.untrained == pytest.approx(np.log(2), abs=0.05)


@pytest.mark.parametrize("trained, words, sentence", [
    (0.7, 0.5, "better than the model before training (Spearman 0.700 against 0.300) and than a "
               "bag of words (0.500)"),
    (0.7, 0.8, "better than the model before training (Spearman 0.700 against 0.300), and worse "
               "than a bag of words (0.800): train on more pairs"),
    (0.31, 0.1, "no better than the model before training (Spearman 0.310 against 0.300): train on "
                "more pairs")])
def test_the_sentence_on_scored_pairs_compares_with_a_bag_of_words(trained, words, sentence):
    found = ScoreVerdict(trained, 0.3, words, 0.02, 500).sentence()
    assert found.startswith(f"verdict: {sentence}")


@pytest.mark.parametrize("trained, start, sentence", [
    (-0.496, -0.015, "worse than the model before training (Spearman -0.496 against -0.015)"),
    (0.05, -0.5, "no better than chance (Spearman 0.050 against 0.000), so nothing was learned")])
def test_a_correlation_below_that_of_the_start_is_worse_and_one_of_0_is_chance(trained, start,
                                                                               sentence):
    found = ScoreVerdict(trained, start, -1, 0.02, 500, spread=0.02)
    assert found.sentence().startswith(f"verdict: {sentence}") and not found.learned


def test_truncated_vectors_have_a_verdict_of_their_own():
    start, result = trained(objective(cosent), 30)
    first, second, same = labelled(200, 2)
    for of, data in (of_text_pairs, ()), (of_scored_pairs, (same,)):
        whole, short = (of(result.encoder, start, first, second, *data, truncate_dim=dim)
                        for dim in (None, 4))
        assert whole.trained != short.trained and whole.start != short.start
    cut = [result.encoder.encode(side, truncate_dim=4) for side in (first, second)]
    assert of_text_pairs(result.encoder, start, first, second, truncate_dim=4).trained == (
        reciprocal_ranks(*cut).mean())
