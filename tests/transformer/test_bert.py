"""BERT's encoder: gradients, positions and segments, dropout, and errors."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.text.packed import pack
from scratch_embed.transformer import bert
from scratch_embed.transformer.bert import (
    NAMES,
    Bert,
    Config,
    encode,
    encoder_layer,
    head_tensors,
    infer,
    tensors,
)
from tests.rounding import dtypes, seeds

GOLDEN = Path(__file__).parents[1] / "golden"
CONFIG = Config(vocab=13, dim=12, layers=2, heads=3, ff=20, positions=9)
BATCH = pack([[3, 1, 4], [1, 5, 9], [2, 6, 5, 3, 5, 8, 9, 7, 9], [3]],
             [[0, 0, 1], [0, 0, 0], [0] * 5 + [1] * 4, [1]])
# Activations are of order 1.  The worst case of two float32 layers with sums of F = 20 terms is
# about 2⁻²⁴ · 64 · 20 = 8e-5; the errors found are far smaller, so the tests require 1e-5.
ATOL = {np.float64: 5e-14, np.float32: 1e-5}


def params(seed=0, config=CONFIG, dtype=np.float64):
    """Weights (out, in) of order 1/√in, so that activations are of order 1."""
    p = init_params(tensors(config, std=1.0), seed, dtype)
    rng = np.random.default_rng(seed)
    for name, view in p.items():
        if view.ndim == 1:
            view += 0.3 * rng.standard_normal(view.shape)
        elif not name.startswith("embed."):
            view /= view.shape[1] ** 0.5
    return p


def random_batch(seed, max_length=9, V=13):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, max_length + 1, rng.integers(2, 7))
    return pack([rng.integers(0, V, t) for t in lengths],
                [np.sort(rng.integers(0, 2, t)) for t in lengths])


# ---- the gradient -------------------------------------------------------------------------------

@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.2, 7)])
@pytest.mark.parametrize("activation", [gelu, gelu_tanh])
def test_the_gradient_is_the_derivative_along_a_random_direction(dropout, activation):
    config = CONFIG._replace(activation=activation)
    dx = np.random.default_rng(1).standard_normal((len(BATCH.ids), 12))

    def loss(p):
        x, backward = encode(BATCH, p, config, dropout)
        return (dx * x).sum(), lambda g: backward(dx, g)
    check_loss(loss, params(2))


@dtypes
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.2, 7)])
def test_the_gradients_of_two_batches_add_up_in_any_order(dtype, dropout):
    """Tolerance: 64 ε of the largest entry, because the order of the sums differs."""
    p, other = params(1, dtype=dtype), random_batch(5)
    separate, together = [], p.like()
    dxs = [np.random.default_rng(i).standard_normal((len(b.ids), 12)).astype(dtype)
           for i, b in enumerate((BATCH, other))]
    backs = [encode(b, p, CONFIG, dropout)[1] for b in (BATCH, other)]
    for back, dx in zip(backs, dxs):
        g = p.like()
        back(dx, g)
        separate.append(g.flat)
    for back, dx in reversed(list(zip(backs, dxs))):
        back(dx, together)
    largest = abs(np.array(separate)).max()
    np.testing.assert_allclose(together.flat, sum(separate), rtol=0,
                               atol=64 * np.finfo(dtype).eps * largest)
    assert (separate[0] != 0).mean() > 0.9


@dtypes
def test_inputs_are_unchanged_and_backward_can_be_called_twice(dtype):
    p, dx = params(0, dtype=dtype), np.ones((len(BATCH.ids), 12), dtype)
    before, ids = p.flat.copy(), BATCH.ids.copy()
    x, backward = encode(BATCH, p, CONFIG, Dropout(0.1, 3))
    kept, once, again = x.copy(), p.like(), p.like()
    backward(dx, once)
    backward(dx, again)
    np.testing.assert_array_equal(once.flat, again.flat)
    for now, then in ((p.flat, before), (BATCH.ids, ids), (x, kept), (dx, np.ones_like(dx))):
        np.testing.assert_array_equal(now, then)


def test_float32_gradients_are_the_float64_gradients_up_to_rounding():
    """Tolerance: 1e-5 of the largest entry of all, as in test_bert_parity.py."""
    batch, dropout = random_batch(3), Dropout(0.1, 5)
    dx = np.random.default_rng(0).standard_normal((len(batch.ids), 12))
    p, grads = params(4), []
    for dtype in (np.float32, np.float64):
        q = p.copy(np.float32).copy(dtype)
        g = q.like()
        encode(batch, q, CONFIG, dropout)[1](dx.astype(np.float32).astype(dtype), g)
        grads.append(g)
    largest = abs(grads[1].flat).max()
    for name in p:
        np.testing.assert_allclose(grads[0][name], grads[1][name], rtol=0, atol=1e-5 * largest)


# ---- positions and segments, see also test_invariances.py ---------------------------------------

@dtypes
@given(seed=seeds)
def test_without_position_embeddings_permuting_the_tokens_permutes_their_vectors(dtype, seed):
    p, rng = params(seed % 5, dtype=dtype), np.random.default_rng(seed)
    p["embed.positions.weight"][...] = 0
    ids = rng.integers(0, 13, rng.integers(2, 10))
    order = rng.permutation(len(ids))
    x, y = (infer(pack([sequence]), p, CONFIG) for sequence in (ids, ids[order]))
    np.testing.assert_allclose(y, x[order], rtol=0, atol=ATOL[dtype])


def test_with_position_and_segment_embeddings_order_and_segments_change_the_vectors():
    p = params()
    x = infer(pack([[3, 1, 4]]), p, CONFIG)
    assert abs(infer(pack([[4, 1, 3]]), p, CONFIG)[::-1] - x).max() > 0.1
    assert abs(infer(pack([[3, 1, 4]], [[0, 1, 1]]), p, CONFIG) - x).max() > 0.1


# ---- infer, dropout, names and errors -----------------------------------------------------------

@dtypes
def test_infer_equals_encode_without_dropout_bit_for_bit(dtype):
    p = params(dtype=dtype)
    np.testing.assert_array_equal(infer(BATCH, p, CONFIG), encode(BATCH, p, CONFIG)[0])
    dropped, _ = encode(BATCH, p, CONFIG, Dropout(0.2, 1))
    assert (abs(dropped - infer(BATCH, p, CONFIG)).max(1) > 1e-3).all()
    assert abs(dropped - encode(BATCH, p, CONFIG, Dropout(0.2, 2))[0]).max() > 0.1


def test_layers_with_equal_weights_have_different_dropout_masks():
    p, x = params(), np.random.default_rng(0).standard_normal((4, 12))
    offsets, dropout = np.array([0, 4]), Dropout(0.5, 3)
    one, other = (encoder_layer(x, p, "layers.0.", offsets, CONFIG, dropout.at(layer))[0]
                  for layer in (0, 1))
    assert abs(one - other).max() > 0.1


def test_the_embeddings_and_every_layer_have_different_dropout_masks(monkeypatch):
    seen, x = [], np.zeros((len(BATCH.ids), 12))
    # the last argument of embed and of encoder_layer is the dropout
    for name in ("embed", "encoder_layer"):
        monkeypatch.setattr(bert, name, lambda *arguments: seen.append(arguments[-1]) or (x, None))
    encode(BATCH, params(), CONFIG._replace(layers=5), Dropout(0.2, 3))
    assert len(set(seen)) == len(seen) == 6 and {dropout.probability for dropout in seen} == {0.2}


@pytest.mark.parametrize("case", ["model", "masked", "pretraining", "tanh"])
def test_the_encoders_names_and_shapes_are_those_of_transformers_checkpoints(case):
    found, metadata = read_safetensors(GOLDEN / f"bert_{case}.safetensors")
    config = json.loads(metadata["config"])
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
             "intermediate_size", "max_position_embeddings", "type_vocab_size")
    expected = Config(*(config[size] for size in sizes))
    weights = {name.removeprefix("weight."): x for name, x in found.items()
               if name.startswith("weight.")}
    theirs = {name: x.shape for name, x in weights.items()
              if not name.startswith(("cls.", "pooler."))}
    assert theirs == {NAMES.original(name): tensor.shape
                      for name, tensor in tensors(expected).items()}


def test_a_number_of_heads_that_does_not_divide_dim_is_refused():
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=12, got 5"):
        tensors(CONFIG._replace(heads=5))


@dtypes
@pytest.mark.parametrize("ids, types, message", [
    ([1] * 10, None, "embed.positions: ids must be in 0..8, got 0..9"),
    ([1, -1], None, "embed.tokens: ids must be in 0..12, got -1..1"),
    ([13, 2], None, "embed.tokens: ids must be in 0..12, got 2..13"),
    ([1, 2], [0, 2], "embed.types: ids must be in 0..1, got 0..2")])
def test_ids_positions_and_types_without_an_embedding_are_refused(dtype, ids, types, message):
    batch, p = pack([ids], types and [types]), params(dtype=dtype)
    for function in (infer, encode):
        with pytest.raises(ValueError, match=message):
            function(batch, p, CONFIG)


@dtypes
def test_an_empty_batch_has_no_vectors_and_a_zero_gradient(dtype):
    p = params(dtype=dtype)
    x, backward = encode(pack([]), p, CONFIG, Dropout(0.1, 1))
    g = p.like()
    backward(x, g)
    assert x.shape == (0, 12) and x.dtype == dtype and not g.flat.any()


@dtypes
def test_offsets_that_do_not_match_the_tokens_are_refused(dtype):
    p = params(dtype=dtype)
    for offsets in ([0, 3], [0, 30], [0, 4, 4, len(BATCH.ids)], [1, len(BATCH.ids)]):
        with pytest.raises(ValueError):
            infer(BATCH._replace(offsets=np.array(offsets)), p, CONFIG)


# ---- declarations of tensors --------------------------------------------------------------------

def test_initial_weights_are_drawn_from_streams_with_the_original_names():
    """So renaming a tensor in our code does not change its initial values."""
    for name, tensor in (tensors(CONFIG) | head_tensors(CONFIG)).items():
        assert tensor.stream == NAMES.original(name)
    p = init_params(tensors(CONFIG), 3, np.float64)
    rng = np.random.default_rng([3, *b"encoder.layer.1.attention.self.value.weight"])
    np.testing.assert_array_equal(p["layers.1.attn.v.weight"],
                                  0.02 * rng.standard_normal((12, 12)))


def test_weight_decay_applies_to_matrices_only():
    for name, tensor in (tensors(CONFIG) | head_tensors(CONFIG, tied=False)).items():
        assert tensor.decay == (len(tensor.shape) == 2), name


# ---- the class Bert -----------------------------------------------------------------------------

def test_the_methods_of_bert_equal_the_functions_with_its_parameters():
    model = Bert(CONFIG, params())
    np.testing.assert_array_equal(model.infer(BATCH), infer(BATCH, model.p, CONFIG))
    x, backward = model.encode(BATCH, Dropout(0.1, 3))
    y, other = encode(BATCH, model.p, CONFIG, Dropout(0.1, 3))
    g, h = model.p.like(), model.p.like()
    backward(x, g)
    other(y, h)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(g.flat, h.flat)
    assert (model.dim, model.max_length) == (12, 9)
    assert repr(model) == "Bert(2 layers x 12, 13 tokens)"


def test_without_heads_keeps_the_pooler():
    whole = Bert(CONFIG, init_params(tensors(CONFIG) | head_tensors(CONFIG), 0))
    bare = whole.without_heads()
    assert set(whole.p) - set(bare.p) == {name for name in head_tensors(CONFIG)
                                          if not name.startswith("pooler.")}
    assert set(bare.encoder_tensors()) == {name for name in bare.p if not name.startswith("pooler")}
    assert not np.shares_memory(bare.p.flat, whole.p.flat)


@dtypes
def test_freezing_parameters_leaves_the_other_gradients_unchanged(dtype):
    p = params(dtype=dtype)
    dx = np.random.default_rng(1).standard_normal((len(BATCH.ids), 12)).astype(dtype)
    whole = p.like()
    encode(BATCH, p, CONFIG)[1](dx, whole)
    frozen = p.freeze(name for name in p if not name.startswith("layers.1."))
    part = frozen.like()
    encode(BATCH, frozen, CONFIG)[1](dx, part)
    assert set(part) == {name for name in p if name.startswith("layers.1.")}
    for name in part:
        np.testing.assert_array_equal(part[name], whole[name])
