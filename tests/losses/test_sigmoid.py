"""SigLIP's loss: by hand, limits, gradient, and equality with transformers' SiglipModel."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.sigmoid import pairwise_sigmoid
from scratch_embed.nn.gradcheck import check_backward
from tests.rounding import dtypes, seeds


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@dtypes
def test_the_loss_worked_by_hand(dtype):
    """cos = 1 on the diagonal, 0 elsewhere; scale 2, bias −1: s = 1 and −1, every z·s = 1.

    Each of the four pairs costs log(1 + e⁻¹); L is their sum over N = 2.
    """
    x = np.eye(2, dtype=dtype)
    loss, backward = pairwise_sigmoid(x, 3 * x, math.log(2), -1.0)
    assert loss == pytest.approx(2 * math.log(1 + math.exp(-1)), rel=1e-6)
    _, _, dt, db = backward()
    no = 1 / (1 + math.e)                                      # σ(−1); ds = ∓ no / 2
    assert dt == pytest.approx(2 * -no / 2 * 2, rel=1e-6)      # scale · Σ ds cos: the diagonal
    assert db == pytest.approx(0, abs=1e-7)


def test_at_the_initial_bias_only_the_positives_cost():
    """σ(−10) is 4.5e-5: N − 1 negatives of a row cost almost nothing, the positive costs 10."""
    x = np.eye(64)
    loss, _ = pairwise_sigmoid(x, np.roll(x, 1, axis=0), math.log(10), -10.0)
    negatives = (62 * math.log1p(math.exp(-10)) + math.log(2))      # one of them has cos = 1
    assert loss == pytest.approx(10 + math.log1p(math.exp(-10)) + negatives, rel=1e-9)


@given(seed=seeds, N=st.integers(1, 5), D=st.integers(1, 5), t=st.floats(-1, 3),
       b=st.floats(-5, 5))
def test_the_gradient_is_the_derivative(seed, N, D, t, b):
    check_backward(lambda q, k, t, b: pairwise_sigmoid(q, k, float(t), float(b)),
                   1 + abs(draw(seed, N, D)), draw(seed + 1, N, D) + 3, np.array(t), np.array(b),
                   names=["q", "k", "t", "b"])


def test_pairs_do_not_depend_on_each_other():
    """Adding a pair adds its own terms and changes no other: unlike in InfoNCE."""
    q, k = draw(0, 4, 3), draw(1, 4, 3)
    _, back = pairwise_sigmoid(q, k, 1.0, -2.0)
    whole = 4 * back()[1][0]
    parts = []
    for i in range(4):                                         # pairs (q_i, k_0) alone
        u, v = q[[i]], k[[0]]
        c = (u @ v.T).item() / np.linalg.norm(u) / np.linalg.norm(v)
        s, z = math.e * c - 2, 1 if i == 0 else -1
        dcos = -z / (1 + math.exp(z * s)) * math.e
        unit_u, unit_v = u / np.linalg.norm(u), v / np.linalg.norm(v)
        parts.append(dcos * (unit_u - c * unit_v) / np.linalg.norm(v))
    np.testing.assert_allclose(whole, np.sum(parts, 0)[0], rtol=1e-12)


def test_it_equals_transformers_siglip():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    text = {"vocab_size": 11, "hidden_size": 6, "intermediate_size": 5, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 4, "projection_size": 6}
    vision = {"hidden_size": 6, "intermediate_size": 5, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 4, "patch_size": 2}
    torch.manual_seed(0)
    model = transformers.SiglipModel(transformers.SiglipConfig(
        text_config=text, vision_config=vision)).double()
    with torch.no_grad():
        model.logit_scale.fill_(1.2)
        model.logit_bias.fill_(-0.7)
    out = model(input_ids=torch.randint(0, 11, (5, 4)), return_loss=True,
                pixel_values=torch.randn(5, 3, 4, 4, dtype=torch.float64))
    out.text_embeds.retain_grad()
    out.loss.backward()
    loss, back = pairwise_sigmoid(out.text_embeds.detach().numpy(),
                                  out.image_embeds.detach().numpy(), 1.2, -0.7)
    assert loss == pytest.approx(out.loss.item(), rel=1e-9)
    _, _, dt, db = back()
    assert dt == pytest.approx(model.logit_scale.grad.item(), rel=1e-7)
    assert db == pytest.approx(model.logit_bias.grad.item(), rel=1e-7)


def test_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match="expected equal shapes"):
        pairwise_sigmoid(np.eye(3), np.eye(3)[:2], 0.0, 0.0)
