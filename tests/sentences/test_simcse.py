"""SimCSE: the gradient of its whole step, two views of each text, and a cone that opens."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import initial
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.sentences.simcse import (
    HEAD,
    batch_loss,
    contrast,
    embed,
    geometry,
    head_shapes,
    train,
    vectors,
)
from scratch_embed.text.packed import pack, take
from scratch_embed.transformer import bert
from scratch_embed.transformer.encoder import Config, infer, shapes
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.worlds.senses import senses
from tests.rounding import seeds

CONFIG = Config(vocab=17, dim=8, layers=2, heads=2, ff=12, positions=12)


def params(seed=0, dtype=np.float64, head=True):
    """Weights of order 1, so that every part of the model has a say."""
    p = initial(shapes(CONFIG) | (head_shapes(CONFIG) if head else {}), seed, dtype, std=0.4)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


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
@pytest.mark.parametrize("count, drop, head", [
    (2, Dropout(0.2, 5), True), (3, NO_DROPOUT, True), (3, Dropout(0.1, 6), False)])
def test_the_gradient_of_a_whole_step_is_its_derivative(pool, workers, count, drop, head):
    """In all parameters at once, which every view uses; the workers' shares summed."""
    views = [texts(1)] * 2 if count == 2 else [texts(seed) for seed in range(3)]

    def loss(p):
        value, backward = batch_loss(views, p, CONFIG, pool, 0.3, drop, workers)

        def into(g):
            shares = [p.like() for _ in range(workers)]
            backward(shares)
            for share in shares:
                assert share.flat.any()
                g.flat += share.flat
        return value, into
    check_loss(loss, params(2, head=head))


@given(seeds)
def test_hard_negatives_enter_and_can_only_add_to_the_loss(seed):
    views, p = [texts(seed + i) for i in range(3)], params(seed % 7)
    without, _ = batch_loss(views[:2], p, CONFIG, cls, 0.1, NO_DROPOUT)
    with_them, _ = batch_loss(views, p, CONFIG, cls, 0.1, NO_DROPOUT)
    assert with_them > without
    easier, _ = batch_loss([*views[:2], views[1]], p, CONFIG, cls, 0.1, NO_DROPOUT)
    assert with_them != easier and easier >= np.log(2)        # a false negative's floor


# ---- views --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-5), (np.float64, 5e-14)])
@given(seed=seeds)
def test_a_text_has_its_vector_wherever_it_stands_in_a_batch(dtype, atol, seed):
    """Bounds as the encoder's (test_encoder); lengths are sorted inside and put back."""
    batch, p = texts(seed), params(seed % 7, dtype)
    z, _ = embed(batch, p, CONFIG)
    for n in range(6):
        np.testing.assert_allclose(embed(take(batch, np.array([n])), p, CONFIG)[0][0], z[n], rtol=0,
                                   atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_views_are_equal_without_dropout_and_differ_with_it(dtype):
    batch, p = texts(0), params(dtype=dtype)

    def view(rate, v):
        return embed(batch, p, CONFIG, cls, Dropout(rate, 9).at(3, v))[0]
    np.testing.assert_array_equal(view(0, 0), view(0, 1))
    assert (abs(view(0.1, 0) - view(0.1, 1)).max(1) > 1e-3).all()
    np.testing.assert_array_equal(view(0.1, 1), view(0.1, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_views_and_the_workers_of_a_step_have_masks_of_their_own(workers):
    batch, p, drop = texts(0), params(), Dropout(0.2, 9)
    loss, _ = batch_loss([batch, batch], p, CONFIG, cls, 0.1, drop, workers)

    def by_hand(masks):
        halves = np.array_split(np.arange(6), workers)
        return contrast([np.concatenate([
            embed(take(batch, half), p, CONFIG, cls, drop.at(*masks(view, worker)))[0]
            for worker, half in enumerate(halves)]) for view in range(2)], 0.1)[0]
    assert loss == pytest.approx(by_hand(lambda view, worker: (view, worker)), rel=1e-14)
    assert abs(loss - by_hand(lambda view, worker: (0, worker))) > 1e-3


def test_every_step_has_masks_of_its_own():
    """All texts in every batch, and a rate of learning of 0: only masks can tell steps apart."""
    for rate, differ in ((0.2, True), (0, False)):
        losses = train([texts(0)], params(dtype=np.float32), CONFIG, steps=4, batch=6, lr=0,
                       rate=rate).losses
        assert (np.ptp(losses) > 1e-3) == differ


def test_the_head_is_a_tanh_of_what_is_pooled_and_vectors_do_without_it():
    batch, p = texts(4), params(1)
    pooled = np.stack([infer(take(batch, np.array([n])), p, CONFIG)[0] for n in range(6)])
    np.testing.assert_allclose(vectors(batch, p, CONFIG), pooled, rtol=0, atol=5e-14)
    with_it = np.tanh(pooled @ p[HEAD].T + p["mlp.dense.bias"])
    np.testing.assert_allclose(vectors(batch, p, CONFIG, keep_head=True), with_it, rtol=0,
                               atol=1e-13)
    np.testing.assert_allclose(embed(batch, p, CONFIG)[0], with_it, rtol=0, atol=1e-13)
    bare = params(1, head=False)
    np.testing.assert_array_equal(vectors(batch, bare, CONFIG), embed(batch, bare, CONFIG)[0])


@pytest.mark.parametrize("dtype, rounding", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_one_worker_and_two_agree_on_a_step_without_dropout(dtype, rounding):
    """The same numbers in sums of another order, in the loss and in every gradient's size."""
    views, p = [texts(seed) for seed in range(3)], params(3, dtype)
    found = []
    for workers in (1, 2, 5):
        shares = [p.like() for _ in range(workers)]
        with parallel_map(workers) as each:
            loss, backward = batch_loss(views, p, CONFIG, mean, 0.1, NO_DROPOUT, workers, each)
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
    views, p = [texts(0, 40), texts(1, 40)], params(0, np.float32)
    one, two = (train(views, p, CONFIG, steps=10, batch=16, lr=1e-3, rate=0, workers=workers)
                for workers in (1, 2))
    np.testing.assert_allclose(one.losses, two.losses, rtol=0, atol=1e-4)
    for name in one.p:
        if not name.endswith("key.bias"):
            np.testing.assert_allclose(one.p[name], two.p[name], rtol=0, atol=1e-4, err_msg=name)
    text = texts(2)
    np.testing.assert_allclose(*(vectors(text, t.p, CONFIG) for t in (one, two)), rtol=0, atol=1e-3)


def test_the_rate_of_learning_the_decay_and_the_clipping_are_those_asked_for():
    """As in test_bert: BERT's pooler hears nothing, and only shrinks."""
    start = initial(shapes(CONFIG) | bert.head_shapes(CONFIG), 0, np.float64)

    def moved(**settings):
        q = train([texts(0)], start, CONFIG, batch=6, lr=0.1, **settings).p
        return q, max(abs(q[name] - start[name]).max() for name in shapes(CONFIG))
    q, _ = moved(steps=4, warm_up=0.5, decay=0.3)
    shrunk = (1 - 0.05 * 0.3) * (1 - 0.1 * 0.3) * (1 - 0.05 * 0.3)
    np.testing.assert_allclose(q["pooler.dense.weight"], shrunk * start["pooler.dense.weight"],
                               rtol=1e-14)
    assert moved(steps=1, warm_up=0.0)[1] == 0
    assert moved(steps=1, warm_up=1.0)[1] == pytest.approx(0.1, rel=1e-3)
    assert moved(steps=1, warm_up=1.0, longest=1e-13)[1] < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_given_is_left_and_what_comes_out_has_its_type_and_a_head_or_none(dtype):
    start = initial(shapes(CONFIG) | bert.head_shapes(CONFIG), 0, dtype)
    before = start.flat.copy()
    trained = train([texts(0)], start, CONFIG, steps=2)
    np.testing.assert_array_equal(start.flat, before)
    assert trained.p.flat.dtype == dtype and len(trained.losses) == 2 and trained.curve == []
    assert HEAD in trained.p and not any(name.startswith("cls.") for name in trained.p)
    headless = train([texts(0)], start, CONFIG, steps=2, headless=True)
    assert HEAD not in headless.p and headless.losses != trained.losses
    again = train([texts(0)], trained.p, CONFIG, steps=2, lr=0)
    np.testing.assert_array_equal(again.p.flat, trained.p.flat)       # it goes on with its own head


def world(seed, N=300):
    """Sentences of the senses, and pairs of sentences about one topic."""
    drawn = senses(seed, N)
    words = sorted({word for sentence in drawn.sentences for word in sentence})
    number = {word: n for n, word in enumerate(words, 2)}
    text = pack([[0, *(number[word] for word in sentence), 1] for sentence in drawn.sentences])
    topics = np.array(drawn.topics)
    order = np.argsort(topics, kind="stable")
    pairs = np.array([(a, b) for a, b in zip(order, order[1:]) if topics[a] == topics[b]])
    return text, (take(text, pairs[:, 0]), take(text, pairs[:, 1])), 2 + len(words)


@pytest.mark.parametrize("seed", range(3))
def test_training_opens_the_cone(seed):
    """Measured with three seeds: uniformity from −0.6 to −0.4 down to −3.0."""
    text, pairs, V = world(seed)
    config = Config(vocab=V, dim=32, layers=1, heads=2, ff=32, positions=11)
    start = initial(shapes(config), seed)
    _, before = geometry(pairs, start, config, mean)
    trained = train([text], start, config, mean, steps=60, batch=32, lr=3e-3, seed=seed,
                    held_out=pairs, every=20)
    near, after = geometry(pairs, trained.p, config, mean)
    assert after < before - 1 and np.mean(trained.losses[-10:]) < trained.losses[0] / 2
    assert [step for step, _, _ in trained.curve] == [20, 40, 60]
    assert trained.curve[-1][1:] == (near, after)


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("views, batch", [
    ([texts(0), texts(0, 5)], 4), ([texts(0)], 1), ([texts(0, 1)], 4), ([], 4), ([texts(0)], 0),
    ([texts(0)] * 4, 4)])
def test_views_that_do_not_pair_and_batches_with_nothing_to_tell_apart_are_refused(views, batch):
    with pytest.raises(ValueError, match="expected 1 to 3 views of at least 2 texts"):
        train(views, params(dtype=np.float32), CONFIG, batch=batch, steps=1)


@pytest.mark.parametrize("tau", [0, -1, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(tau):
    with pytest.raises(ValueError, match="tau="):
        train([texts(0)], params(dtype=np.float32), CONFIG, tau=tau, steps=1)
