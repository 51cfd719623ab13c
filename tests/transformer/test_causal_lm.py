"""Causal models: no vector depends on later tokens, and the loss predicts each next token.

These tests run for all causal families; test_gpt2.py and test_mistral.py test what differs.
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
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.mistral import Mistral
from scratch_embed.transformer.model import Transformer
from tests.rounding import dtypes, seeds
from tests.transformer.causal_parity import assert_same, random_params

GPT2 = gpt2.Config(vocab=13, dim=12, layers=2, heads=3, ff=20, positions=9)
WINDOW = mistral.Config(vocab=13, dim=12, layers=2, heads=6, kv_heads=2, head_dim=4, ff=10,
                        positions=9, sliding_window=3, theta=100.0)
TIED = WINDOW._replace(heads=2, head_dim=10, sliding_window=None, tied=True)
BATCH = pack([[3, 1, 4], [1, 5, 9], [2, 6, 5, 3, 5, 8, 9, 7, 9], [3]])
# Rounding errors of two layers with activations of order 1, as in test_bert.py.
ATOL = {np.float64: 5e-14, np.float32: 1e-5}


def random_gpt2(seed=0, dtype=np.float64):
    return Gpt2(GPT2, random_params(gpt2.tensors(GPT2), seed, dtype))


def random_mistral(seed=0, dtype=np.float64, config=WINDOW):
    tensors = mistral.tensors(config) | mistral.head_tensors(config)
    return Mistral(config, random_params(tensors, seed, dtype))


def random_tied(seed=0, dtype=np.float64):
    return random_mistral(seed, dtype, TIED)


all_models = pytest.mark.parametrize("make_model", [random_gpt2, random_mistral, random_tied])


def random_batch(seed, max_length=9, V=13):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, max_length + 1, rng.integers(2, 7))
    return pack([rng.integers(0, V, t) for t in lengths])


# ---- the loss, worked by hand --------------------------------------------------------------------

class Fixed:
    """A model whose token vectors and logits are x; encode's backward keeps dx."""

    def __init__(self, x):
        self.x, self.dx = np.array(x), None

    def encode(self, batch, dropout=NO_DROPOUT):
        return self.x, lambda dx, g: setattr(self, "dx", dx)

    def lm_head(self, x):
        return x, lambda dlogits, g: dlogits


def test_two_next_tokens_worked_by_hand():
    """Sequences [2, 0] and [1, 1], V = 3.

    Row 0 gives tokens 0, 1, 2 the odds 1 : 1 : 2; token 0 follows, so its loss is −log ¼.  Row 2
    gives the odds 3 : 5 : 2; token 1 follows: −log ½.  Rows 1 and 3 end their sequences: no loss.
    """
    model = Fixed(np.log([[1.0, 1, 2], [9, 1, 1], [3, 5, 2], [1, 1, 9]]))
    loss, backward = causal_lm(pack([[2, 0], [1, 1]]), model)
    assert loss == pytest.approx((np.log(4) + np.log(2)) / 2, rel=1e-15)
    backward(None)
    np.testing.assert_allclose(model.dx, [[-0.375, 0.125, 0.25], [0, 0, 0],
                                            [0.15, -0.25, 0.1], [0, 0, 0]], atol=1e-16)


@given(seeds)
def test_every_token_except_the_first_of_a_sequence_is_a_target_once(seed):
    batch = random_batch(seed)
    rows, targets = next_tokens(batch)
    first = np.isin(np.arange(len(batch.ids)), batch.offsets[:-1])
    np.testing.assert_array_equal(targets, batch.ids[~first])
    np.testing.assert_array_equal(rows + 1, np.flatnonzero(~first))


def test_sequences_of_one_token_have_no_target():
    with pytest.raises(ValueError, match="at least 1 row to take the mean over, got 0"):
        causal_lm(pack([[1], [2]]), random_gpt2())


@all_models
def test_a_head_of_zeros_has_the_loss_log_v(make_model):
    model = make_model()
    name = "lm_head.weight" if "lm_head.weight" in model.p else "embed.tokens.weight"
    model.p[name][...] = 0
    assert causal_lm(BATCH, model)[0] == pytest.approx(np.log(13), rel=1e-15)


@all_models
@given(seed=seeds)
def test_the_losses_and_gradients_of_shares_sum_to_those_of_the_batch(make_model, seed):
    batch, model = random_batch(seed), make_model()
    M = len(next_tokens(batch)[0])
    if not M:
        return
    whole, parts, total = model.p.like(), model.p.like(), 0.0
    loss, backward = causal_lm(batch, model)
    backward(whole)
    for rows in split_by_tokens(batch.offsets, 3):
        share_loss, backward = causal_lm(take(batch, rows), model, total=M)
        backward(parts)
        total += share_loss
    assert total == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-13 * abs(whole.flat).max())


# ---- gradients -----------------------------------------------------------------------------------

@all_models
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.2, 7)])
def test_the_gradient_is_the_derivative_along_a_random_direction(make_model, dropout):
    model = make_model(2)
    check_loss(lambda p: causal_lm(BATCH, model.with_params(p), dropout), model.p)


@all_models
def test_float32_gradients_are_the_float64_gradients_up_to_rounding(make_model):
    """With dropout.  Tolerance: 1e-5 of the largest entry of all."""
    model, grads = make_model(4, np.float32), []
    for dtype in (np.float32, np.float64):
        q = model.p.copy(dtype)
        grads.append(q.like())
        causal_lm(BATCH, model.with_params(q), Dropout(0.1, 5))[1](grads[-1])
    np.testing.assert_allclose(grads[0].flat, grads[1].flat, rtol=0,
                               atol=1e-5 * abs(grads[1].flat).max())


@dtypes
@all_models
def test_inputs_are_unchanged_and_backward_can_be_called_twice(make_model, dtype):
    model, dx = make_model(0, dtype), np.ones((len(BATCH.ids), 12), dtype)
    before = model.p.flat.copy()
    x, backward = model.encode(BATCH, Dropout(0.1, 3))
    kept, once, again = x.copy(), model.p.like(), model.p.like()
    backward(dx, once)
    backward(dx, again)
    np.testing.assert_array_equal(once.flat, again.flat)
    for now, then in ((model.p.flat, before), (x, kept), (dx, np.ones_like(dx))):
        np.testing.assert_array_equal(now, then)


@dtypes
@all_models
def test_freezing_parameters_leaves_the_other_gradients_unchanged(make_model, dtype):
    model = make_model(1, dtype)
    whole = model.p.like()
    causal_lm(BATCH, model)[1](whole)
    for prefix in ("layers.1.", "layers.0.attn.q", "embed.", "norm"):
        p = model.p.trainable(name for name in model.p if name.startswith(prefix))
        part = p.like()
        causal_lm(BATCH, model.with_params(p))[1](part)
        assert part and all(name.startswith(prefix) for name in part)
        for name in part:
            np.testing.assert_array_equal(part[name], whole[name])


# ---- later tokens, see also test_invariances.py --------------------------------------------------

@dtypes
@all_models
def test_the_gradient_of_a_vector_with_respect_to_later_tokens_is_zero(make_model, dtype):
    """Exactly zero, not only small."""
    model, ids = make_model(3, dtype), np.arange(8)
    for position in range(8):
        x, backward = model.encode(pack([ids]), Dropout(0.1, 1))
        dx = np.zeros_like(x)
        dx[position] = 1 + np.arange(12)
        g = model.p.like()
        backward(dx, g)
        table = g["embed.tokens.weight"]
        assert not table[position + 1:].any() and table[position].any()


@dtypes
@all_models
def test_cutting_off_the_end_of_a_text_keeps_the_other_vectors(make_model, dtype):
    model, ids = make_model(0, dtype), BATCH.ids[6:15]
    whole = model.infer(pack([ids]))
    for t in range(1, 9):
        np.testing.assert_allclose(model.infer(pack([ids[:t]])), whole[:t], rtol=0,
                                   atol=ATOL[dtype])


# ---- infer, the interface of a model, initial weights --------------------------------------------

@dtypes
@all_models
def test_infer_equals_encode_without_dropout_bit_for_bit(make_model, dtype):
    model = make_model(0, dtype)
    np.testing.assert_array_equal(model.infer(BATCH), model.encode(BATCH)[0])
    dropped, _ = model.encode(BATCH, Dropout(0.3, 1))
    assert abs(dropped - model.infer(BATCH)).max() > 0.1
    assert abs(dropped - model.encode(BATCH, Dropout(0.3, 2))[0]).max() > 0.1


@dtypes
@all_models
def test_an_empty_batch_has_no_vectors_and_a_zero_gradient(make_model, dtype):
    model = make_model(0, dtype)
    x, backward = model.encode(pack([]), Dropout(0.1, 1))
    g = model.p.like()
    backward(x, g)
    assert x.shape == (0, 12) and x.dtype == dtype and not g.flat.any()


@all_models
def test_the_model_has_all_methods_of_a_transformer(make_model):
    model = make_model()
    required = {name for name in {**Transformer.__annotations__, **vars(Transformer)}
                if not name.startswith("_")}
    assert required <= set(dir(model)) and {"encode", "p", "save"} < required
    assert (model.dim, model.max_length) == (model.config.dim, model.config.max_length) == (12, 9)
    assert model.config.vocab == 13
    assert repr(model) == f"{type(model).__name__}(2 layers x 12, 13 tokens)"
    bare = model.without_heads()
    assert set(model.p) - set(bare.p) == {name for name in model.p if name.startswith("lm_head.")}
    np.testing.assert_array_equal(bare.infer(BATCH), model.infer(BATCH))
    assert bare.encoder_tensors() == list(bare.p)


@pytest.mark.parametrize("family, config", [(gpt2, GPT2), (mistral, WINDOW)])
def test_every_tensor_has_its_own_random_stream_and_only_matrices_decay(family, config):
    """So the parts of one original tensor (q, k and v of c_attn) get different initial values."""
    declared = family.tensors(config)
    assert len({tensor.stream for tensor in declared.values()}) == len(declared)
    for tensor in declared.values():
        assert tensor.decay == (len(tensor.shape) == 2)
    p = init_params(declared, 3)
    assert_same(p, init_params(declared, 3))
    assert (p["layers.0.attn.k.weight"] != p["layers.0.attn.v.weight"]).all()
