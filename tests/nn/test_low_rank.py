"""The low-rank term of a linear layer: worked by hand, its gradients, and what is frozen."""
import numpy as np
import pytest

from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.layers import linear
from scratch_embed.nn.low_rank import low_rank
from scratch_embed.nn.params import Params
from tests.rounding import dtypes


def params(O=3, I=4, r=2, dtype=np.float64, frozen=("l.lora_scale",)):
    p = Params({"l.weight": (O, I), "l.bias": (O,), "l.lora_a": (r, I), "l.lora_b": (O, r),
                "l.lora_scale": ()}, dtype)
    p.flat[:] = np.random.default_rng(0).standard_normal(p.flat.size)
    return p.freeze(frozen)


def test_the_term_and_its_gradients_worked_by_hand():
    """A = (1, 2), B = (3, 5)ᵀ, s = ½, x = (1, 1): u = 3, y = ½ · 3 · (3, 5).

    With dy = (1, 0): du = ½ · 3, dA = du x, dB = ½ dy u, dx = du A.
    """
    p = Params({"l.lora_a": (1, 2), "l.lora_b": (2, 1), "l.lora_scale": ()}, np.float64)
    p["l.lora_a"][...], p["l.lora_b"][...], p["l.lora_scale"][...] = [[1, 2]], [[3], [5]], 0.5
    y, backward = low_rank(np.ones((1, 2)), p, "l")
    g = p.like()
    dx = backward(np.array([[1.0, 0]]), g)
    assert y.tolist() == [[4.5, 7.5]] and dx.tolist() == [[1.5, 3.0]]
    assert g["l.lora_a"].tolist() == [[1.5, 1.5]] and g["l.lora_b"].tolist() == [[1.5], [0.0]]


@dtypes
def test_a_linear_layer_with_the_term_equals_one_with_the_merged_matrix(dtype):
    p, x = params(dtype=dtype), np.random.default_rng(1).standard_normal((5, 4)).astype(dtype)
    merged = Params({"l.weight": (3, 4), "l.bias": (3,)}, dtype)
    merged["l.weight"][...] = p["l.weight"] + p["l.lora_scale"] * (p["l.lora_b"] @ p["l.lora_a"])
    merged["l.bias"][...] = p["l.bias"]
    y, backward = linear(x, p, "l")
    expected, expected_backward = linear(x, merged, "l")
    dy = np.ones_like(y)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-14)
    np.testing.assert_allclose(backward(dy, p.like()), expected_backward(dy, merged.like()),
                               rtol=0, atol=1e-5 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("frozen", [
    ("l.lora_scale",), ("l.weight", "l.bias", "l.lora_scale"), ("l.lora_a", "l.lora_scale"),
    ("l.lora_b", "l.lora_scale")])
def test_the_gradients_of_what_is_trainable_are_right(frozen):
    x = np.random.default_rng(2).standard_normal((2, 3, 4))
    check_parameters(lambda x, p: linear(x, p, "l"), x, params(frozen=frozen))
