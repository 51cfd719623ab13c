"""The training loop of causal models: batches, workers, resuming, and that it learns."""
import signal

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.dropout import Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.settings import saved_as
from scratch_embed.text.packed import pack, take
from scratch_embed.training.batches import batches
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.transformer import causal_lm as module
from scratch_embed.transformer import gpt2, mistral
from scratch_embed.transformer.causal_lm import causal_lm, continue_greedily, train
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.mistral import Mistral
from tests.transformer.causal_parity import random_params

CONFIG = gpt2.Config(vocab=17, dim=8, layers=1, heads=2, ff=12, positions=12)


def model(config=CONFIG, dtype=np.float32, seed=0):
    return Gpt2(config, init_params(gpt2.tensors(config), seed, dtype))


def random_mistral():
    config = mistral.Config(vocab=17, dim=8, layers=1, heads=2, kv_heads=1, head_dim=4, ff=10,
                            positions=12, sliding_window=3)
    tensors = mistral.tensors(config) | mistral.head_tensors(config)
    return Mistral(config, random_params(tensors, 0, np.float32))


def corpus(seed, N=6, longest=12):
    rng = np.random.default_rng(seed)
    return pack([rng.integers(0, 17, rng.integers(2, longest + 1)) for _ in range(N)])


@pytest.mark.parametrize("start", [model(), random_mistral()], ids=["GPT-2", "Mistral"])
def test_two_steps_are_batch_forward_loss_backward_step(start):
    """The loop of train() in plain form, with one worker."""
    text, lr = corpus(1), 0.01
    trained = train(text, start, steps=2, batch_size=4, optim=Optim(lr), dropout=0)
    p = start.p.copy()
    optimizer, losses = AdamW(p), []
    for step, numbers in batches(6, 4, 2, seed=1):
        numbers = sorted(numbers, key=lambda n: text.offsets[n + 1] - text.offsets[n])
        loss, backward = causal_lm(take(text, np.array(numbers)), start.with_params(p))
        g = p.like()
        backward(g)
        optimizer.step([g], linear_warmup_decay(step, 2, lr), 1.0)
        losses.append(loss)
    assert losses == trained.losses and type(trained.model) is type(start)
    np.testing.assert_array_equal(trained.model.p.flat, p.flat)


def test_training_starts_from_the_given_parameters_and_does_not_change_them():
    start = model()
    before = start.p.flat.copy()
    learned = train(corpus(1), start, steps=3).model.p
    assert (start.p.flat == before).all() and (learned.flat != before).mean() > 0.5
    np.testing.assert_allclose(learned.flat, before, rtol=0, atol=3 * 2e-3)      # 3 steps of lr


def test_frozen_parameters_stay_and_the_others_learn():
    start = model()
    p = start.p.trainable(name for name in start.p if name.startswith("layers."))
    learned = train(corpus(1), start.with_params(p), steps=3).model.p
    np.testing.assert_array_equal(learned["embed.tokens.weight"], start.p["embed.tokens.weight"])
    assert (learned["layers.0.attn.q.weight"] != start.p["layers.0.attn.q.weight"]).any()


def test_without_dropout_the_number_of_workers_changes_only_rounding():
    """Also with more workers than sequences in a batch."""
    text = corpus(6, N=9)
    one, *others = (train(text, model(), steps=6, batch_size=3, dropout=0,
                          options=RunOptions(workers)) for workers in (1, 2, 7))
    for other in others:
        np.testing.assert_allclose(other.losses, one.losses, rtol=1e-5)
        np.testing.assert_allclose(other.model.p.flat, one.model.p.flat, rtol=0, atol=1e-4)


def test_every_step_and_every_worker_has_a_different_dropout_mask(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "train_step",
                        lambda _, model, dropouts, *more: seen.extend(dropouts) or 1)
    train(corpus(0), model(), steps=3, batch_size=2, dropout=0.2, options=RunOptions(4))
    assert len(set(seen)) == 3 * 4 and {dropout.probability for dropout in seen} == {0.2}


def test_the_loss_varies_with_the_dropout_masks_only():
    for probability, differ in ((0.3, True), (0, False)):
        losses = train(corpus(0), model(), steps=4, batch_size=6, optim=Optim(0),
                       dropout=probability).losses
        assert (np.ptp(losses) > 1e-4) == differ


def interrupting_gelu(call):
    """GELU that raises SIGINT (Ctrl-C) in the given call; 0: never."""
    calls = []

    @saved_as("gelu_tanh")
    def counted_gelu(x):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return gelu_tanh(x)
    return counted_gelu


@pytest.mark.parametrize("workers, call", [(1, 1), (1, 4), (2, 5)])
def test_an_interrupted_run_resumes_to_the_same_bits(workers, call, tmp_path):
    def run(call, checkpoint=None):
        return train(corpus(0), model(CONFIG._replace(activation=interrupting_gelu(call))),
                     steps=7, batch_size=4, options=RunOptions(workers, 3, checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(call, Checkpoint(path))
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses
    assert resumed.model.p.flat.tobytes() == whole.model.p.flat.tobytes()


@pytest.mark.parametrize("name, change", [
    ("steps", dict(steps=1)), ("batch_size", dict(batch_size=3)), ("lr", dict(optim=Optim(0.1))),
    ("dropout", dict(dropout=0.2)), ("data", dict(corpus=corpus(1))),
    ("start", dict(start=model(seed=5))), ("vocab", dict(start=model(CONFIG._replace(vocab=18)))),
    ("seed", dict(options=RunOptions(1, 4)))])
def test_resuming_with_a_changed_setting_is_refused_and_the_error_names_it(name, change, tmp_path):
    settings = dict(corpus=corpus(0), start=model(), steps=2, batch_size=4)
    train(**settings, options=RunOptions(checkpoint=Checkpoint(tmp_path / "state")))
    options = change.get("options", RunOptions())._replace(
        checkpoint=Checkpoint(tmp_path / "state", resume=True))
    with pytest.raises(ValueError, match=name):
        train(**settings | change | {"options": options})


def test_a_batch_without_a_next_token_has_loss_0_and_does_not_stop_the_training():
    text = pack([[1], [2], [3, 4, 5], [6, 7]])
    losses = train(text, model(), steps=30, batch_size=2, options=RunOptions(2)).losses
    assert min(losses) == 0 and max(losses) > 1


@pytest.mark.parametrize("sequences, message", [
    ([[0, 17]], "token ids in 0..16.* got 17"), ([[0, -1]], "got -1;"),
    ([[0] * 13], "positions in 0..11.* got 12"), ([], "at least 1 sequence, got 0"),
    ([[3], [4]], "expected a sequence of two tokens or more")])
def test_a_corpus_that_the_model_cannot_learn_from_is_refused(sequences, message):
    with pytest.raises(ValueError, match=message):
        train(pack(sequences), model(), steps=1)


def test_a_small_model_learns_a_text_whose_next_token_is_known():
    """Each text counts upwards from a random number, modulo 17: only the first is uncertain.

    So the loss can fall to 0.  The frequencies of tokens alone leave log 17 = 2.83.
    """
    rng = np.random.default_rng(0)
    text = pack([(start + np.arange(8)) % 17 for start in rng.integers(0, 17, 200)])
    losses = train(text, model(CONFIG._replace(dim=16)), steps=150, batch_size=32,
                   optim=Optim(0.03), dropout=0).losses
    assert losses[0] > 2.7 and np.mean(losses[-10:]) < 0.05


def test_dropout_is_the_same_mask_for_the_same_seed():
    a, b, c = (train(corpus(2), model(), steps=2, dropout=0.3, options=RunOptions(seed=seed))
               for seed in (1, 1, 2))
    assert a.losses == b.losses != c.losses
    assert causal_lm(corpus(2), model(), Dropout(0.3, 1))[0] != causal_lm(
        corpus(2), model(), Dropout(0.3, 2))[0]


# ---- continuing a text ---------------------------------------------------------------------------

class Counting:
    """Predicts the number after the last one; its vectors are the ids."""

    config = CONFIG                # at most 12 positions

    def infer(self, batch):        # encode() would keep activations
        return batch.ids[:, None]

    def lm_head(self, x):
        return np.eye(17)[(x[:, 0] + 1) % 17], None


@pytest.mark.parametrize("ids, most, end, expected", [
    ([3], 4, None, [3, 4, 5, 6, 7]), ([3], 4, 5, [3, 4, 5]), ([5], 2, 5, [5, 6, 7]),
    ([0], 50, None, list(range(12))), ([0] * 12, 5, None, [0] * 12)])
def test_a_text_is_continued_by_the_most_probable_token_until_the_end(ids, most, end, expected):
    assert continue_greedily(ids, Counting(), most, end) == expected
