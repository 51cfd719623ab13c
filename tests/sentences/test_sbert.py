"""SBERT: the gradient of a batch, GradCache, prompts, Dense layers, what training keeps."""
import signal
from functools import partial

import numpy as np
import pytest

from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.triplet import triplet
from scratch_embed.nn.activations import gelu_tanh, tanh
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Constant, Normal, Tensor, init_params, linear_tensors
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.numerics.settings import saved_as
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import RANKING, Objective, objective, ranking
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.sentences.sbert import View, batch_loss, embed, tokenize, train, trainable
from scratch_embed.text.packed import pack
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.transformer import bert, gpt2, mistral
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import cls, last_token, max_, mean

WORDS = [chr(ord("a") + n) for n in range(12)]
CONFIG = Config(vocab=len(SPECIAL) + 12, dim=8, layers=2, heads=2, ff=12, positions=12)
TOKENIZER = WordPiece([*SPECIAL, *WORDS])
DROPOUT = Dropout(0.2, 9)


def dense(width, seed, activation=tanh):
    """A Dense to 6 numbers."""
    return Dense(init_params(linear_tensors("linear", 6, width, Normal(0.4)), seed, float),
                 activation)


def encoder_of(seed=0, dtype=np.float64, heads=False, **recipe):
    """An encoder with weights of order 1, so that every part of it affects the result."""
    declared = tensors(CONFIG, std=0.4) | (bert.head_tensors(CONFIG, std=0.4) if heads else {})
    p = init_params(declared, seed, dtype)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return SentenceEncoder(TOKENIZER, Bert(CONFIG, p), Recipe(max_seq_length=12, **recipe))


def lines(seed, N=6):
    """N random texts of 1 to 8 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(N)]


def views_of(encoder, count=2, N=6, prompts=("", "", "")):
    return [tokenize(encoder, lines(10 + v, N), prompts[v]) for v in range(count)]


def gradient(views, encoder, objective, dropout=NO_DROPOUT, **how):
    """The loss of one batch, and the sum of all workers' gradients."""
    model, recipe = trainable(encoder, objective, seed=1)
    loss, backward = batch_loss(views, None, model, recipe, objective, dropout, **how)
    grads = [model.p.like() for _ in range(how.get("workers", 1))]
    backward(grads)
    return loss, sum(g.flat for g in grads)


# ---- the gradient of a batch ---------------------------------------------------------------------

@pytest.mark.parametrize("cache_batch", [None, 2])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("recipe, prompts", [
    (dict(), ("", "", "")), (dict(poolings=(cls, max_), normalize=False), ("", "", "")),
    (dict(dense=(dense(8, 1), dense(6, 2, None))), ("", "", "")),
    (dict(include_prompt=False, poolings=(mean,)), ("a b ", "c ", ""))])
def test_the_backward_of_a_batch_is_the_derivative_of_its_loss(recipe, prompts, workers,
                                                               cache_batch):
    """In all parameters, Dense layers included, with dropout and with prompts not pooled."""
    encoder = encoder_of(2, **recipe)
    views = views_of(encoder, 3, prompts=prompts)
    start, objective = trainable(encoder, ranking(0.3), seed=1)[0], ranking(0.3)

    def loss(p):
        model, recipe = trainable(encoder, objective, seed=1)
        model.p.flat[:] = p.flat
        value, backward = batch_loss(views, None, model, recipe, objective, DROPOUT, cache_batch,
                                     workers)

        def add_gradients(g):
            shares = [model.p.like() for _ in range(workers)]
            backward(shares)
            for share in shares:
                assert share.flat.any()
                g.flat += share.flat
        return value, add_gradients
    check_loss(loss, start.p)


def test_the_tensors_of_an_objective_are_trained_with_the_model():
    """Here a weight for each of the E numbers, in a loss Σ w (y_1 − y_2)²."""
    @saved_as("weighted")
    def weighted(views, targets, p):
        a, b = views

        def backward(g):
            g["weight"] += ((a - b)**2).sum(0)
            return [2 * p["weight"] * (a - b), 2 * p["weight"] * (b - a)]
        return (p["weight"] * (a - b)**2).sum(), backward
    own = Objective(weighted, lambda E: {"weight": Tensor((E,), Constant(1.0))})
    encoder = encoder_of()
    trained = train(views_of(encoder), encoder, own, steps=3, batch_size=6, optim=Optim(0.01))
    assert trained.p["weight"].shape == (8,) and (trained.p["weight"] < 1).all()
    assert "weight" not in trained.encoder.model.p


# ---- GradCache -----------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2])
def test_a_cached_batch_equals_the_same_sub_batches_at_once(workers):
    """With dropout: sub-batch n of worker w has the mask at(view, w, n).  Bound: 10⁻¹²."""
    encoder = encoder_of(3)
    views = views_of(encoder, N=10)
    cached = gradient(views, encoder, RANKING, DROPOUT, cache_batch=2, workers=workers)

    model, recipe = trainable(encoder, RANKING, seed=1)
    ys, backs = [], []
    for v, view in enumerate(views):
        parts = [(w, n, rows) for w, share in enumerate(np.array_split(np.arange(10), workers))
                 for n, rows in enumerate(np.split(share, range(2, len(share), 2)))]
        found = [embed(view.take(rows), model, recipe, DROPOUT.at(v, w, n))
                 for w, n, rows in parts]
        ys.append(np.concatenate([y for y, _ in found]))
        backs.append([(rows, back) for (_, _, rows), (_, back) in zip(parts, found)])
    loss, back_loss = RANKING.loss(ys, None, model.p)
    g = model.p.like()
    for dy, view_backs in zip(back_loss(g), backs):
        for rows, back in view_backs:
            back(dy[rows], g)
    assert cached[0] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(cached[1], g.flat, rtol=0, atol=1e-12 * abs(g.flat).max())


@pytest.mark.parametrize("dtype, rounding", [(np.float32, 1e-4), (np.float64, 1e-12)])
@pytest.mark.parametrize("how", [dict(cache_batch=1), dict(cache_batch=4), dict(cache_batch=99),
                                 dict(workers=2), dict(workers=5, cache_batch=2)])
def test_sub_batches_and_workers_do_not_change_the_step_without_dropout(how, dtype, rounding):
    encoder = encoder_of(4, dtype)
    views = views_of(encoder, 3, N=9)
    loss, g = gradient(views, encoder, RANKING)
    with parallel_map(how.get("workers", 1)) as run:
        other_loss, other = gradient(views, encoder, RANKING, **how, map=run)
    assert other_loss == pytest.approx(loss, rel=rounding)
    np.testing.assert_allclose(other, g, rtol=0, atol=rounding * abs(g).max())


# ---- views ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("prompt", ["", "a b "])
def test_a_view_has_the_vectors_that_encode_returns(prompt, include_prompt):
    encoder = encoder_of(5, include_prompt=include_prompt, dense=(dense(8, 1),))
    model, recipe = trainable(encoder, RANKING, seed=1)
    y, _ = embed(tokenize(encoder, lines(0), prompt), model, recipe)
    np.testing.assert_allclose(y, encoder.encode(lines(0), prompt=prompt), atol=1e-6)


def test_views_of_the_same_texts_differ_by_their_dropout():
    encoder = encoder_of()
    view = tokenize(encoder, lines(0))
    model, recipe = trainable(encoder, RANKING, seed=1)
    seen = []

    def loss(views, targets, p):
        seen.extend(views)
        return 0.0, None
    batch_loss([view, view], None, model, recipe, Objective(loss), DROPOUT)
    assert (abs(seen[0] - seen[1]).max(1) > 1e-3).all()


# ---- training ------------------------------------------------------------------------------------

def topics(N, seed):
    """N pairs of texts that share one of 4 topics, but no word."""
    rng = np.random.default_rng(seed)
    topic = rng.permutation(np.arange(N) % 4)
    sides = [[f"{WORDS[first + t]} {WORDS[8 + rng.integers(4)]}" for t in topic]
             for first in (0, 4)]
    return sides, topic


def test_pairs_teach_that_different_words_have_the_same_meaning():
    """Queries of new pairs find a text of their topic: chance 1/4, untrained near it."""
    config = CONFIG._replace(dim=16, layers=1, ff=16)
    start = SentenceEncoder(TOKENIZER, Bert(config, init_params(tensors(config), 1)),
                            Recipe(max_seq_length=12))
    (queries, keys), _ = topics(200, 1)
    (new_queries, new_keys), topic = topics(100, 2)

    def accuracy(encoder):
        scores = encoder.encode(new_queries) @ encoder.encode(new_keys).T
        return (topic[scores.argmax(1)] == topic).mean()
    trained = train([tokenize(start, side) for side in (queries, keys)], start, steps=40,
                    batch_size=32, optim=Optim(0.01, weight_decay=0.0), dropout=0.0)
    assert trained.losses[-1] < trained.losses[0] - 1
    assert accuracy(trained.encoder) > 0.95 and accuracy(start) < 0.6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_start_is_not_changed_and_its_recipe_is_kept(dtype):
    start = encoder_of(0, dtype, heads=True, poolings=(cls, mean), dense=(dense(16, 1),),
                       normalize=False, include_prompt=False, lower_case=True,
                       prompts={"query": "a "}, default_prompt_name="query",
                       similarity_fn_name="dot")
    before = start.model.p.flat.copy(), start.recipe.dense[0].p.flat.copy()
    trained = train(views_of(start), start, steps=2, optim=Optim(0.1)).encoder
    np.testing.assert_array_equal(start.model.p.flat, before[0])
    np.testing.assert_array_equal(start.recipe.dense[0].p.flat, before[1])
    (layer,), (old,) = trained.recipe.dense, start.recipe.dense
    assert trained.recipe._replace(dense=()) == start.recipe._replace(dense=())
    assert trained.tokenizer is start.tokenizer and trained.model.p.flat.dtype == dtype
    assert layer.activation is tanh and (layer.p["linear.weight"] != old.p["linear.weight"]).any()
    assert set(trained.model.p) == set(start.model.without_heads().p)


@pytest.mark.parametrize("family, model, config", [
    (bert, Bert, CONFIG), (gpt2, gpt2.Gpt2, gpt2.Config(17, 12, layers=1, ff=24, positions=12)),
    (mistral, mistral.Mistral, mistral.Config(17, 12, layers=1, head_dim=4, ff=24, positions=12))])
def test_every_family_of_models_can_be_trained(family, model, config):
    """All tensors change, in steps of 0.1, except biases of keys: the loss does not depend on them.
    """
    p = init_params(family.tensors(config), 1, float)
    start = SentenceEncoder(TOKENIZER, model(config, p), Recipe((last_token,), max_seq_length=12))
    views = [View(pack([[3, n, 5, n, 6] for n in range(4 + v, 10 + v)])) for v in range(2)]
    trained = train(views, start, steps=3, batch_size=6, optim=Optim(0.1)).encoder.model
    assert type(trained) is model
    for name, tensor in p.items():
        changed = abs(trained.p[name] - tensor).max() > 1e-3
        assert changed != name.endswith("attn.k.bias"), name


def test_bert_s_pooler_is_kept_as_it_is_without_moments_and_without_decay(tmp_path):
    start, path = encoder_of(heads=True), tmp_path / "state"
    trained = train(views_of(start), start, steps=3, optim=Optim(0.1, weight_decay=0.3),
                    options=RunOptions(checkpoint=Checkpoint(path))).encoder
    p = trained.model.p
    for name, tensor in start.model.without_heads().p.items():
        assert (p[name] == tensor).all() == name.startswith("pooler."), name
    assert not any("pooler" in name for name in read_safetensors(path)[0])
    assert p.frozen == ()                                # it can be trained again, with its pooler


def test_tensors_that_are_frozen_at_the_start_stay_frozen():
    start = encoder_of(dense=(dense(8, 1),))
    names = [name for name in start.model.p if name.startswith("layers.1.")]
    layer = start.recipe.dense[0]
    start.model = start.model.with_params(start.model.p.trainable(names))
    start.recipe = start.recipe._replace(dense=(layer._replace(
        p=layer.p.freeze(["linear.weight"])),))
    trained = train(views_of(start), start, steps=3, optim=Optim(0.1)).encoder
    for name, tensor in start.model.p.items():
        assert (trained.model.p[name] != tensor).any() == (name in names), name
    new = trained.recipe.dense[0].p
    assert (new["linear.weight"] == layer.p["linear.weight"]).all()
    assert (new["linear.bias"] != layer.p["linear.bias"]).any()
    assert new.frozen == ("linear.weight",)


def test_every_step_has_its_own_masks():
    """All texts are in every batch and lr is 0, so the losses of steps differ only by the masks."""
    start = encoder_of()
    for probability, differ in ((0.2, True), (0, False)):
        losses = train(views_of(start), start, steps=4, batch_size=6, optim=Optim(0),
                       dropout=probability).losses
        assert (np.ptp(losses) > 1e-3) == differ


# ---- checkpoints ---------------------------------------------------------------------------------

def stopping(after):
    """RANKING, which sends SIGINT (Ctrl-C) in step number `after`."""
    calls = []

    @saved_as("stopping")
    def loss(views, targets, p):
        calls.append(1)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)
        return RANKING.loss(views, targets, p)
    return Objective(loss)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("cache_batch", [None, 1])
def test_an_interrupted_run_resumes_to_the_same_bits(workers, cache_batch, tmp_path):
    def run(after, checkpoint=None):
        start = encoder_of(dtype=np.float32, dense=(dense(8, 1),))
        return train(views_of(start), start, stopping(after), steps=7, batch_size=4,
                     cache_batch=cache_batch, options=RunOptions(workers, 3, checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(4, Checkpoint(path))
    assert 0 < len(read_safetensors(path)[0]["session/losses"]) < 7
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses
    assert resumed.p.flat.tobytes() == whole.p.flat.tobytes()


START = encoder_of(dense=(dense(8, 1),))
MARGIN = partial(objective, triplet)


@pytest.mark.parametrize("name, change", [
    ("loss", dict(objective=MARGIN(margin=2))), ("steps", dict(steps=1)),
    ("batch_size", dict(batch_size=3)), ("lr", dict(optim=Optim(1e-2, weight_decay=0.0))),
    ("weight_decay", dict(optim=Optim(3e-4))), ("dropout", dict(dropout=0.2)),
    ("cache_batch", dict(cache_batch=2)), ("workers", dict(options=RunOptions(2))),
    ("seed", dict(options=RunOptions(seed=2))), ("data", dict(views=views_of(START, 3, N=5))),
    ("data", dict(views=[View(view.texts, 1) for view in views_of(START, 3)])),
    ("targets", dict(targets=np.zeros(6))),
    ("poolings", dict(encoder=encoder_of(poolings=(cls,), dense=(dense(8, 1),)))),
    ("normalize", dict(encoder=encoder_of(normalize=False, dense=(dense(8, 1),)))),
    ("include_prompt", dict(encoder=encoder_of(include_prompt=False, dense=(dense(8, 1),)))),
    ("dense", dict(encoder=encoder_of(dense=(dense(8, 1, None),)))),
    ("start", dict(encoder=encoder_of(1, dense=(dense(8, 1),)))),
    ("start", dict(encoder=encoder_of(dense=(dense(8, 2),)))),
    ("activation", dict(encoder=SentenceEncoder(TOKENIZER, Bert(
        CONFIG._replace(activation=gelu_tanh), START.model.p), START.recipe)))])
def test_resuming_with_another_setting_is_an_error_that_names_it(name, change, tmp_path):
    settings = dict(views=views_of(START, 3), encoder=START, objective=MARGIN(margin=1), steps=2,
                    batch_size=4, options=RunOptions())
    train(**settings | {"options": RunOptions(checkpoint=Checkpoint(tmp_path / "state"))})
    settings |= change
    options = settings["options"]._replace(checkpoint=Checkpoint(tmp_path / "state", resume=True))
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(**settings | {"options": options})


# ---- errors --------------------------------------------------------------------------------------

@pytest.mark.parametrize("sizes, targets", [((3, 4), None), ((3, 3), 2), ((0, 0), None)])
def test_views_and_targets_of_different_numbers_of_texts_are_rejected(sizes, targets):
    views = [View(pack([[2, 5, 3]] * N)) for N in sizes]
    with pytest.raises(ValueError, match="expected views of equally many texts"):
        train(views, START, targets=targets and np.zeros(targets))


TWO = [View(pack([[2, 5, 3]] * 3))] * 2


@pytest.mark.parametrize("views, encoder, options, error, message", [
    ([["a", "b"]] * 2, START, {}, TypeError,
     r"views\[0\]: expected a View, got a list; use sbert.tokenize"),
    (TWO, "folder", {}, TypeError, "encoder: expected a SentenceEncoder, got a str; use .*load"),
    (TWO, START, {"objective": "infonce"}, TypeError, "an Objective, got a str; .*ranking"),
    (TWO, START, {"optim": 1e-3}, TypeError, "optim: expected an Optim, got a float; use Optim"),
    (TWO[:1], START, {}, ValueError, "views: expected at least 2, .* got 1; simcse.train"),
    (TWO, START, {"objective": objective(cosent)}, ValueError,
     r"cosent\(u, v, y\): expected 3 arrays, got 2 views and no targets"),
    (TWO, START, {"objective": objective(triplet)}, ValueError, r"triplet\(a, p, n\): expected 3")])
def test_arguments_of_another_kind_are_an_error_that_says_what_to_use(views, encoder, options,
                                                                      error, message):
    with pytest.raises(error, match=message):
        train(views, encoder, **options)
