"""InfoNCE and CLIP's symmetric form: worked by hand, invariances, gradients, masks, parity."""
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.losses.infonce import cosine_logits, infonce, symmetric_infonce
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.softmax import cross_entropy_numpy, softmax
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.testing import check_contrastive_loss
from tests.rounding import gamma, seeds, u32, u64, unit_roundoff

GOLDEN = Path(__file__).parents[1] / "golden" / "infonce.safetensors"
taus = st.floats(0.01, 10)
N, D = 5, 7


def batch(seed, M=8, dtype=np.float64):
    """q (N, D) and k (M, D): N queries; their N positives, then M − N hard negatives."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, D)).astype(dtype), rng.standard_normal((M, D)).astype(dtype)


def cosines(q, k):
    return (q @ k.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(k, axis=1)


# ---- its value ----------------------------------------------------------------------------------

def test_two_orthogonal_pairs_worked_by_hand():
    """Each row: −log e¹/(e¹ + e⁰) = log(1 + e⁻¹)."""
    loss, _ = infonce(np.eye(2), np.eye(2), tau=1.0)
    assert loss == pytest.approx(np.log(1 + np.exp(-1)), rel=8 * u64)


def test_a_hard_negative_worked_by_hand():
    """k_2 = (3, 4): p_00 = e¹/(e¹ + e⁰ + e^0.6), p_11 = e¹/(e¹ + e⁰ + e^0.8)."""
    loss, _ = infonce(np.eye(2), np.array([[1, 0], [0, 2], [3, 4]]) * 1.0, tau=1.0)
    want = np.log(1 + np.exp(-1) + np.exp([-0.4, -0.2])).mean()
    assert loss == pytest.approx(want, rel=16 * u64)


def test_the_gradient_worked_by_hand():
    """τ = 1/log 3; q = (e₀, e₁), k = (e₀, e₂), so row 0 of p is (¾, ¼), row 1 is (½, ½).

    The gradient on q_i is Σ_j (p_ij − [i = j])/(N τ) · k_j, without its part along q_i.
    """
    q, k = np.eye(3)[[0, 1]], np.eye(3)[[0, 2]]
    loss, backward = infonce(q, k, tau=1 / np.log(3))
    assert loss == pytest.approx((np.log(4 / 3) + np.log(2)) / 2, rel=8 * u64)
    dq, dk, dtau = backward()
    force = np.log(3) / 2                                                      # 1/(N τ)
    np.testing.assert_allclose(dq, force * np.array([[0, 0, 1 / 4], [1 / 2, 0, -1 / 2]]), rtol=0,
                               atol=8 * u64)
    # s_00 = log 3 is the only logit that is not 0: dτ = −1/τ · s_00 · (¾ − 1)/N
    assert dtau == pytest.approx(np.log(3)**2 / 8, rel=8 * u64)


def test_a_masked_pair_worked_by_hand():
    """Without the negative k_1, row 0 has loss 0; row 1 does not change."""
    mask = np.array([[False, True], [False, False]])
    loss, backward = infonce(np.eye(2), np.eye(2), 1.0, mask)
    assert loss == pytest.approx(np.log(1 + np.exp(-1)) / 2, rel=8 * u64)
    dq, _, _ = backward()
    assert not dq[0].any() and dq[1].any()


def test_the_symmetric_loss_worked_by_hand():
    """The mean of two row losses and two column losses, each log(1 + e^(negative − positive))."""
    q, k = np.eye(2), np.array([[1.0, 0.0], [1.0, 1.0]])           # cosines [[1, √½], [0, √½]]
    half = np.sqrt(0.5)
    rows = np.log(1 + np.exp(half - 1)) + np.log(1 + np.exp(0 - half))
    columns = np.log(1 + np.exp(0 - 1)) + np.log(1 + np.exp(half - half))
    loss, _ = symmetric_infonce(q, k, 1.0)
    assert loss == pytest.approx((rows + columns) / 4, rel=16 * u64)


def test_both_losses_pass_the_checks_of_a_contrastive_loss():
    check_contrastive_loss(lambda q, k, tau: infonce(q, k, tau)[0])
    check_contrastive_loss(lambda q, k, tau: symmetric_infonce(q, k, tau)[0], symmetric=True)


def test_the_loss_for_very_high_and_very_low_temperatures():
    q, k = batch(1)
    gap = (cosines(q, k).max(1) - cosines(q, k).diagonal()).mean()
    assert infonce(q, k, 1e9)[0] == pytest.approx(np.log(8), abs=2e-9)
    assert 1e-9 * infonce(q, k, 1e-9)[0] == pytest.approx(gap, abs=1e-9 * np.log(8) + 1e-14)


@given(seeds, taus, st.sampled_from([5, 8]), st.sampled_from([np.float32, np.float64]))
def test_the_loss_is_never_negative(seed, tau, M, dtype):
    """log p = (s − max s) − log Σ exp(s − max s) ≤ 0 also if rounded: the sum contains exp(0)."""
    q, k = batch(seed, M, dtype)
    assert infonce(q, k, tau)[0] >= 0 and infonce(q, np.vstack([q, k]), tau)[0] >= 0


@given(seeds, taus)
def test_a_single_pair_has_loss_0_and_gradient_0(seed, tau):
    q, k = batch(seed)
    loss, backward = infonce(q[:1], k[:1], tau)
    assert loss == 0 and not any(d.any() for d in backward())
    loss, backward = symmetric_infonce(q[:1], k[:1], tau)
    assert loss == 0 and not any(np.any(d) for d in backward())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_is_finite_at_the_lowest_temperature_that_clip_allows(dtype):
    q = np.eye(2, dtype=dtype)
    loss, backward = infonce(q, -q, tau=0.01)                # p = exp(−100): subnormal in float32
    assert loss == pytest.approx(100, rel=1e-6)              # s_ii = −100, the other s_ij = 0
    assert all(d.dtype == dtype and np.isfinite(d).all() for d in backward())


# ---- invariances --------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seeds, taus, st.sampled_from([-100, 100]))
def test_scaling_by_a_power_of_two_does_not_change_a_bit_of_the_loss(dtype, seed, tau, exponent):
    """The squares of 2⁻¹⁰⁰ and 2¹⁰⁰ are 0 and inf in float32."""
    q, k = batch(seed, dtype=dtype)
    assert infonce(np.ldexp(q, exponent), k, tau)[0] == infonce(q, k, tau)[0]
    assert infonce(q, np.ldexp(k, exponent), tau)[0] == infonce(q, k, tau)[0]


@given(seeds, taus)
def test_swapping_queries_and_keys_does_not_change_clips_loss(seed, tau):
    """BLAS sums k qᵀ in another order than q kᵀ: a cosine has an error of γ(D + 4)."""
    q, k = batch(seed, M=5)
    loss, backward = symmetric_infonce(q, k, tau)
    swapped, backward_swapped = symmetric_infonce(k, q, tau)
    assert abs(loss - swapped) <= 4 * gamma(D + 4, u64) / tau + 16 * u64
    (dq, dk, dtau), (dk_, dq_, dtau_) = backward(), backward_swapped()
    for a, b in ((dq, dq_), (dk, dk_), (dtau, dtau_)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 / tau**3)


# ---- its gradient -------------------------------------------------------------------------------

def random_mask(seed, M):
    """(N, M) bool, True for about 30% of the pairs.  On positives the mask has no effect."""
    return np.random.default_rng(seed + 1).random((N, M)) < 0.3


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 1.0), st.sampled_from([5, 8]), st.booleans())
def test_infonces_backward_is_the_derivative_also_in_tau(seed, tau, M, masked):
    mask = random_mask(seed, M) if masked else None
    check_backward(lambda q, k, tau: infonce(q, k, tau, mask), *batch(seed, M), tau, seed=seed)


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 1.0), st.booleans())
def test_clips_backward_is_the_derivative_also_in_tau(seed, tau, masked):
    mask = random_mask(seed, N) if masked else None
    check_backward(lambda q, k, tau: symmetric_infonce(q, k, tau, mask), *batch(seed, M=5), tau,
                   seed=seed)


def test_the_gradient_of_clips_learned_log_scale():
    """CLIP's parameter: τ = exp(−log_scale), dlog_scale = −τ dτ."""
    def clip(q, k, log_scale):
        tau = np.exp(-log_scale)
        loss, backward = symmetric_infonce(q, k, tau)

        def back(dloss):
            dq, dk, dtau = backward(dloss)
            return dq, dk, -tau * dtau
        return loss, back
    check_backward(clip, *batch(0, M=5), np.log(1 / 0.07))


@settings(max_examples=25)
@given(seeds)
def test_the_logits_backward_is_the_derivative(seed):
    check_backward(cosine_logits, *batch(seed), 0.4, seed=seed)


# ---- pairs that are not negatives ---------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seeds, taus)
def test_masking_a_key_for_all_queries_is_the_same_as_deleting_it(dtype, seed, tau):
    q, k = batch(seed, dtype=dtype)
    mask = np.zeros((N, 8), bool)
    mask[:, 6] = True
    loss, backward = infonce(q, k, tau, mask)
    loss_without, backward_without = infonce(q, np.delete(k, 6, 0), tau)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(loss_without, rel=16 * eps, abs=16 * eps)
    dq, dk, dtau = backward()
    assert not dk[6].any()
    for one, other in zip((dq, np.delete(dk, 6, 0), dtau), backward_without()):
        np.testing.assert_allclose(one, other, rtol=1e-3 if dtype == np.float32 else 1e-10,
                                   atol=1e3 * eps / tau**2)


@given(seeds, taus)
def test_a_mask_never_raises_the_loss_and_does_not_affect_positives(seed, tau):
    q, k = batch(seed)
    assert infonce(q, k, tau, random_mask(seed, 8))[0] <= infonce(q, k, tau)[0] + 16 * u64
    assert infonce(q, k, tau, np.eye(N, 8, dtype=bool))[0] == infonce(q, k, tau)[0]
    assert infonce(q, k, tau, np.ones((N, 8), bool))[0] == 0


def test_masked_duplicates_do_not_raise_the_loss():
    E = np.eye(4)[[0, 0, 1, 2]]
    same = (E[:, None] == E[None]).all(-1)    # the mask's diagonal is ignored
    for f in (infonce, symmetric_infonce):
        assert f(E, E, 0.01)[0] == pytest.approx(2 * np.log(2) / 4, rel=1e-12)
        assert f(E, E, 0.01, same)[0] < 1e-12


def test_a_mask_of_another_shape_or_type_is_rejected():
    for mask in (np.zeros((5, 5), bool), np.zeros((5, 8), int)):
        with pytest.raises(ValueError, match=r"mask: expected \(5, 8\) of bool"):
            infonce(*batch(0), mask=mask)


# ---- properties of the gradient -----------------------------------------------------------------

@given(seeds, taus)
def test_the_share_of_a_negative_in_the_push_is_a_softmax_over_the_negatives(seed, tau):
    """The push of negative j is dL/ds_ij = p_ij/N; its share is p_ij/(1 − p_ii).  s_ii cancels."""
    s, _ = cosine_logits(*batch(seed), tau)
    _, backward = cross_entropy_numpy(s, np.arange(N))
    negatives = np.arange(N)[:, None] != np.arange(s.shape[1])
    push = backward()[negatives].reshape(N, -1)
    shares, _ = softmax(s[negatives].reshape(N, -1))
    np.testing.assert_allclose(push, shares * push.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("tau, ratio", [(1.0, 1.1052), (0.05, 7.389), (0.01, 22026.5)])
def test_a_cosine_higher_by_a_tenth_multiplies_the_push(tau, ratio):
    """q_0 = e₀ has two negatives with cosines 0.3 and 0.2: the ratio of pushes is e^(0.1/τ)."""
    k = np.array([[1, 0], [0.3, np.sqrt(0.91)], [0.2, np.sqrt(0.96)]])
    s, _ = cosine_logits(np.array([[1.0, 0]]), k, tau)
    _, backward = cross_entropy_numpy(s, np.array([0]))
    assert backward()[0, 1] / backward()[0, 2] == pytest.approx(ratio, rel=1e-4)


@given(seeds, taus, st.sampled_from([np.float32, np.float64]))
def test_pull_and_pushes_sum_to_0_in_each_row(seed, tau, dtype):
    """N Σ_j ds_ij = Σ_j p_ij − 1 has M terms, rounded in log_softmax, exp and the sum: 8 M u.

    A rounding error of u |log p| in log p is a relative error of p: 2 · max |s − max s| · u.
    """
    s, _ = cosine_logits(*batch(seed, dtype=dtype), tau)
    ds = cross_entropy_numpy(s, np.arange(N))[1]()
    u, M = unit_roundoff(dtype), s.shape[1]
    largest = abs(s - s.max(1, keepdims=True)).max()
    assert (abs(ds.sum(1, dtype=np.float64)) <= (8 * M + 2 * largest) * u / N).all()
    assert (ds.diagonal() <= 0).all() and (ds[~np.eye(N, M, dtype=bool)] >= 0).all()


@given(seeds, taus)
def test_the_gradient_is_tangent_to_the_sphere(seed, tau):
    """The loss does not depend on ‖x‖, so dx has no part along x."""
    q, k = batch(seed)
    for x, dx in zip((q, k), infonce(q, k, tau)[1]()):
        size = np.linalg.norm(x, axis=1) * np.linalg.norm(dx, axis=1) + 2 / tau
        assert (abs((dx * x).sum(1)) <= 8 * gamma(D + 4, u64) * size).all()


@given(seeds, st.floats(-10, 10))
def test_backward_is_proportional_to_dloss(seed, dloss):
    _, backward = infonce(*batch(seed))
    for once, scaled in zip(backward(), backward(dloss)):
        np.testing.assert_allclose(scaled, dloss * once, rtol=1e-12, atol=1e-12)


def test_a_duplicate_text_costs_log_2_and_a_paraphrase_is_pushed_away():
    """Orthogonal vectors, e₀ for the text that occurs twice: p = ½, so pull and push cancel."""
    E = np.eye(4)[[0, 0, 1, 2]]
    loss, backward = infonce(E, E, tau=0.01)
    assert loss == pytest.approx(2 * np.log(2) / 4, rel=1e-12)     # two of the four rows: log 2
    assert all(abs(d).max() < 1e-12 for d in backward())
    near = E.copy()                                   # a paraphrase, 0.1 radians from k_0 = q_0
    near[1] = np.cos(0.1), 0, 0, np.sin(0.1)          # a step along −dq_0 is away from it
    dq, _, _ = infonce(E, near, tau=0.01)[1]()
    assert -dq[0] @ (near[1] - near[0]) < 0


@given(seeds, st.floats(0.05, 1))
def test_float32_equals_float64_up_to_rounding(seed, tau):
    """Errors: of a cosine 2 γ(D + 4); of a logit 1/τ times this, plus u; of L twice a logit's."""
    q, k = batch(seed, dtype=np.float32)
    loss32, backward32 = infonce(q, k, tau)
    loss64, backward64 = infonce(q.astype(float), k.astype(float), tau)
    assert isinstance(loss32, float)
    assert abs(loss32 - loss64) <= 2 * (2 * gamma(D + 5, u32) / tau) + 8 * u32 * (1 + loss64)
    for d32, d64 in zip(backward32()[:2], backward64()):
        assert d32.dtype == np.float32
        # p has twice the error of a logit; the product with the normalised q or k adds γ(M)
        error = (8 * gamma(D + 5, u32) / tau + 2 * gamma(16, u32)) / tau
        shortest = min(np.linalg.norm(x, axis=1).min() for x in (q, k))
        assert abs(d32 - d64).max() <= error / shortest


@pytest.mark.parametrize("q,k", [((5, 7), (4, 7)), ((5, 7), (5, 6)), ((7,), (7,)), ((0, 7), (3, 7)),
                                 ((2, 5, 7), (2, 5, 7))])
def test_shapes_that_do_not_match_are_rejected(q, k):
    with pytest.raises(ValueError, match=r"queries \(N, D\).*got") as error:
        infonce(np.ones(q), np.ones(k))
    assert str(q) in str(error.value) and str(k) in str(error.value)
    with pytest.raises(ValueError):
        symmetric_infonce(np.ones(q), np.ones(k), 0.0)


def test_clips_loss_rejects_hard_negatives_and_tau_must_be_positive():
    with pytest.raises(ValueError, match=r"as many keys as queries, got \(5, 7\) and \(8, 7\)"):
        symmetric_infonce(*batch(0), 0.0)
    for tau in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="expected a positive number"):
            infonce(*batch(0), tau)


# ---- parity with the originals ------------------------------------------------------------------

def assert_equal_to(theirs):
    golden, _ = read_safetensors(GOLDEN)
    q, k = golden["q"], golden["k"]
    loss, backward = infonce(q, k, tau=0.05)
    tau = np.exp(-golden["log_scale"])
    clip, back_clip = symmetric_infonce(q, k[:5], tau)
    (dq, dk, _), (clip_dq, clip_dk, clip_dtau) = backward(), back_clip()
    ours = dict(loss=loss, dq=dq, dk=dk, clip=clip, clip_dq=clip_dq, clip_dk=clip_dk,
                clip_dlog_scale=-tau * clip_dtau)
    for name, x in ours.items():
        np.testing.assert_allclose(x, theirs[name], rtol=1e-12, atol=1e-13, err_msg=name)


def test_parity_with_the_golden_file():
    assert_equal_to(read_safetensors(GOLDEN)[0])


def test_parity_with_the_installed_libraries():
    for library in ("torch", "sentence_transformers", "transformers"):
        pytest.importorskip(library)
    assert_equal_to(runpy.run_path(str(GOLDEN.with_name("make_infonce.py")))["originals"]())


@pytest.mark.parametrize("dtype, min_tau", [(np.float32, 1.1e-19), (np.float64, 1.5e-154)])
def test_a_temperature_at_which_the_gradient_would_overflow_is_refused(dtype, min_tau):
    q = np.eye(3, dtype=dtype)
    loss, backward = infonce(q, q[::-1].copy(), min_tau)
    assert np.isfinite(loss) and all(np.isfinite(gradient).all() for gradient in backward())
    with pytest.raises(ValueError, match="^tau: expected a number whose 4/tau² is finite in float"):
        infonce(q, q, min_tau / 2)
    with pytest.raises(ValueError, match="^tau: expected"):
        infonce(q, q, 1e-320)
