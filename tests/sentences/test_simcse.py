"""SimCSE: the gradient of its whole step, two views of each text, and a cone that opens."""
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
from scratch_embed.numerics.safetensors import read_safetensors
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
    """Weights of order 1, so that every part of the model has a say."""
    p = init_params(tensors(CONFIG, std=0.4) | (head_tensors(CONFIG.dim, 0.4) if head else {}),
                    seed, dtype)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return Bert(CONFIG, p)


def texts(seed, N=6):
    rng = np.random.default_rng(seed)
    return pack([[0, *rng.integers(2, 17, rng.integers(1, 9)), 1] for _ in range(N)])


# ---- the loss -----------------------------------------------------------------------------------

def test_two_texts_worked_by_hand():
    """Orthogonal texts whose views are equal: log(1 + e^−1/τ); with the other's as a hard negative
    of the first, and its opposite of the second: log(1 + 2 e^−1/τ + ...), term by term.
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
def test_the_gradient_of_each_view_is_infonces(seed, count):
    z = list(np.random.default_rng(seed).standard_normal((count, 5, 4)))
    (loss, backward), (same, back) = contrast(z, 0.1), infonce(z[0], np.concatenate(z[1:]), 0.1)
    dq, dk, _ = back()
    assert loss == same
    for one, other in zip(backward(), [dq, *dk.reshape(-1, 5, 4)], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pool", [cls, mean])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count, dropout, head", [
    (2, Dropout(0.2, 5), True), (3, NO_DROPOUT, True), (3, Dropout(0.1, 6), False)])
def test_the_gradient_of_a_whole_step_is_its_derivative(pool, workers, count, dropout, head):
    """In all parameters at once, which every view uses; the workers' shares summed."""
    views = [texts(1)] * 2 if count == 2 else [texts(seed) for seed in range(3)]

    def loss(p):
        value, backward = batch_loss(views, Bert(CONFIG, p), pool, 0.3, dropout, workers)

        def into(g):
            shares = [p.like() for _ in range(workers)]
            backward(shares)
            for share in shares:
                assert share.flat.any()
                g.flat += share.flat
        return value, into
    check_loss(loss, model_of(2, head=head).p)


@given(seeds)
def test_hard_negatives_enter_and_can_only_add_to_the_loss(seed):
    views, model = [texts(seed + i) for i in range(3)], model_of(seed % 7)
    without, _ = batch_loss(views[:2], model, cls, 0.1, NO_DROPOUT)
    with_them, _ = batch_loss(views, model, cls, 0.1, NO_DROPOUT)
    assert with_them > without
    easier, _ = batch_loss([*views[:2], views[1]], model, cls, 0.1, NO_DROPOUT)
    assert with_them != easier and easier >= np.log(2)        # a false negative's floor


# ---- views --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-5), (np.float64, 5e-14)])
@given(seed=seeds)
def test_a_text_has_its_vector_wherever_it_stands_in_a_batch(dtype, atol, seed):
    """Bounds as the encoder's (test_encoder); lengths are sorted inside and put back."""
    batch, model = texts(seed), model_of(seed % 7, dtype)
    z, _ = embed(batch, model)
    for n in range(6):
        np.testing.assert_allclose(embed(take(batch, np.array([n])), model)[0][0], z[n], rtol=0,
                                   atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_views_are_equal_without_dropout_and_differ_with_it(dtype):
    batch, model = texts(0), model_of(dtype=dtype)

    def view(rate, v):
        return embed(batch, model, cls, Dropout(rate, 9).at(3, v))[0]
    np.testing.assert_array_equal(view(0, 0), view(0, 1))
    assert (abs(view(0.1, 0) - view(0.1, 1)).max(1) > 1e-3).all()
    np.testing.assert_array_equal(view(0.1, 1), view(0.1, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_views_and_the_workers_of_a_step_have_masks_of_their_own(workers):
    batch, model, dropout = texts(0), model_of(), Dropout(0.2, 9)
    loss, _ = batch_loss([batch, batch], model, cls, 0.1, dropout, workers)

    def by_hand(masks):
        halves = np.array_split(np.arange(6), workers)
        return contrast([np.concatenate([
            embed(take(batch, half), model, cls, dropout.at(*masks(view, worker)))[0]
            for worker, half in enumerate(halves)]) for view in range(2)], 0.1)[0]
    assert loss == pytest.approx(by_hand(lambda view, worker: (view, worker)), rel=1e-14)
    assert abs(loss - by_hand(lambda view, worker: (0, worker))) > 1e-3


def test_every_step_has_masks_of_its_own():
    """All texts in every batch, and a rate of learning of 0: only masks can tell steps apart."""
    for rate, differ in ((0.2, True), (0, False)):
        losses = train([texts(0)], model_of(dtype=np.float32), steps=4, batch_size=6,
                       optim=Optim(0), dropout=rate).losses
        assert (np.ptp(losses) > 1e-3) == differ


def test_the_head_is_a_tanh_of_what_is_pooled_and_vectors_do_without_it():
    batch, model = texts(4), model_of(1)
    pooled = np.stack([model.infer(take(batch, np.array([n])))[0] for n in range(6)])
    np.testing.assert_allclose(vectors(batch, model), pooled, rtol=0, atol=5e-14)
    with_it = np.tanh(pooled @ model.p[HEAD].T + model.p["head.bias"])
    np.testing.assert_allclose(vectors(batch, model, keep_head=True), with_it, rtol=0, atol=1e-13)
    np.testing.assert_allclose(embed(batch, model)[0], with_it, rtol=0, atol=1e-13)
    bare = model_of(1, head=False)
    np.testing.assert_array_equal(vectors(batch, bare), embed(batch, bare)[0])


@pytest.mark.parametrize("dtype, rounding", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_one_worker_and_two_agree_on_a_step_without_dropout(dtype, rounding):
    """The same numbers in sums of another order, in the loss and in every gradient's size."""
    views, model = [texts(seed) for seed in range(3)], model_of(3, dtype)
    found = []
    for workers in (1, 2, 5):
        shares = [model.p.like() for _ in range(workers)]
        with parallel_map(workers) as run:
            loss, backward = batch_loss(views, model, mean, 0.1, NO_DROPOUT, workers, run)
            backward(shares)
        found.append((loss, sum(share.flat for share in shares)))
    for loss, g in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=rounding)
        np.testing.assert_allclose(g, found[0][1], rtol=0, atol=rounding * abs(g).max())


# ---- training -----------------------------------------------------------------------------------

def test_one_worker_and_two_end_together_without_dropout():
    """Ten steps of up to 10⁻³, their gradients equal to 10⁻⁶.

    But for the keys' biases: they add the same to all scores of a query, so their gradient is 0 but
    for rounding, and Adam makes full steps of that.  No vector hears of it.
    """
    views, model = [texts(0, 40), texts(1, 40)], model_of(0, np.float32)
    one, two = (train(views, model, steps=10, batch_size=16, optim=Optim(1e-3, weight_decay=0.0),
                      dropout=0, options=RunOptions(workers)) for workers in (1, 2))
    np.testing.assert_allclose(one.losses, two.losses, rtol=0, atol=1e-4)
    for name, mine in one.model.p.items():
        if not name.endswith("attn.k.bias"):
            np.testing.assert_allclose(mine, two.model.p[name], rtol=0, atol=1e-4, err_msg=name)
    text = texts(2)
    np.testing.assert_allclose(*(vectors(text, t.model) for t in (one, two)), rtol=0, atol=1e-3)


def test_the_rate_of_learning_the_decay_and_the_clipping_are_those_asked_for():
    """As in test_bert: BERT's pooler hears nothing, and only shrinks."""
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
def test_what_is_given_is_left_and_what_comes_out_has_its_type_and_a_head_or_none(dtype):
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
    np.testing.assert_array_equal(again.model.p.flat, p.flat)         # it goes on with its own head


@pytest.mark.parametrize("workers", [1, 2])
def test_frozen_tensors_stay_and_the_others_are_trained(workers, tmp_path):
    """Only the last layer: the rest has no copy in the checkpoint."""
    start = model_of(dtype=np.float32, head=False)
    names = [name for name in start.p if name.startswith("layers.1.")]
    checkpoint = Checkpoint(tmp_path / "state")
    p = train([texts(0)], start.with_params(start.p.trainable(names)), steps=3, with_head=False,
              options=RunOptions(workers, checkpoint=checkpoint)).model.p
    for name in start.p:
        assert (p[name] != start.p[name]).any() == (name in names), name
    kept = read_safetensors(checkpoint.path)[0]
    assert {name for name in kept if name.startswith(("layers.", "embed."))} == set(names)
    assert {name[2:] for name in kept if name.startswith("m/")} == set(names)


def stopping(pool, after):
    """The same pooling; Ctrl-C is pressed when it is asked for the n-th time."""
    asked = []

    @saved_as("stopping")
    def watched(x, offsets, skip=0):
        asked.append(1)
        if len(asked) == after:
            signal.raise_signal(signal.SIGINT)
        return pool(x, offsets, skip)
    return watched


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", [2, 9, 17])
def test_a_run_that_was_stopped_continues_to_the_same_bits(workers, after, tmp_path):
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
    ("pool", dict(pool=cls)), ("tau", dict(tau=0.1)), ("steps", dict(steps=3)),
    ("batch_size", dict(batch_size=3)), ("lr", dict(optim=Optim(1e-2, weight_decay=0.0))),
    ("weight_decay", dict(optim=Optim(3e-4))), ("dropout", dict(dropout=0.2)),
    ("headless", dict(with_head=False)), ("workers", dict(options=RunOptions(2))),
    ("seed", dict(options=RunOptions(seed=2))), ("data", dict(views=[texts(1)])),
    ("held_out", dict(held_out=HeldOut(texts(1), texts(2)))), ("start", dict(model=model_of(1))),
    ("activation", dict(model=Bert(CONFIG._replace(activation=gelu_tanh), model_of().p)))])
def test_another_setting_is_refused_by_name(name, change, tmp_path):
    settings = dict(views=[texts(0)], model=model_of(), pool=mean, steps=2, batch_size=4,
                    options=RunOptions())
    train(**settings | {"options": RunOptions(checkpoint=Checkpoint(tmp_path / "state"))})
    settings |= change
    options = settings["options"]._replace(checkpoint=Checkpoint(tmp_path / "state", resume=True))
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(**settings | {"options": options})


def world(seed, N=300):
    """Sentences of the senses, and pairs of sentences about one topic."""
    drawn = senses(seed, N)
    words = sorted({word for sentence in drawn.sentences for word in sentence})
    number = {word: n for n, word in enumerate(words, 2)}
    text = pack([[0, *(number[word] for word in sentence), 1] for sentence in drawn.sentences])
    topics = np.array(drawn.topics)
    order = np.argsort(topics, kind="stable")
    pairs = np.array([(a, b) for a, b in zip(order, order[1:]) if topics[a] == topics[b]])
    return text, HeldOut(take(text, pairs[:, 0]), take(text, pairs[:, 1]), 20), 2 + len(words)


@pytest.mark.parametrize("seed", range(3))
def test_training_opens_the_cone(seed):
    """Measured with three seeds: uniformity from −0.6 to −0.4 down to −3.0."""
    text, pairs, V = world(seed)
    config = Config(vocab=V, dim=32, layers=1, heads=2, ff=32, positions=11)
    start = Bert(config, init_params(tensors(config), seed))
    _, before = geometry(pairs, start, mean)
    trained = train([text], start, mean, steps=60, batch_size=32, held_out=pairs,
                    optim=Optim(3e-3, weight_decay=0.0), options=RunOptions(seed=seed))
    with one_blas_thread():                                      # as in training: the same bits
        near, after = geometry(pairs, trained.model, mean)
    assert after < before - 1 and np.mean(trained.losses[-10:]) < trained.losses[0] / 2
    assert [step for step, _, _ in trained.curve] == [20, 40, 60]
    assert trained.curve[-1][1:] == (near, after)


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("views, batch", [
    ([texts(0), texts(0, 5)], 4), ([texts(0)], 1), ([texts(0, 1)], 4), ([], 4), ([texts(0)], 0),
    ([texts(0)] * 4, 4)])
def test_views_that_do_not_pair_and_batches_without_negatives_are_refused(views, batch):
    with pytest.raises(ValueError, match="expected 1 to 3 views of equally many texts, at least 2"):
        train(views, model_of(dtype=np.float32), batch_size=batch, steps=1)


@pytest.mark.parametrize("tau", [0, -1, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(tau):
    with pytest.raises(ValueError, match="tau: expected a positive number"):
        train([texts(0)], model_of(dtype=np.float32), tau=tau, steps=1)
