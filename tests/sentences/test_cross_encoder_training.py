"""Training of cross-encoders: gradients, parity with sentence-transformers, resuming, learning."""
import json
import runpy
import signal
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.losses.distillation import distillation
from scratch_embed.losses.margin_mse import margin_mse
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.numerics.settings import saved_as
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_training import (
    CLASSES,
    LABELS,
    SCORES,
    batch_loss,
    pair_loss,
    random_negatives,
    train,
)
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.checkpoint import groups
from scratch_embed.transformer.classification import BERT, head_tensors, names_of, scores

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = "abcdefgh"
TOKENIZER = WordPiece([*SPECIAL, *WORDS])
CONFIG = Config(len(TOKENIZER), dim=8, layers=2, heads=2, ff=12, positions=16)
WEIGHTED = pair_loss(binary_cross_entropy, pos_weight=3.0)
LISTS = pair_loss(margin_mse)                  # of a query's candidates, against a teacher's scores


def encoder_of(seed=0, dtype=np.float64, labels=1):
    """A cross-encoder with weights of order 1."""
    p = init_params(tensors(CONFIG, 0.4) | head_tensors(8, labels, 0.4), seed, dtype)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return CrossEncoder(TOKENIZER, Bert(CONFIG, p))


def pairs_of(encoder, n, seed=0):
    """n packed pairs of 1 to 5 words."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice([*WORDS], k)) for k in rng.integers(1, 6, 2 * n)]
    return encoder.tokenize([*zip(texts[::2], texts[1::2])])


# ---- the gradient of a batch --------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("loss, labels, C, targets", [
    (LABELS, 1, 1, np.array([0, 1, 0.5, 1])), (SCORES, 1, 1, np.array([3.0, -1, 0.5, 1])),
    (CLASSES, 3, 1, np.array([2, 0, 1, 0])), (CLASSES, 1, 3, np.array([0, 0, 2, 0])),
    (LABELS, 1, 2, np.tile([1.0, 0], (4, 1))), (LISTS, 1, 2, np.eye(4, 2)),
    (pair_loss(distillation, temperature=2.0), 1, 3, np.eye(4, 3))])
def test_the_backward_of_a_batch_is_the_derivative_of_its_loss(loss, labels, C, targets, workers):
    """Of 4 examples with C candidates each, with dropout."""
    encoder = encoder_of(1, labels=labels)
    pairs = pairs_of(encoder, 4 * C)

    def of_params(p):
        value, backward = batch_loss(pairs, targets, encoder.model.with_params(p), loss,
                                     Dropout(0.2, 5), workers)

        def add_gradients(g):
            shares = [p.like() for _ in range(workers)]
            backward(shares)
            for share in shares:
                assert share.flat.any()
                g.flat += share.flat
        return value, add_gradients
    check_loss(of_params, encoder.model.p)


def test_the_loss_of_candidates_does_not_see_a_number_added_to_all_scores():
    encoder = encoder_of()
    pairs, first = pairs_of(encoder, 6), np.zeros(2, int)
    s, _ = scores(pairs, encoder.model)
    losses = [np.log(np.exp(row - row[0]).sum()) for row in s.reshape(2, 3)]
    loss, labels = (batch_loss(pairs, *way)[0] for way in (
        (first, encoder.model, CLASSES), (np.ones(6), encoder.model, LABELS)))
    assert loss == pytest.approx(np.mean(losses))              # −log softmax(s)[0]
    encoder.model.p["classifier.bias"] += 3
    assert batch_loss(pairs, first, encoder.model, CLASSES)[0] == pytest.approx(loss)
    assert abs(batch_loss(pairs, np.ones(6), encoder.model, LABELS)[0] - labels) > 0.1


# ---- parity with sentence-transformers ----------------------------------------------------------

def frozen():
    return read_safetensors(GOLDEN / "cross_encoder.safetensors")[0]


@cache
def installed():
    pytest.importorskip("sentence_transformers")
    return runpy.run_path(str(GOLDEN / "make_cross_encoder.py"))["gradients"]()


PAIRS = json.loads((GOLDEN / "cross_encoder_new.json").read_text())["pairs"]
LABEL = np.arange(len(PAIRS)) % 5 / 4
TRIPLES = [pair for (a, b), (_, c) in zip(PAIRS, [*PAIRS[1:], PAIRS[0]])
           for pair in ((a, b), (a, c))]


@pytest.mark.parametrize("source", [frozen, installed])
@pytest.mark.parametrize("name, layout, loss, pairs, targets", [
    ("binary_cross_entropy", "new", WEIGHTED, PAIRS, LABEL),
    ("mse", "new", SCORES, PAIRS, LABEL),
    ("margin_mse", "new", LISTS, TRIPLES, np.stack([LABEL, 0 * LABEL], axis=1)),
    ("cross_entropy", "old", CLASSES, PAIRS, (4 * LABEL).astype(int) % 3)])
def test_losses_and_gradients_equal_those_of_sentence_transformers(source, name, layout, loss,
                                                                   pairs, targets):
    """In all weights, in float64, to 1e-9; atol is for the keys' bias, whose gradient is 0."""
    theirs = source()
    encoder = CrossEncoder.load(GOLDEN / f"cross_encoder_{layout}", np.float64)
    g = encoder.model.p.like()
    value, backward = batch_loss(encoder.tokenize(pairs), targets, encoder.model, loss)
    backward([g])
    assert value == pytest.approx(float(theirs[f"{name}/loss"]), rel=1e-9)
    for tensor, (ours, _) in groups(encoder.model.p.tensors, names_of(Bert, BERT)).items():
        prefix = "" if tensor.startswith("classifier.") else "bert."
        np.testing.assert_allclose(g[ours[0]], theirs[f"{name}/{prefix}{tensor}"], rtol=1e-9,
                                   atol=1e-11, err_msg=tensor)


# ---- training -----------------------------------------------------------------------------------

def same_letter(n, seed):
    """n pairs of texts of three letters, and whether the first letters are the same: half are."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 8, (2, n, 3))
    b[::2, 0] = a[::2, 0]
    texts = [[" ".join(WORDS[k] for k in row) for row in side] for side in (a, b)]
    return [*zip(*texts)], (a[:, 0] == b[:, 0]).astype(float)


def small_bert(seed=1):
    p = init_params(tensors(CONFIG, 0.2) | head_tensors(8, 1, 0.2), seed)
    return CrossEncoder(TOKENIZER, Bert(CONFIG, p))


@pytest.mark.campaign
@pytest.mark.parametrize("loss", [LABELS, SCORES])
def test_it_learns_whether_two_texts_begin_alike(loss):
    """Bags of words cannot tell: the letter may stand anywhere in a text.  Chance: 0.5."""
    config = CONFIG._replace(dim=32, ff=64)
    start = CrossEncoder(TOKENIZER, Bert(config, init_params(
        tensors(config, 0.1) | head_tensors(32, 1, 0.1), 1)))
    pairs, labels = same_letter(4000, 1)
    trained = train(start.tokenize(pairs), labels, start, loss, steps=600, batch_size=64,
                    optim=Optim(3e-3, weight_decay=0.0), dropout=0.0)
    unseen, truth = same_letter(400, 2)
    scores = trained.encoder.predict(unseen, activation_fn=lambda s: s)
    cut = 0 if loss is LABELS else 0.5
    assert ((scores > cut) == truth).mean() > 0.95


def test_a_few_steps_fit_a_few_pairs_and_the_start_is_not_changed():
    start = small_bert()
    pairs, labels = same_letter(8, 3)
    before = start.model.p.flat.copy()
    trained = train(start.tokenize(pairs), labels, start, steps=60, batch_size=8,
                    optim=Optim(1e-2, weight_decay=0.0), dropout=0.0)
    assert trained.losses[0] > 0.5 > 5 * trained.losses[-1]
    assert ((trained.encoder.predict(pairs) > 0.5) == labels).all()
    assert (start.model.p.flat == before).all()
    assert trained.encoder.settings == start.settings


def test_candidates_stay_together_in_every_batch():
    """A loss that sees scores of 2 candidates; each query's pair has the same first text."""
    start, seen = small_bert(), []
    rows = [(a, b) for a in WORDS for b in ("a", "b")]
    own = start.predict(rows, activation_fn=lambda s: s).reshape(-1, 2)

    @saved_as("watched")
    def watched(s, targets):
        seen.append((s.copy(), targets.copy()))
        return 0.0, lambda: np.zeros_like(s)
    train(start.tokenize(rows), np.arange(8), start, watched, steps=4, batch_size=3, dropout=0.0)
    for s, targets in seen:
        assert s.shape == (3, 2)
        np.testing.assert_allclose(s, own[targets], atol=1e-6)


def test_every_step_and_worker_has_its_own_masks():
    start = small_bert()
    pairs, labels = same_letter(6, 3)
    for probability, differ in ((0.0, False), (0.2, True)):
        losses = train(start.tokenize(pairs), labels, start, steps=3, batch_size=6,
                       optim=Optim(0), dropout=probability).losses
        assert (np.ptp(losses) > 1e-4) == differ
    one, two = (train(start.tokenize(pairs), labels, start, steps=2, batch_size=6, dropout=0.0,
                      options=RunOptions(workers)).losses for workers in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5)


# ---- checkpoints --------------------------------------------------------------------------------

def stopping(after):
    """LABELS, which sends SIGINT (Ctrl-C) in step number `after`."""
    calls = []

    @saved_as("stopping")
    def loss(s, targets):
        calls.append(1)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)
        return LABELS(s, targets)
    return loss


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_resumes_to_the_same_bits(workers, tmp_path):
    start, (texts, labels) = small_bert(), same_letter(9, 4)

    def run(after, checkpoint=None):
        return train(start.tokenize(texts), labels, start, stopping(after), steps=7, batch_size=4,
                     options=RunOptions(workers, 3, checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(4, Checkpoint(path))
    assert 0 < len(read_safetensors(path)[0]["session/losses"]) < 7
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses
    assert resumed.encoder.model.p.flat.tobytes() == whole.encoder.model.p.flat.tobytes()


START = small_bert()
BATCH = pairs_of(START, 6)


@pytest.mark.parametrize("name, change", [
    ("loss", dict(loss=SCORES)), ("loss", dict(loss=WEIGHTED)),
    ("steps", dict(steps=1)), ("batch_size", dict(batch_size=3)), ("lr", dict(optim=Optim(1e-2))),
    ("dropout", dict(dropout=0.2)), ("workers", dict(options=RunOptions(2))),
    ("seed", dict(options=RunOptions(seed=2))), ("data", dict(pairs=pairs_of(START, 6, 1))),
    ("data", dict(targets=np.ones(6))), ("start", dict(encoder=small_bert(2)))])
def test_resuming_with_another_setting_is_an_error_that_names_it(name, change, tmp_path):
    settings = dict(pairs=BATCH, targets=np.zeros(6), encoder=START, loss=LABELS, steps=2,
                    batch_size=4, options=RunOptions())
    train(**settings | {"options": RunOptions(checkpoint=Checkpoint(tmp_path / "state"))})
    settings |= change
    options = settings["options"]._replace(checkpoint=Checkpoint(tmp_path / "state", resume=True))
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(**settings | {"options": options})


# ---- random negatives ---------------------------------------------------------------------------

@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz")), min_size=1),
       st.integers(0, 6), st.integers(0, 9))
def test_random_negatives_are_different_positives_of_other_queries(pairs, count, seed):
    queries, positives = map(list, zip(*pairs))
    own = {query: {b for a, b in pairs if a == query} for query in queries}
    left = len(set(positives)) - max(map(len, own.values()))
    if count > left:
        with pytest.raises(ValueError, match=f"expected at most {left}, .*got {count}"):
            random_negatives(queries, positives, count, seed)
        return
    columns = random_negatives(queries, positives, count, seed)
    assert len(columns) == count and columns == random_negatives(queries, positives, count, seed)
    for query, *drawn in zip(queries, *columns):
        assert len({*drawn}) == count and not own[query] & {*drawn}


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("pairs, targets", [(6, 4), (6, 0), (3, 6), (0, 0)])
def test_a_number_of_pairs_that_is_not_a_multiple_of_the_targets_is_rejected(pairs, targets):
    with pytest.raises(ValueError, match=f"got {pairs} pairs and {targets} targets"):
        train(pairs_of(START, pairs) if pairs else START.tokenize([]), np.zeros(targets), START)


@pytest.mark.parametrize("changes, message", [
    ({"pairs": [("a", "b")]}, r"pairs: expected a Packed, got a list; use encoder.tokenize"),
    ({"encoder": "folder"}, "encoder: expected a CrossEncoder, got a str; use .*warm_start"),
    ({"optim": 1e-3}, "optim: expected an Optim, got a float")])
def test_arguments_of_another_kind_are_an_error_that_says_what_to_use(changes, message):
    arguments = dict(pairs=pairs_of(START, 1), targets=np.zeros(1), encoder=START) | changes
    with pytest.raises(TypeError, match=message):
        train(**arguments)


def test_a_class_beyond_the_labels_is_rejected():
    with pytest.raises(ValueError, match=r"targets: expected 6 in 0\.\.1, got 6 in 0\.\.5"):
        train(pairs_of(START, 12), np.arange(6), START, CLASSES, dropout=0.0)


def test_no_dropout_is_the_default_of_a_batch():
    loss = batch_loss(BATCH, np.zeros(6), START.model, LABELS)[0]
    assert loss == batch_loss(BATCH, np.zeros(6), START.model, LABELS, NO_DROPOUT)[0]
