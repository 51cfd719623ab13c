"""The verdict on a masked LM: right on runs that learned, and on runs that did not.

All tokens of a sequence belong to one of 6 topics, so they predict each other.  Shuffled tokens
have the same frequencies, but do not predict each other.
"""
import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import pack
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
from scratch_embed.transformer.masked_lm import Masking, mask_tokens, masked_lm, train
from scratch_embed.transformer.verdict import log_probabilities, of_masked_lm

V, TOPICS = 65, 6                                            # 5 special tokens and 60 others
CONFIG = Config(V, dim=24, layers=1, heads=2, ff=32, positions=12)
MASKING = Masking(4, (0, 1, 2, 3, 4))


def sequences(seed, n=300, shuffled=False):
    """n sequences: [CLS], 10 tokens of one topic with unequal frequencies, [SEP]."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, 11) / (1 / np.arange(1, 11)).sum()
    ids = 5 + 10 * rng.integers(0, TOPICS, (n, 1)) + rng.choice(10, (n, 10), p=frequency)
    if shuffled:
        rng.shuffle(flat := ids.ravel())
        ids = flat.reshape(n, 10)
    return pack([[2, *row, 3] for row in ids.tolist()])


def untrained(seed):
    return Bert(CONFIG, init_params(tensors(CONFIG) | head_tensors(CONFIG), seed))


def verdict_of_run(seed, corpus, measured, steps=250):
    trained = train(corpus, CONFIG, MASKING, steps=steps, batch_size=32, optim=Optim(0.01),
                    dropout=0.0, options=RunOptions(seed=seed))
    counts = np.bincount(corpus.ids, minlength=V).astype(float)
    counts[:5] = 0
    return of_masked_lm(trained.model, untrained(seed), measured, counts, MASKING, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_learned_is_better_than_frequencies_on_other_text(seed):
    found = verdict_of_run(seed, sequences(seed), sequences(seed + 100))
    assert found.learned and found.baseline - found.trained > 10 * found.error
    assert found.untrained == pytest.approx(np.log(V), abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_too_short_is_no_better_than_frequencies(seed):
    assert not verdict_of_run(seed, sequences(seed), sequences(seed + 100), steps=15).learned


@pytest.mark.parametrize("seed", range(3))
def test_a_run_of_shuffled_tokens_is_no_better_than_frequencies(seed):
    assert not verdict_of_run(seed, sequences(seed, shuffled=True), sequences(seed + 100)).learned


def test_the_baseline_by_hand():
    """Tokens 5 (three times) and 6 (once), with ½ added to each of the 65 counts."""
    counts = np.zeros(V)
    counts[5:7] = 3, 1
    found = of_masked_lm(untrained(1), untrained(1), pack([[2, 5, 3]] * 50), counts, MASKING)
    assert found.baseline == pytest.approx(-np.log(3.5 / (4 + V / 2)))
    assert found.trained == found.untrained and not found.learned


def test_log_probabilities_are_those_of_the_loss_for_any_split_into_batches():
    model, corpus = untrained(3), sequences(3, 250)
    examples = mask_tokens(corpus, MASKING, V, np.random.default_rng(0))
    loss, _ = masked_lm(model.infer(examples.batch), examples.masked_positions, examples.targets,
                        model.p, CONFIG)
    assert -log_probabilities(model, examples).mean() == pytest.approx(loss, rel=1e-5)
