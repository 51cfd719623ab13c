"""BGE-M3's loss: worked by hand, its gradient, what it must not see, its special cases."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.losses.m3 import m3_loss
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.softmax import cross_entropy
from tests.rounding import dtypes, seeds

N, M = 3, 5
TARGETS = np.array([2, 0, 4])
either = st.booleans()


def tables(seed):
    return [*np.random.default_rng(seed).standard_normal((3, N, M))]


@dtypes
def test_one_query_worked_by_hand(dtype):
    """d = (log 3, 0), s = c = 0: e = (log 3, 0), so the teacher has t = (3/4, 1/4).

    H(y, d) = H(y, e) = log 4/3, H(y, s) = H(y, c) = log 2;  H(t, d) is the entropy of t.
    """
    d, zero = np.log([[3, 1]]).astype(dtype), np.zeros((1, 2), dtype)
    known, even, entropy = np.log(4 / 3), np.log(2), np.log(4) - 0.75 * np.log(3)
    first = (2 * known + 0.1 * even + even) / 4
    loss, backward = m3_loss(d, zero, zero, np.array([0]), self_distillation=False)
    assert loss == pytest.approx(first, rel=1e-6)
    dd, ds, dc = backward()
    assert {x.dtype for x in (dd, ds, dc)} == {np.dtype(dtype)}
    np.testing.assert_allclose(dd, [[-0.125, 0.125]], rtol=1e-6)      # twice (3/4 − 1)/4
    np.testing.assert_allclose(ds, [[-0.05 / 4 - 0.075 / 4, 0.125 / 4]], rtol=1e-6)
    np.testing.assert_allclose(dc, [[-0.1875, 0.1875]], rtol=1e-6)    # (½ − 1)/4 + (3/4 − 1)/4
    loss, backward = m3_loss(d, zero, zero, np.array([0]), self_distillation=True)
    assert loss == pytest.approx((first + (entropy + 1.1 * even) / 3) / 2, rel=1e-6)
    np.testing.assert_allclose(backward()[0], [[-0.0625, 0.0625]], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(backward()[2], [[-0.1875 / 2 - 0.25 / 6, 0.1875 / 2 + 0.25 / 6]],
                               rtol=1e-6)


@settings(max_examples=25)
@given(seeds)
def test_backward_without_self_distillation_is_the_derivative(seed):
    check_backward(lambda d, s, c: m3_loss(d, s, c, TARGETS, False), *tables(seed),
                   names=["d", "s", "c"])


@settings(max_examples=25)
@given(seeds)
def test_backward_with_self_distillation_holds_the_teacher_constant(seed):
    """The loss is the mean of L₀ and the three cross-entropies with the teacher of these scores."""
    d, s, c = tables(seed)
    e = np.exp(d + 0.3 * s + c)
    t = e / e.sum(1, keepdims=True)

    def with_this_teacher(d, s, c):
        first, back_first = m3_loss(d, s, c, TARGETS, False)
        parts = [(w, x - np.log(np.exp(x).sum(1, keepdims=True)))
                 for w, x in ((1, d), (0.1, s), (1, c))]
        second = -sum(w * (t * log_p).sum() for w, log_p in parts) / N / 3

        def backward(dloss=1.0):
            return tuple(dloss / 2 * (g + w * (np.exp(log_p) - t) / N / 3)
                         for g, (w, log_p) in zip(back_first(), parts))
        return (first + second) / 2, backward
    check_backward(with_this_teacher, d, s, c)
    loss, backward = m3_loss(d, s, c, TARGETS)
    expected, back = with_this_teacher(d, s, c)
    assert loss == pytest.approx(expected, rel=1e-12)
    for found, right in zip(backward(), back()):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


@settings(max_examples=25)
@given(seeds, either)
def test_a_number_added_to_all_scores_of_a_query_changes_nothing(seed, distil):
    d, s, c = tables(seed)
    a, b, e = np.random.default_rng(seed).standard_normal((3, N, 1))
    loss, backward = m3_loss(d, s, c, TARGETS, distil)
    assert m3_loss(d + a, s + b, c + e, TARGETS, distil)[0] == pytest.approx(loss, rel=1e-10)
    for grad in backward(2.0):
        np.testing.assert_allclose(grad.sum(1), 0, atol=1e-13)


@settings(max_examples=25)
@given(seeds, either)
def test_a_masked_text_counts_as_if_it_were_absent(seed, distil):
    d, s, c = tables(seed)
    mask = np.zeros((N, M), bool)
    mask[:, 3] = True                                        # the positive of no query
    mask[np.arange(N), TARGETS] = True                       # positives: ignored
    loss, backward = m3_loss(d, s, c, TARGETS, distil, mask)
    others = [0, 1, 2, 4]
    expected, back = m3_loss(d[:, others], s[:, others], c[:, others], np.array([2, 0, 3]), distil)
    assert loss == pytest.approx(expected, rel=1e-12)
    for found, right in zip(backward(), back()):
        assert not found[:, 3].any()
        np.testing.assert_allclose(found[:, others], right, rtol=1e-9, atol=1e-14)


def test_three_equal_scores_have_the_loss_of_their_cross_entropies():
    s = tables(1)[0]
    single, sharp = (cross_entropy(x, TARGETS)[0] for x in (s, 2.3 * s))
    assert m3_loss(s, s, s, TARGETS, False)[0] == pytest.approx((2.1 * single + sharp) / 4)


@pytest.mark.parametrize(("d", "targets", "mask", "message"), [
    (np.zeros((3, 4)), TARGETS, None, "expected three tables .* of one shape"),
    (np.zeros((N, M)), np.array([0, 1, 5]), None, "targets: expected 3 in 0..4"),
    (np.zeros((N, M)), TARGETS, np.zeros((N, N), bool), "mask: expected .3, 5. of bool"),
    (np.zeros((N, M)), TARGETS, np.zeros((N, M)), "mask: expected .* of float64")])
def test_tables_targets_and_masks_that_do_not_fit_are_refused(d, targets, mask, message):
    zeros = np.zeros((N, M))
    with pytest.raises(ValueError, match=message):
        m3_loss(d, zeros, zeros, targets, mask=mask)
