"""The pre-norm trunk: by hand, what a token sees, gradients, initial deviations, inference."""
import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, quick_gelu
from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.params import Params, init_params
from scratch_embed.nn.pre_norm import (
    Trunk,
    infer_trunk,
    pre_norm_layer,
    run_trunk,
    trunk_tensors,
)
from tests.rounding import dtypes

OFFSETS = np.array([0, 3, 4])
TINY = Trunk(dim=6, layers=2, heads=3, ff=5)


def draw_params(trunk, dtype=np.float64):
    """Weights of order 1/√D, norms and biases moved away from 1 and 0."""
    p = init_params(trunk_tensors("t.", trunk), 1, dtype)
    p.flat += 0.3 * np.random.default_rng(2).standard_normal(p.flat.size)
    return p


def draw_tokens(trunk, dtype=np.float64, T=4):
    return np.random.default_rng(3).standard_normal((T, trunk.dim)).astype(dtype)


def one_layer(**changes):
    """A layer with D = 2 whose matrices are zero and whose norms have weight 1, bias 0, eps 0."""
    trunk = Trunk(dim=2, layers=1, heads=1, ff=1, eps=1e-30)._replace(**changes)
    p = Params(trunk_tensors("t.", trunk), np.float64)
    for norm in ("attn_norm", "mlp_norm"):
        p[f"t.layers.0.{norm}.weight"][...] = 1
    return trunk, p


X = np.array([[3.0, 1], [3, 1], [0, 4]])           # their layer norms: (1, −1), (1, −1), (−1, 1)


def test_a_layer_worked_by_hand():
    """Scores are equal, so attention is the mean of the normed inputs, (⅓, −⅓); Wₒ doubles it.

    W₁ = 0 with bias 1 and W₂ = (10, 0) add (10 · 1 · σ(1.702), 0) to every token.
    """
    trunk, p = one_layer()
    p["t.layers.0.attn.v.weight"][...] = np.eye(2)
    p["t.layers.0.attn.o.weight"][...] = 2 * np.eye(2)
    p["t.layers.0.mlp.up.bias"][...] = 1
    p["t.layers.0.mlp.down.weight"][...] = [[10], [0]]
    y, _ = pre_norm_layer(X, p, "t.layers.0.", np.array([0, 3]), trunk)
    sigma = 1 / (1 + np.exp(-1.702))
    np.testing.assert_allclose(y - [10 * sigma, 0], X + [2 / 3, -2 / 3], rtol=1e-14)


def test_the_extra_value_is_one_more_term_of_the_mean():
    """With equal scores, attention is the mean of the three values and of the extra value."""
    trunk, p = one_layer(extra_key=True)
    p["t.layers.0.attn.v.weight"][...] = p["t.layers.0.attn.o.weight"][...] = np.eye(2)
    p["t.layers.0.attn.extra_v"][...] = [7, 9]
    y, _ = pre_norm_layer(X, p, "t.layers.0.", np.array([0, 3]), trunk)
    np.testing.assert_allclose(y, X + [(1 + 7) / 4, (-1 + 9) / 4], rtol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("extra_key", [False, True])
def test_what_a_token_sees(causal, extra_key):
    """Its own sequence only; if causal, no later token."""
    trunk = TINY._replace(causal=causal, extra_key=extra_key)
    p, x = draw_params(trunk), draw_tokens(trunk)
    y = infer_trunk(x, p, "t.", OFFSETS, trunk)
    x[2] += 1
    changed = infer_trunk(x, p, "t.", OFFSETS, trunk) != y
    assert changed.any(1).tolist() == [not causal, not causal, True, False]


@pytest.mark.parametrize("trunk", [
    TINY, TINY._replace(causal=True), TINY._replace(extra_key=True, activation=gelu)])
def test_the_trunks_backward_is_the_derivative(trunk):
    check_parameters(lambda x, p: run_trunk(x, p, "t.", OFFSETS, trunk), draw_tokens(trunk),
                     draw_params(trunk))


@dtypes
def test_inference_gives_the_same_bits(dtype):
    p, x = draw_params(TINY, dtype), draw_tokens(TINY, dtype)
    y = infer_trunk(x, p, "t.", OFFSETS, TINY)
    np.testing.assert_array_equal(y, run_trunk(x, p, "t.", OFFSETS, TINY)[0])
    assert y.dtype == dtype


def test_the_initial_deviations_are_those_of_openais_text_tower():
    D, L = 128, 8
    p = init_params(trunk_tensors("t.", Trunk(D, L, 2, 4 * D)), 0, np.float64)
    for part, std in [("attn.q", D ** -0.5), ("attn.k", D ** -0.5), ("attn.v", D ** -0.5),
                      ("attn.o", D ** -0.5 / 4), ("mlp.up", (2 * D) ** -0.5),
                      ("mlp.down", D ** -0.5 / 4)]:
        assert p[f"t.layers.5.{part}.weight"].std() == pytest.approx(std, rel=0.03)
        assert not p[f"t.layers.5.{part}.bias"].any()
    assert p.tensors["t.layers.5.attn.q.weight"].decay
    assert not p.tensors["t.layers.5.attn_norm.weight"].decay


def test_heads_that_do_not_divide_dim_are_refused():
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=6, got 4"):
        trunk_tensors("t.", TINY._replace(heads=4))


def test_the_default_activation_is_quick_gelu():
    assert TINY.activation is quick_gelu
