"""Causal models: nothing leaks from the future, and the loss asks for each next token.

What holds for every family of them; test_gpt2.py and test_mistral.py have what is their own.
"""
import numpy as np
import pytest
from hypothesis import given

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import pack, split_by_tokens, take
from scratch_embed.transformer import gpt2, mistral
from scratch_embed.transformer.causal_lm import causal_lm, next_tokens
from scratch_embed.transformer.families import Model
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.mistral import Mistral
from tests.rounding import dtypes, seeds
from tests.transformer.causal_parity import assert_same, random_params

GPT2 = gpt2.Config(vocab=13, dim=12, layers=2, heads=3, ff=20, positions=9)
WINDOW = mistral.Config(vocab=13, dim=12, layers=2, heads=6, kv_heads=2, head_dim=4, ff=10,
                        positions=9, sliding_window=3, theta=100.0)
TIED = WINDOW._replace(heads=2, head_dim=10, sliding_window=None, tied=True)
BATCH = pack([[3, 1, 4], [1, 5, 9], [2, 6, 5, 3, 5, 8, 9, 7, 9], [3]])
# As BERT's (test_bert.py): rounding of float64 and of float32 in two layers of numbers of order 1.
ATOL = {np.float64: 5e-14, np.float32: 1e-5}


def gpt2_of(seed=0, dtype=np.float64):
    return Gpt2(GPT2, random_params(gpt2.tensors(GPT2), seed, dtype))


def mistral_of(seed=0, dtype=np.float64, config=WINDOW):
    tensors = mistral.tensors(config) | mistral.head_tensors(config)
    return Mistral(config, random_params(tensors, seed, dtype))


def tied_of(seed=0, dtype=np.float64):
    return mistral_of(seed, dtype, TIED)


each = pytest.mark.parametrize("model_of", [gpt2_of, mistral_of, tied_of])


def random_batch(seed, longest=9, V=13):
    rng = np.random.default_rng(seed)
    return pack([rng.integers(0, V, t) for t in rng.integers(1, longest + 1, rng.integers(2, 7))])


# ---- the loss, worked by hand --------------------------------------------------------------------

class Fixed:
    """A model whose token vectors are these, and whose logits are its vectors."""

    def __init__(self, x):
        self.x, self.told = np.array(x), None

    def encode(self, batch, dropout=NO_DROPOUT):
        return self.x, lambda dx, g: setattr(self, "told", dx)

    def lm_head(self, x):
        return x, lambda dlogits, g: dlogits


def test_two_next_tokens_worked_by_hand():
    """[2, 0] and [1, 1], V = 3.

    Row 0 gives tokens 0, 1, 2 the odds 1 : 1 : 2, and 0 follows: −log ¼.  Row 2 gives 3 : 5 : 2,
    and 1 follows: −log ½.  Rows 1 and 3 are the last ones: nothing follows, nothing is asked.
    """
    model = Fixed(np.log([[1.0, 1, 2], [9, 1, 1], [3, 5, 2], [1, 1, 9]]))
    loss, backward = causal_lm(pack([[2, 0], [1, 1]]), model)
    assert loss == pytest.approx((np.log(4) + np.log(2)) / 2, rel=1e-15)
    backward(None)
    np.testing.assert_allclose(model.told, [[-0.375, 0.125, 0.25], [0, 0, 0],
                                            [0.15, -0.25, 0.1], [0, 0, 0]], atol=1e-16)


@given(seeds)
def test_every_token_but_a_first_one_is_asked_for_once(seed):
    batch = random_batch(seed)
    rows, targets = next_tokens(batch)
    first = np.isin(np.arange(len(batch.ids)), batch.offsets[:-1])
    np.testing.assert_array_equal(targets, batch.ids[~first])
    np.testing.assert_array_equal(rows + 1, np.flatnonzero(~first))


def test_sequences_of_one_token_ask_for_nothing():
    with pytest.raises(ValueError, match="at least 1 row to take the mean over, got 0"):
        causal_lm(pack([[1], [2]]), gpt2_of())


@each
def test_a_model_that_knows_nothing_is_wrong_by_log_v(model_of):
    model = model_of()
    name = "lm_head.weight" if "lm_head.weight" in model.p else "embed.tokens.weight"
    model.p[name][...] = 0
    assert causal_lm(BATCH, model)[0] == pytest.approx(np.log(13), rel=1e-15)


@each
@given(seed=seeds)
def test_the_losses_and_gradients_of_shares_sum_to_the_whole(model_of, seed):
    batch, model = random_batch(seed), model_of()
    M = len(next_tokens(batch)[0])
    if not M:
        return
    whole, parts, total = model.p.like(), model.p.like(), 0.0
    loss, backward = causal_lm(batch, model)
    backward(whole)
    for some in split_by_tokens(batch.offsets, 3):
        mine, backward = causal_lm(take(batch, some), model, total=M)
        backward(parts)
        total += mine
    assert total == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-13 * abs(whole.flat).max())


# ---- gradients -----------------------------------------------------------------------------------

@each
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.2, 7)])
def test_every_parameter_is_checked_along_one_direction_of_the_buffer(model_of, dropout):
    model = model_of(2)
    check_loss(lambda p: causal_lm(BATCH, model.with_params(p), dropout), model.p)


@each
def test_float32_learns_what_float64_learns(model_of):
    """With dropout, every tensor's gradient within 1e-5 of the largest."""
    model, grads = model_of(4, np.float32), []
    for dtype in (np.float32, np.float64):
        q = model.p.copy(dtype)
        grads.append(q.like())
        causal_lm(BATCH, model.with_params(q), Dropout(0.1, 5))[1](grads[-1])
    np.testing.assert_allclose(grads[0].flat, grads[1].flat, rtol=0,
                               atol=1e-5 * abs(grads[1].flat).max())


@dtypes
@each
def test_nothing_that_is_given_is_changed_and_a_backward_may_be_called_again(model_of, dtype):
    model, push = model_of(0, dtype), np.ones((len(BATCH.ids), 12), dtype)
    before = model.p.flat.copy()
    x, backward = model.encode(BATCH, Dropout(0.1, 3))
    kept, once, again = x.copy(), model.p.like(), model.p.like()
    backward(push, once)
    backward(push, again)
    np.testing.assert_array_equal(once.flat, again.flat)
    for now, then in ((model.p.flat, before), (x, kept), (push, np.ones_like(push))):
        np.testing.assert_array_equal(now, then)


@dtypes
@each
def test_a_model_of_which_a_part_is_frozen_teaches_the_rest_the_same(model_of, dtype):
    model = model_of(1, dtype)
    whole = model.p.like()
    causal_lm(BATCH, model)[1](whole)
    for kept in ("layers.1.", "layers.0.attn.q", "embed.", "norm"):
        p = model.p.trainable(name for name in model.p if name.startswith(kept))
        part = p.like()
        causal_lm(BATCH, model.with_params(p))[1](part)
        assert part and all(name.startswith(kept) for name in part)
        for name in part:
            np.testing.assert_array_equal(part[name], whole[name])


# ---- what a token must not see -------------------------------------------------------------------

@dtypes
@each
@given(seed=seeds)
def test_what_comes_later_changes_no_bit_of_what_stands_before(model_of, dtype, seed):
    model, rng = model_of(seed % 5, dtype), np.random.default_rng(seed)
    ids = rng.integers(0, 13, rng.integers(2, 10))
    now = int(rng.integers(1, len(ids)))
    other = ids.copy()
    other[now] = (ids[now] + 1) % 13
    x, y = model.infer(pack([ids])), model.infer(pack([other]))
    np.testing.assert_array_equal(x[:now], y[:now])
    assert abs(x[now] - y[now]).max() > 1e-3


@dtypes
@each
def test_what_a_token_says_teaches_no_later_token(model_of, dtype):
    """The gradient of one token's vector in those that follow is 0, not a small number."""
    model, ids = model_of(3, dtype), np.arange(8)
    for now in range(8):
        x, backward = model.encode(pack([ids]), Dropout(0.1, 1))
        push = np.zeros_like(x)
        push[now] = 1 + np.arange(12)
        g = model.p.like()
        backward(push, g)
        table = g["embed.tokens.weight"]
        assert not table[now + 1:].any() and table[now].any()


@dtypes
@each
@given(seed=seeds)
def test_a_sequence_has_the_same_vectors_alone_in_any_batch_and_in_any_order(model_of, dtype, seed):
    batch, model = random_batch(seed), model_of(seed % 5, dtype)
    x = model.infer(batch)
    order = np.random.default_rng(seed).permutation(len(batch.offsets) - 1)
    moved, y = take(batch, order), model.infer(take(batch, order))
    for to, n in enumerate(order):
        mine = x[batch.offsets[n]:batch.offsets[n + 1]]
        np.testing.assert_allclose(y[moved.offsets[to]:moved.offsets[to + 1]], mine, rtol=0,
                                   atol=ATOL[dtype])
        np.testing.assert_allclose(model.infer(take(batch, np.array([n]))), mine, rtol=0,
                                   atol=ATOL[dtype])


@dtypes
@each
def test_a_text_that_is_cut_keeps_the_vectors_of_what_is_left(model_of, dtype):
    model, ids = model_of(0, dtype), BATCH.ids[6:15]
    whole = model.infer(pack([ids]))
    for t in range(1, 9):
        np.testing.assert_allclose(model.infer(pack([ids[:t]])), whole[:t], rtol=0,
                                   atol=ATOL[dtype])


# ---- forms of the same ---------------------------------------------------------------------------

@dtypes
@each
def test_inference_is_encoding_without_dropout_to_the_last_bit(model_of, dtype):
    model = model_of(0, dtype)
    np.testing.assert_array_equal(model.infer(BATCH), model.encode(BATCH)[0])
    dropped, _ = model.encode(BATCH, Dropout(0.3, 1))
    assert abs(dropped - model.infer(BATCH)).max() > 0.1
    assert abs(dropped - model.encode(BATCH, Dropout(0.3, 2))[0]).max() > 0.1


@dtypes
@each
def test_no_sequences_have_no_vectors_and_teach_nothing(model_of, dtype):
    model = model_of(0, dtype)
    x, backward = model.encode(pack([]), Dropout(0.1, 1))
    g = model.p.like()
    backward(x, g)
    assert x.shape == (0, 12) and x.dtype == dtype and not g.flat.any()


@each
def test_it_has_what_every_model_has(model_of):
    """The methods of families.Model, so that whatever takes a model takes this one."""
    model = model_of()
    asked = {name for name in {**Model.__annotations__, **vars(Model)} if not name.startswith("_")}
    assert asked <= set(dir(model)) and {"encode", "p", "save"} < asked
    assert (model.dim, model.max_length) == (model.config.dim, model.config.max_length) == (12, 9)
    assert model.config.vocab == 13
    assert repr(model) == f"{type(model).__name__}(2 layers x 12, 13 tokens)"
    bare = model.without_heads()
    assert set(model.p) - set(bare.p) == {name for name in model.p if name.startswith("lm_head.")}
    np.testing.assert_array_equal(bare.infer(BATCH), model.infer(BATCH))


@pytest.mark.parametrize("family, config", [(gpt2, GPT2), (mistral, WINDOW)])
def test_first_weights_are_drawn_from_streams_of_their_own(family, config):
    """Matrices decay, vectors do not; the parts of one tensor of the original differ."""
    declared = family.tensors(config)
    assert len({tensor.stream for tensor in declared.values()}) == len(declared)
    for tensor in declared.values():
        assert tensor.decay == (len(tensor.shape) == 2)
    p = init_params(declared, 3)
    assert_same(p, init_params(declared, 3))
    assert (p["layers.0.attn.k.weight"] != p["layers.0.attn.v.weight"]).all()
