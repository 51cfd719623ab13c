"""Binary cross-entropy: worked by hand, its gradient, extreme scores, parity with torch."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.numerics.functions import sigmoid
from tests.rounding import dtypes, seeds, u32

weights = st.floats(0.1, 10)


def some(seed, dtype=np.float64, n=7):
    """s, y (n,): scores, and labels in 0..1."""
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal(n).astype(dtype), rng.random(n).astype(dtype)


@dtypes
def test_two_pairs_worked_by_hand(dtype):
    """σ(log 3) = ¾ for a positive, σ(0) = ½ for a negative: L = −(w log ¾ + log ½)/2."""
    s, y = np.log(np.array([3, 1], dtype)), np.array([1, 0], dtype)
    for weight in (1.0, 4.0):
        loss, backward = binary_cross_entropy(s, y, weight)
        assert loss == pytest.approx((weight * math.log(4 / 3) + math.log(2)) / 2, rel=1e-6)
        ds = backward()
        assert ds.dtype == dtype
        np.testing.assert_allclose(ds, [-weight / 8, 1 / 4], rtol=1e-6)
        np.testing.assert_allclose(backward(2.0), 2 * ds)


@given(seeds, weights)
def test_backward_is_the_derivative(seed, weight):
    s, y = some(seed)
    check_backward(lambda s: binary_cross_entropy(s, y, weight), s)


@given(seeds)
def test_exchanging_the_classes_and_negating_the_scores_changes_nothing(seed):
    s, y = some(seed)
    assert binary_cross_entropy(-s, 1 - y)[0] == pytest.approx(binary_cross_entropy(s, y)[0])


@given(seeds)
def test_the_minimum_is_at_the_label(seed):
    _, y = some(seed)
    s = np.log(y / (1 - y))
    np.testing.assert_allclose(sigmoid(s), y, rtol=1e-9)
    np.testing.assert_allclose(binary_cross_entropy(s, y)[1](), 0, atol=1e-12)


@given(seeds)
def test_a_weight_of_k_is_k_copies_of_each_positive(seed):
    s, y = some(seed)
    y = (y > 0.5).astype(float)
    copies = np.where(y == 1, 3, 1)
    expected = binary_cross_entropy(np.repeat(s, copies), np.repeat(y, copies))[0]
    weighted = binary_cross_entropy(s, y, 3.0)[0]
    assert weighted * len(s) == pytest.approx(expected * copies.sum())


@dtypes
def test_scores_far_from_0_are_exact(dtype):
    """−log σ(−1000) = 1000, and there is no overflow on the way to it."""
    s, y = np.array([-1000, 1000, 1000, -1000], dtype), np.array([1, 0, 1, 0], dtype)
    loss, backward = binary_cross_entropy(s, y)
    assert loss == 500 and backward().tolist() == [-0.25, 0.25, 0, 0]


@given(seeds, weights)
def test_float32_equals_float64_up_to_rounding(seed, weight):
    s, y = some(seed, np.float32)
    loss, backward = binary_cross_entropy(s, y, weight)
    loss64, backward64 = binary_cross_entropy(s.astype(float), y.astype(float), weight)
    size = max(weight, 1) * (1 + abs(s).max())
    assert abs(loss - loss64) <= 12 * u32 * size
    assert abs(backward() - backward64()).max() <= 12 * u32 * size


@pytest.mark.parametrize("s, y, message", [
    (np.zeros(3), np.zeros(2), "of one shape.*got \\(3,\\) and \\(2,\\)"),
    (np.zeros(0), np.zeros(0), "got \\(0,\\)"),
    (np.zeros(2), np.array([0, 2]), r"labels in 0..1, got 0\.\.2"),
    (np.zeros(1), np.array([-0.5]), r"got -0.5\.\.-0.5"),
    (np.zeros(1), np.array([np.nan]), "got nan")])
def test_what_is_not_a_label_for_each_score_is_rejected(s, y, message):
    with pytest.raises(ValueError, match=f"binary_cross_entropy: expected .*{message}"):
        binary_cross_entropy(s, y)


@pytest.mark.parametrize("weight", [1.0, 0.25, 3.0])
def test_parity_with_torch(weight):
    torch = pytest.importorskip("torch")
    s, y = some(1)
    x = torch.tensor(s, requires_grad=True)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        x, torch.tensor(y), pos_weight=torch.tensor(weight, dtype=torch.float64))
    theirs.backward()
    loss, backward = binary_cross_entropy(s, y, weight)
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), x.grad, rtol=1e-9)
