"""The verdict on a causal LM: the bigram baseline by hand, and models that did or did not learn."""
import numpy as np
import pytest
from hypothesis import given

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import pack
from scratch_embed.transformer import gpt2
from scratch_embed.transformer.causal_lm import causal_lm, train
from scratch_embed.transformer.causal_verdict import (
    bigram_probabilities,
    count_bigrams,
    log_probabilities,
    of_causal_lm,
)
from scratch_embed.transformer.gpt2 import Gpt2
from tests.rounding import seeds

TEXT = pack([[0, 1, 1, 2], [0, 1], [3]])           # pairs: 0 1 twice, 1 1, 1 2


def test_bigram_probabilities_worked_by_hand():
    """Next tokens: 1 three times, 2 once; with ½ for each of four tokens, P = (1, 7, 3, 1) / 12.

    After 0 follows 1 twice: (2 − ¾)/2 + ¾ · 1/2 · P(1).  After 1 follow 1 and 2, once each:
    (1 − ¾)/2 + ¾ · 2/2 · P(w).  3 has no next token, so P(w | 3) = P(w).
    """
    bigrams = count_bigrams(TEXT, V=4)
    np.testing.assert_allclose(bigrams.unigram * 12, [1, 7, 3, 1], rtol=1e-15)
    found = bigram_probabilities(bigrams, np.array([0, 0, 1, 1, 3]), np.array([1, 3, 2, 0, 2]))
    np.testing.assert_allclose(found, [5 / 8 + 3 / 8 * 7 / 12, 3 / 8 / 12, 1 / 8 + 3 / 4 * 3 / 12,
                                       3 / 4 / 12, 3 / 12], rtol=1e-15)


@given(seeds)
def test_the_probabilities_after_any_token_sum_to_1(seed):
    rng = np.random.default_rng(seed)
    bigrams = count_bigrams(pack([rng.integers(0, 6, rng.integers(1, 8)) for _ in range(5)]), V=7)
    table = bigram_probabilities(bigrams, np.repeat(np.arange(7), 7), np.tile(np.arange(7), 7))
    assert (table > 0).all()
    np.testing.assert_allclose(table.reshape(7, 7).sum(axis=1), 1, rtol=1e-12)


def test_a_text_without_pairs_leaves_the_uniform_distribution():
    bigrams = count_bigrams(pack([[1], [2]]), V=4)
    assert (bigram_probabilities(bigrams, np.array([1, 2]), np.array([0, 3])) == 0.25).all()


CONFIG = gpt2.Config(vocab=17, dim=16, layers=1, heads=2, ff=24, positions=12)


def new_gpt():
    return Gpt2(CONFIG, init_params(gpt2.tensors(CONFIG), 1))


def numbers(seed, N, make):
    rng = np.random.default_rng(seed)
    return pack([make(rng) for _ in range(N)])


def test_log_probabilities_sum_to_the_loss():
    batch = numbers(0, 80, lambda rng: rng.integers(0, 17, rng.integers(1, 12)))
    found = log_probabilities(new_gpt(), batch)
    assert -found.mean() == pytest.approx(causal_lm(batch, new_gpt())[0], rel=1e-6)


def verdict(make, steps=150):
    text, held_out = numbers(1, 300, make), numbers(2, 100, make)
    model = train(text, new_gpt(), steps=steps, optim=Optim(0.02), dropout=0).model
    return of_causal_lm(model, new_gpt(), held_out, text)


def test_a_text_that_needs_two_tokens_back_is_learned_beyond_bigrams():
    """x y x y ...: the next token is the one before the last."""
    found = verdict(lambda rng: np.tile(rng.choice(17, 2, replace=False), 5), steps=250)
    assert found.learned
    assert found.bigrams.trained < 1 < found.bigrams.baseline
    assert found.bigrams.trained == found.unigrams.trained
    assert found.unigrams.baseline > 2.7 and found.unigrams.untrained > 2.7


def test_random_tokens_cannot_be_learned():
    """Here bigrams are worse than frequencies, because each pair is rare."""
    found = verdict(lambda rng: rng.integers(0, 17, 9), steps=30)
    assert not found.learned and found.bigrams.baseline > found.unigrams.baseline


def test_a_chain_of_pairs_is_learned_beyond_frequencies_and_not_beyond_bigrams():
    """From v to v + 1 or v + 2 modulo 17, at random: log 2 is left for bigrams, too."""
    found = verdict(lambda rng: (rng.integers(17) + np.cumsum(rng.integers(1, 3, 9))) % 17)
    assert found.unigrams.learned and not found.bigrams.learned and not found.learned
    assert found.bigrams.baseline == pytest.approx(np.log(2), abs=0.1)


def test_sequences_without_a_next_token_give_no_verdict():
    found = of_causal_lm(new_gpt(), new_gpt(), pack([[1], [2]]), TEXT)
    assert found.bigrams.examples == 0 and not found.bigrams.learned
