"""SimCSE: the loss and its gradient, views and their dropout masks, training, uniformity."""
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.numerics.settings import saved_as
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.sentences.simcse import (
    HEAD,
    HeldOut,
    batch_loss,
    contrast,
    embed,
    geometry,
    head_tensors,
    train,
    vectors,
)
from scratch_embed.text.packed import pack, take
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.transformer import bert
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.worlds.senses import senses
from tests.rounding import seeds

CONFIG = Config(vocab=17, dim=8, layers=2, heads=2, ff=12, positions=12)


def model_of(seed=0, dtype=np.float64, head=True):
    """A BERT with weights of order 1, so that every part of it affects the result."""
    p = init_params(tensors(CONFIG, std=0.4) | (head_tensors(CONFIG.dim, 0.4) if head else {}),
                    seed, dtype)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return Bert(CONFIG, p)


def texts(seed, N=6):
    """N random packed texts of 1 to 8 tokens, and [CLS] and [SEP]."""
    rng = np.random.default_rng(seed)
    return pack([[0, *rng.integers(2, 17, rng.integers(1, 9)), 1] for _ in range(N)])


# ---- the loss -----------------------------------------------------------------------------------

def test_two_texts_worked_by_hand():
    """Two orthogonal texts with equal views, τ = ½: L = log(1 + e^((0 − 1)/τ)) = log(1 + e^−2).

    The cosines of the hard negatives are 0 and 0 with text 0, and 1 and −1 with text 1.  Each adds
    e^((cosine − 1)/τ) to the sum.
    """
    z = np.eye(2)
    loss, backward = contrast([z, 2 * z], tau=0.5)
    assert loss == pytest.approx(np.log(1 + np.exp(-2)), rel=1e-15)
    assert [d.shape for d in backward()] == [(2, 2), (2, 2)]
    hard = np.array([[0.0, 3], [0, -1]])
    loss, backward = contrast([z, z, hard], tau=0.5)
    rows = np.log([1 + np.exp(-2) + 2 * np.exp(-2), 1 + np.exp(-2) + 1 + np.exp(-4)])
    assert loss == pytest.approx(rows.mean(), rel=1e-15)
    assert [d.shape for d in backward()] == [(2, 2)] * 3


@given(seeds, st.integers(2, 4))
def test_the_gradients_of_the_views_are_those_of_infonce(seed, count):
    z = list(np.random.default_rng(seed).standard_normal((count, 5, 4)))
    loss, backward = contrast(z, 0.1)
    want, back = infonce(z[0], np.concatenate(z[1:]), 0.1)
    dq, dk, _ = back()
    assert loss == want
    for one, other in zip(backward(), [dq, *dk.reshape(-1, 5, 4)], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pool", [cls, mean])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count, dropout, head", [
    (2, Dropout(0.2, 5), True), (3, NO_DROPOUT, True), (3, Dropout(0.1, 6), False)])
def test_the_backward_of_a_batch_is_the_derivative_of_its_loss(pool, workers, count, dropout, head):
    """In all parameters, with the gradients of all workers added."""
    views = [texts(1)] * 2 if count == 2 else [texts(seed) for seed in range(3)]

    def loss(p):
        value, backward = batch_loss(views, Bert(CONFIG, p), pool, 0.3, dropout, workers)

        def add_gradients(g):
            shares = [p.like() for _ in range(workers)]
            backward(shares)
            for share in shares:
                assert share.flat.any()
                g.flat += share.flat
        return value, add_gradients
    check_loss(loss, model_of(2, head=head).p)


@given(seeds)
def test_hard_negatives_increase_the_loss(seed):
    views, model = [texts(seed + i) for i in range(3)], model_of(seed % 7)
    two_views, _ = batch_loss(views[:2], model, cls, 0.1, NO_DROPOUT)
    with_hard, _ = batch_loss(views, model, cls, 0.1, NO_DROPOUT)
    assert with_hard > two_views
    repeated, _ = batch_loss([*views[:2], views[1]], model, cls, 0.1, NO_DROPOUT)
    # if the hard negative is the positive itself, p ≤ ½ and the loss is at least log 2
    assert with_hard != repeated and repeated >= np.log(2)


# ---- views --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-5), (np.float64, 5e-14)])
@given(seed=seeds)
def test_a_text_has_the_same_vector_alone_and_in_a_batch(dtype, atol, seed):
    """Up to rounding, with the bounds of test_encoder.py; embed() sorts texts by length."""
    batch, model = texts(seed), model_of(seed % 7, dtype)
    z, _ = embed(batch, model)
    for n in range(6):
        np.testing.assert_allclose(embed(take(batch, np.array([n])), model)[0][0], z[n], rtol=0,
                                   atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_views_are_equal_without_dropout_and_differ_with_it(dtype):
    batch, model = texts(0), model_of(dtype=dtype)

    def view(probability, v):
        return embed(batch, model, cls, Dropout(probability, 9).at(3, v))[0]
    np.testing.assert_array_equal(view(0, 0), view(0, 1))
    assert (abs(view(0.1, 0) - view(0.1, 1)).max(1) > 1e-3).all()
    np.testing.assert_array_equal(view(0.1, 1), view(0.1, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_each_view_and_each_worker_of_a_step_has_its_own_mask(workers):
    batch, model, dropout = texts(0), model_of(), Dropout(0.2, 9)
    loss, _ = batch_loss([batch, batch], model, cls, 0.1, dropout, workers)

    def by_hand(numbers):                            # the arguments of Dropout.at
        shares = np.array_split(np.arange(6), workers)
        return contrast([np.concatenate([
            embed(take(batch, share), model, cls, dropout.at(*numbers(view, worker)))[0]
            for worker, share in enumerate(shares)]) for view in range(2)], 0.1)[0]
    assert loss == pytest.approx(by_hand(lambda view, worker: (view, worker)), rel=1e-14)
    assert abs(loss - by_hand(lambda view, worker: (0, worker))) > 1e-3


def test_every_step_has_its_own_masks():
    """All texts are in every batch and lr is 0, so the losses of steps differ only by the masks."""
    for probability, differ in ((0.2, True), (0, False)):
        losses = train([texts(0)], model_of(dtype=np.float32), steps=4, batch_size=6,
                       optim=Optim(0), dropout=probability).losses
        assert (np.ptp(losses) > 1e-3) == differ


def test_embed_applies_the_head_and_by_default_vectors_does_not():
    batch, model = texts(4), model_of(1)
    pooled = np.stack([model.infer(take(batch, np.array([n])))[0] for n in range(6)])
    np.testing.assert_allclose(vectors(batch, model), pooled, rtol=0, atol=5e-14)
    with_head = np.tanh(pooled @ model.p[HEAD].T + model.p["head.bias"])
    np.testing.assert_allclose(vectors(batch, model, keep_head=True), with_head, rtol=0, atol=1e-13)
    np.testing.assert_allclose(embed(batch, model)[0], with_head, rtol=0, atol=1e-13)
    headless = model_of(1, head=False)
    np.testing.assert_array_equal(vectors(batch, headless), embed(batch, headless)[0])


@pytest.mark.parametrize("dtype, rounding", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_any_number_of_workers_gives_the_same_step_without_dropout(dtype, rounding):
    """Up to rounding, because the gradients are summed in another order."""
    views, model = [texts(seed) for seed in range(3)], model_of(3, dtype)
    results = []
    for workers in (1, 2, 5):
        shares = [model.p.like() for _ in range(workers)]
        with parallel_map(workers) as run:
            loss, backward = batch_loss(views, model, mean, 0.1, NO_DROPOUT, workers, run)
            backward(shares)
        results.append((loss, sum(share.flat for share in shares)))
    for loss, g in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=rounding)
        np.testing.assert_allclose(g, results[0][1], rtol=0, atol=rounding * abs(g).max())


# ---- training -----------------------------------------------------------------------------------

def test_one_worker_and_two_workers_train_the_same_model_without_dropout():
    """Ten steps of up to 10⁻³ with gradients that are equal to 10⁻⁶.

    The biases of the keys are excluded.  They add the same number to all scores of a query, so
    their gradient is only rounding errors, which Adam turns into full steps.  The vectors do not
    depend on these biases.
    """
    views, model = [texts(0, 40), texts(1, 40)], model_of(0, np.float32)
    one, two = (train(views, model, steps=10, batch_size=16, optim=Optim(1e-3, weight_decay=0.0),
                      dropout=0, options=RunOptions(workers)) for workers in (1, 2))
    np.testing.assert_allclose(one.losses, two.losses, rtol=0, atol=1e-4)
    for name, tensor in one.model.p.items():
        if not name.endswith("attn.k.bias"):
            np.testing.assert_allclose(tensor, two.model.p[name], rtol=0, atol=1e-4, err_msg=name)
    text = texts(2)
    np.testing.assert_allclose(*(vectors(text, run.model) for run in (one, two)), rtol=0, atol=1e-3)


def test_train_uses_the_settings_of_optim():
    """BERT's pooler has a gradient of 0 here, so weight decay alone changes it."""
    start = with_bert_heads(np.float64)

    def moved(steps, **settings):
        optim = Optim(0.1, **{"weight_decay": 0.0, **settings})
        q = train([texts(0)], start, steps=steps, batch_size=6, optim=optim).model.p
        return q, max(abs(q[name] - start.p[name]).max() for name in tensors(CONFIG))
    q, _ = moved(steps=4, warmup_ratio=0.5, weight_decay=0.3)
    shrunk = (1 - 0.05 * 0.3) * (1 - 0.1 * 0.3) * (1 - 0.05 * 0.3)
    np.testing.assert_allclose(q["pooler.weight"], shrunk * start.p["pooler.weight"], rtol=1e-14)
    assert moved(steps=1, warmup_ratio=0.0)[1] == 0
    assert moved(steps=1, warmup_ratio=1.0)[1] == pytest.approx(0.1, rel=1e-3)
    assert moved(steps=1, warmup_ratio=1.0, max_grad_norm=1e-13)[1] < 1e-5


def with_bert_heads(dtype):
    return Bert(CONFIG, init_params(tensors(CONFIG) | bert.head_tensors(CONFIG), 0, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_train_returns_a_new_model_of_the_same_type_with_a_head_or_without(dtype):
    start = with_bert_heads(dtype)
    before = start.p.flat.copy()
    trained = train([texts(0)], start, steps=2)
    p = trained.model.p
    np.testing.assert_array_equal(start.p.flat, before)
    assert p.flat.dtype == dtype and len(trained.losses) == 2 and trained.curve == []
    assert HEAD in p and not any(name.startswith(("mlm.", "next_sentence.")) for name in p)
    headless = train([texts(0)], start, steps=2, with_head=False)
    assert HEAD not in headless.model.p and headless.losses != trained.losses
    again = train([texts(0)], trained.model, steps=2, optim=Optim(0))
    np.testing.assert_array_equal(again.model.p.flat, p.flat)         # its head is kept


@pytest.mark.parametrize("workers", [1, 2])
def test_frozen_tensors_are_not_trained_and_not_in_the_checkpoint(workers, tmp_path):
    """Here the last layer is trained and all others are frozen."""
    start = model_of(dtype=np.float32, head=False)
    names = [name for name in start.p if name.startswith("layers.1.")]
    checkpoint = Checkpoint(tmp_path / "state")
    p = train([texts(0)], start.with_params(start.p.trainable(names)), steps=3, with_head=False,
              options=RunOptions(workers, checkpoint=checkpoint)).model.p
    for name in start.p:
        assert (p[name] != start.p[name]).any() == (name in names), name
    stored = read_safetensors(checkpoint.path)[0]
    assert {name for name in stored if name.startswith(("layers.", "embed."))} == set(names)
    assert {name[2:] for name in stored if name.startswith("m/")} == set(names)


def stopping(pool, after):
    """The same pooling, which sends SIGINT (Ctrl-C) in call number `after`."""
    calls = []

    @saved_as("stopping")
    def watched(x, offsets, skip=0):
        calls.append(1)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)
        return pool(x, offsets, skip)
    return watched


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", [2, 9, 17])
def test_an_interrupted_run_resumes_to_the_same_bits(workers, after, tmp_path):
    def run(after, checkpoint=None):
        return train([texts(0)], model_of(dtype=np.float32), stopping(mean, after), steps=7,
                     batch_size=4, held_out=HeldOut(texts(1), texts(2), 2),
                     options=RunOptions(workers, 3, checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(after, Checkpoint(path))
    assert 0 < len(read_safetensors(path)[0]["session/losses"]) < 7
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses and resumed.curve == whole.curve
    assert resumed.model.p.flat.tobytes() == whole.model.p.flat.tobytes()


@pytest.mark.parametrize("name, change", [
    ("pool", dict(pool=cls)), ("tau", dict(tau=0.1)), ("steps", dict(steps=1)),
    ("batch_size", dict(batch_size=3)), ("lr", dict(optim=Optim(1e-2, weight_decay=0.0))),
    ("weight_decay", dict(optim=Optim(3e-4))), ("dropout", dict(dropout=0.2)),
    ("headless", dict(with_head=False)), ("workers", dict(options=RunOptions(2))),
    ("seed", dict(options=RunOptions(seed=2))), ("data", dict(views=[texts(1)])),
    ("held_out", dict(held_out=HeldOut(texts(1), texts(2)))), ("start", dict(model=model_of(1))),
    ("activation", dict(model=Bert(CONFIG._replace(activation=gelu_tanh), model_of().p)))])
def test_resuming_with_another_setting_is_an_error_that_names_it(name, change, tmp_path):
    settings = dict(views=[texts(0)], model=model_of(), pool=mean, steps=2, batch_size=4,
                    options=RunOptions())
    train(**settings | {"options": RunOptions(checkpoint=Checkpoint(tmp_path / "state"))})
    settings |= change
    options = settings["options"]._replace(checkpoint=Checkpoint(tmp_path / "state", resume=True))
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(**settings | {"options": options})


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((1, 4)), np.full((1, 3), np.nan),
                                  np.zeros(3), np.zeros((1, 3, 1))])
def test_a_checkpoint_with_damaged_measurements_is_a_format_error(rows, tmp_path):
    path = tmp_path / "state"
    settings = dict(pool=mean, steps=2, batch_size=4, held_out=HeldOut(texts(1), texts(2), 2))
    train([texts(0)], model_of(), **settings, options=RunOptions(checkpoint=Checkpoint(path)))
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, {**tensors, "session/rows": rows}, metadata)
    with pytest.raises(FormatError):
        train([texts(0)], model_of(), **settings,
              options=RunOptions(checkpoint=Checkpoint(path, resume=True)))


def world(seed, N=300):
    """Sentences of worlds/senses.py -> packed texts, pairs about one topic, vocabulary size."""
    drawn = senses(seed, N)
    words = sorted({word for sentence in drawn.sentences for word in sentence})
    number = {word: n for n, word in enumerate(words, 2)}
    text = pack([[0, *(number[word] for word in sentence), 1] for sentence in drawn.sentences])
    topics = np.array(drawn.topics)
    order = np.argsort(topics, kind="stable")
    pairs = np.array([(a, b) for a, b in zip(order, order[1:]) if topics[a] == topics[b]])
    return text, HeldOut(take(text, pairs[:, 0]), take(text, pairs[:, 1]), 20), 2 + len(words)


@pytest.mark.parametrize("seed", range(3))
def test_training_improves_uniformity(seed):
    """Over three seeds uniformity fell from between −0.6 and −0.4 to −3.0; less is better."""
    text, pairs, V = world(seed)
    config = Config(vocab=V, dim=32, layers=1, heads=2, ff=32, positions=11)
    start = Bert(config, init_params(tensors(config), seed))
    _, before = geometry(pairs, start, mean)
    trained = train([text], start, mean, steps=60, batch_size=32, held_out=pairs,
                    optim=Optim(3e-3, weight_decay=0.0), options=RunOptions(seed=seed))
    with one_blas_thread():                                      # as in train(), for the same bits
        aligned, after = geometry(pairs, trained.model, mean)
    assert after < before - 1 and np.mean(trained.losses[-10:]) < trained.losses[0] / 2
    assert [step for step, _, _ in trained.curve] == [20, 40, 60]
    assert trained.curve[-1][1:] == (aligned, after)


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("views, batch", [
    ([texts(0), texts(0, 5)], 4), ([texts(0)], 1), ([texts(0, 1)], 4), ([], 4), ([texts(0)], 0),
    ([texts(0)] * 4, 4)])
def test_views_of_different_lengths_and_batches_without_negatives_are_errors(views, batch):
    with pytest.raises(ValueError, match="expected 1 to 3 views of equally many texts, at least 2"):
        train(views, model_of(dtype=np.float32), batch_size=batch, steps=1)


@pytest.mark.parametrize("tau", [0, -1, float("nan")])
def test_a_temperature_that_is_not_positive_is_an_error(tau):
    with pytest.raises(ValueError, match="tau: expected a positive number"):
        train([texts(0)], model_of(dtype=np.float32), tau=tau, steps=1)
