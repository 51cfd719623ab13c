"""InfoNCE says what its equation says, and its backward is its derivative."""
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
    """N queries, their N partners and M − N hard negatives."""
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
    """Row 0: e¹/(e¹ + e⁰ + e^0.6); row 1: e¹/(e¹ + e⁰ + e^0.8), the negative (3, 4)/5."""
    loss, _ = infonce(np.eye(2), np.array([[1, 0], [0, 2], [3, 4]]) * 1.0, tau=1.0)
    want = np.log(1 + np.exp(-1) + np.exp([-0.4, -0.2])).mean()
    assert loss == pytest.approx(want, rel=16 * u64)


def test_the_forces_worked_by_hand():
    """τ = 1/log 3; k_0 = q_0, k_1 at right angles to both, as is q_1.  Row 0: p = (¾, ¼), row 1:
    (½, ½).  The force on q_0 is (p_ij − [i = j])/(N τ) along k_j, of which k_0's is along q_0 and
    changes nothing.
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


def test_a_pair_that_is_not_a_negative_worked_by_hand():
    """Without k_1, row 0 has nothing to be told from; row 1 is as before."""
    mask = np.array([[False, True], [False, False]])
    loss, backward = infonce(np.eye(2), np.eye(2), 1.0, mask)
    assert loss == pytest.approx(np.log(1 + np.exp(-1)) / 2, rel=8 * u64)
    dq, _, _ = backward()
    assert not dq[0].any() and dq[1].any()


def test_both_ways_round_worked_by_hand():
    """Rows as above; columns: p(0) = 3/4 for the first, 1/2 for the second.  Here by vectors."""
    q, k = np.eye(2), np.array([[1.0, 0.0], [1.0, 1.0]])           # cosines [[1, √½], [0, √½]]
    half = np.sqrt(0.5)
    rows = np.log(1 + np.exp(half - 1)) + np.log(1 + np.exp(0 - half))
    columns = np.log(1 + np.exp(0 - 1)) + np.log(1 + np.exp(half - half))
    loss, _ = symmetric_infonce(q, k, 1.0)
    assert loss == pytest.approx((rows + columns) / 4, rel=16 * u64)


def test_the_loss_has_the_invariants_of_infonce_and_clips_of_both_ways_round():
    check_contrastive_loss(lambda q, k, tau: infonce(q, k, tau)[0])
    check_contrastive_loss(lambda q, k, tau: symmetric_infonce(q, k, tau)[0], symmetric=True)


def test_the_limits_of_the_temperature():
    q, k = batch(1)
    gap = (cosines(q, k).max(1) - cosines(q, k).diagonal()).mean()
    assert infonce(q, k, 1e9)[0] == pytest.approx(np.log(8), abs=2e-9)
    assert 1e-9 * infonce(q, k, 1e-9)[0] == pytest.approx(gap, abs=1e-9 * np.log(8) + 1e-14)


@given(seeds, taus, st.sampled_from([5, 8]), st.sampled_from([np.float32, np.float64]))
def test_it_is_never_negative(seed, tau, M, dtype):
    """Exactly: log p is a number ≤ 0 minus the logarithm of a sum that holds exp(0) = 1."""
    q, k = batch(seed, M, dtype)
    assert infonce(q, k, tau)[0] >= 0 and infonce(q, np.vstack([q, k]), tau)[0] >= 0


@given(seeds, taus)
def test_one_pair_alone_has_nothing_to_be_told_from(seed, tau):
    q, k = batch(seed)
    loss, backward = infonce(q[:1], k[:1], tau)
    assert loss == 0 and not any(d.any() for d in backward())
    loss, backward = symmetric_infonce(q[:1], k[:1], tau)
    assert loss == 0 and not any(np.any(d) for d in backward())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_stays_finite_at_the_coldest_temperature_that_clip_allows(dtype):
    q = np.eye(2, dtype=dtype)
    loss, backward = infonce(q, -q, tau=0.01)                # exp(−200) is 0 in float32
    assert loss == pytest.approx(100, rel=1e-6)              # the right one −100, the other 0
    assert all(d.dtype == dtype and np.isfinite(d).all() for d in backward())


# ---- what it must not see -----------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seeds, taus, st.sampled_from([-100, 100]))
def test_a_power_of_two_is_not_seen_to_the_last_bit_however_far(dtype, seed, tau, power):
    """2⁻¹⁰⁰ and 2¹⁰⁰ have no squares in float32."""
    q, k = batch(seed, dtype=dtype)
    assert infonce(np.ldexp(q, power), k, tau)[0] == infonce(q, k, tau)[0]
    assert infonce(q, np.ldexp(k, power), tau)[0] == infonce(q, k, tau)[0]


@given(seeds, taus)
def test_the_two_sides_of_clips_loss_are_alike(seed, tau):
    """Products of a transposed matrix are summed in another order: γ(D) a cosine."""
    q, k = batch(seed, M=5)
    one, back_one = symmetric_infonce(q, k, tau)
    other, back_other = symmetric_infonce(k, q, tau)
    assert abs(one - other) <= 4 * gamma(D + 4, u64) / tau + 16 * u64
    (dq, dk, ds), (dk_, dq_, ds_) = back_one(), back_other()
    for a, b in ((dq, dq_), (dk, dk_), (ds, ds_)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 / tau**3)


# ---- its gradient -------------------------------------------------------------------------------

def some_pairs(seed, M):
    """About a third of all pairs, and of the partners too, which count all the same."""
    return np.random.default_rng(seed + 1).random((N, M)) < 0.3


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 1.0), st.sampled_from([5, 8]), st.booleans())
def test_infonces_backward_is_the_derivative_in_tau_too(seed, tau, M, masked):
    mask = some_pairs(seed, M) if masked else None
    check_backward(lambda q, k, tau: infonce(q, k, tau, mask), *batch(seed, M), tau, seed=seed)


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 1.0), st.booleans())
def test_clips_backward_is_the_derivative_in_tau_too(seed, tau, masked):
    mask = some_pairs(seed, N) if masked else None
    check_backward(lambda q, k, tau: symmetric_infonce(q, k, tau, mask), *batch(seed, M=5), tau,
                   seed=seed)


def test_a_learned_logarithm_of_the_scale():
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
def test_keys_that_no_query_may_have_as_negatives_are_as_if_they_were_not_there(dtype, seed, tau):
    q, k = batch(seed, dtype=dtype)
    mask = np.zeros((N, 8), bool)
    mask[:, 6] = True
    (loss, backward), (less, back) = infonce(q, k, tau, mask), infonce(q, np.delete(k, 6, 0), tau)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(less, rel=16 * eps, abs=16 * eps)
    dq, dk, dtau = backward()
    assert not dk[6].any()
    for one, other in zip((dq, np.delete(dk, 6, 0), dtau), back()):
        np.testing.assert_allclose(one, other, rtol=1e-3 if dtype == np.float32 else 1e-10,
                                   atol=1e3 * eps / tau**2)


@given(seeds, taus)
def test_a_mask_never_raises_the_loss_and_one_of_partners_alone_changes_nothing(seed, tau):
    q, k = batch(seed)
    assert infonce(q, k, tau, some_pairs(seed, 8))[0] <= infonce(q, k, tau)[0] + 16 * u64
    assert infonce(q, k, tau, np.eye(N, 8, dtype=bool))[0] == infonce(q, k, tau)[0]
    assert infonce(q, k, tau, np.ones((N, 8), bool))[0] == 0


def test_a_duplicate_that_is_masked_costs_nothing():
    E = np.eye(4)[[0, 0, 1, 2]]
    same = (E[:, None] == E[None]).all(-1)                      # the diagonal too: it still counts
    for f in (infonce, symmetric_infonce):
        assert f(E, E, 0.01)[0] == pytest.approx(2 * np.log(2) / 4, rel=1e-12)
        assert f(E, E, 0.01, same)[0] < 1e-12


def test_a_mask_that_does_not_fit_is_refused():
    for mask in (np.zeros((5, 5), bool), np.zeros((5, 8), int)):
        with pytest.raises(ValueError, match=r"mask: expected \(5, 8\) of bool"):
            infonce(*batch(0), mask=mask)


# ---- what its gradient obeys --------------------------------------------------------------------

@given(seeds, taus)
def test_the_share_of_a_negative_in_the_push_is_a_softmax_over_the_negatives(seed, tau):
    """p_ij/(1 − p_ii), in which the partner cancels; read from the gradient of the logits."""
    s, _ = cosine_logits(*batch(seed), tau)
    _, backward = cross_entropy_numpy(s, np.arange(N))
    negatives = np.arange(N)[:, None] != np.arange(s.shape[1])
    push = backward()[negatives].reshape(N, -1)
    shares, _ = softmax(s[negatives].reshape(N, -1))
    np.testing.assert_allclose(push, shares * push.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("tau, ratio", [(1.0, 1.1052), (0.05, 7.389), (0.01, 22026.5)])
def test_a_cosine_higher_by_a_tenth_multiplies_the_push(tau, ratio):
    """Two negatives of q_0 = e₀ with cosines 0.3 and 0.2."""
    k = np.array([[1, 0], [0.3, np.sqrt(0.91)], [0.2, np.sqrt(0.96)]])
    s, _ = cosine_logits(np.array([[1.0, 0]]), k, tau)
    _, backward = cross_entropy_numpy(s, np.array([0]))
    assert backward()[0, 1] / backward()[0, 2] == pytest.approx(ratio, rel=1e-4)


@given(seeds, taus, st.sampled_from([np.float32, np.float64]))
def test_what_pulls_and_what_pushes_sum_to_0_in_each_row(seed, tau, dtype):
    """Σ_j p_ij − 1: M terms, each rounded in log_softmax, exp and the sum, 8 M u / N in all.

    And log p itself is rounded by u |log p|, which exp makes a relative error of p.
    """
    s, _ = cosine_logits(*batch(seed, dtype=dtype), tau)
    ds = cross_entropy_numpy(s, np.arange(N))[1]()
    u, M = unit_roundoff(dtype), s.shape[1]
    largest = abs(s - s.max(1, keepdims=True)).max()
    assert (abs(ds.sum(1, dtype=np.float64)) <= (8 * M + 2 * largest) * u / N).all()
    assert (ds.diagonal() <= 0).all() and (ds[~np.eye(N, M, dtype=bool)] >= 0).all()


@given(seeds, taus)
def test_the_gradient_is_tangent_to_the_sphere(seed, tau):            # since length is not seen
    q, k = batch(seed)
    for x, dx in zip((q, k), infonce(q, k, tau)[1]()):
        size = np.linalg.norm(x, axis=1) * np.linalg.norm(dx, axis=1) + 2 / tau
        assert (abs((dx * x).sum(1)) <= 8 * gamma(D + 4, u64) * size).all()


@given(seeds, st.floats(-10, 10))
def test_backward_scales_with_what_comes_from_above(seed, dloss):
    _, backward = infonce(*batch(seed))
    for once, scaled in zip(backward(), backward(dloss)):
        np.testing.assert_allclose(scaled, dloss * once, rtol=1e-12, atol=1e-12)


def test_the_same_text_twice_is_a_false_negative_that_costs_log_2_and_teaches_nothing():
    """Perfect vectors, e₀ for the text that is in the batch twice: p = ½, pull ½ and push ½."""
    E = np.eye(4)[[0, 0, 1, 2]]
    loss, backward = infonce(E, E, tau=0.01)
    assert loss == pytest.approx(2 * np.log(2) / 4, rel=1e-12)          # of 4 rows, two cost log 2
    assert all(abs(d).max() < 1e-12 for d in backward())
    near = E.copy()                                   # a paraphrase, k_1 at 0.1 radians from k_0,
    near[1] = np.cos(0.1), 0, 0, np.sin(0.1)          # has its partner's query pushed off itself
    dq, _, _ = infonce(E, near, tau=0.01)[1]()
    assert -dq[0] @ (near[1] - near[0]) < 0


@given(seeds, st.floats(0.05, 1))
def test_float32_is_float64_but_for_rounding(seed, tau):
    """A cosine errs by 2 γ(D + 4), a logit by 1/τ of it and its own rounding, L by two logits'."""
    q, k = batch(seed, dtype=np.float32)
    (one, back_one), (two, back_two) = infonce(q, k, tau), infonce(q.astype(float), k.astype(float),
                                                                   tau)
    assert isinstance(one, float)
    assert abs(one - two) <= 2 * (2 * gamma(D + 5, u32) / tau) + 8 * u32 * (1 + two)
    for d32, d64 in zip(back_one()[:2], back_two()):
        assert d32.dtype == np.float32
        # p errs by twice a logit's error, and the product with u or v by γ(M) more
        error = (8 * gamma(D + 5, u32) / tau + 2 * gamma(16, u32)) / tau
        shortest = min(np.linalg.norm(x, axis=1).min() for x in (q, k))
        assert abs(d32 - d64).max() <= error / shortest


@pytest.mark.parametrize("q,k", [((5, 7), (4, 7)), ((5, 7), (5, 6)), ((7,), (7,)), ((0, 7), (3, 7)),
                                 ((2, 5, 7), (2, 5, 7))])
def test_shapes_that_do_not_fit_are_refused(q, k):
    with pytest.raises(ValueError, match=r"queries \(N, D\).*got") as error:
        infonce(np.ones(q), np.ones(k))
    assert str(q) in str(error.value) and str(k) in str(error.value)
    with pytest.raises(ValueError):
        symmetric_infonce(np.ones(q), np.ones(k), 0.0)


def test_clips_loss_has_no_hard_negatives_and_no_temperature_is_0():
    with pytest.raises(ValueError, match=r"as many keys as queries, got \(5, 7\) and \(8, 7\)"):
        symmetric_infonce(*batch(0), 0.0)
    for tau in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="expected a positive number"):
            infonce(*batch(0), tau)


# ---- parity with the originals ------------------------------------------------------------------

def equal_to(theirs):
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


def test_the_originals_losses_and_gradients():
    equal_to(read_safetensors(GOLDEN)[0])


def test_the_originals_as_installed():
    for peer in ("torch", "sentence_transformers", "transformers"):
        pytest.importorskip(peer)
    equal_to(runpy.run_path(str(GOLDEN.with_name("make_infonce.py")))["originals"]())


@pytest.mark.parametrize("dtype, least", [(np.float32, 1.1e-19), (np.float64, 1.5e-154)])
def test_a_temperature_at_which_the_gradient_would_overflow_is_refused(dtype, least):
    q = np.eye(3, dtype=dtype)
    loss, backward = infonce(q, q[::-1].copy(), least)
    assert np.isfinite(loss) and all(np.isfinite(gradient).all() for gradient in backward())
    with pytest.raises(ValueError, match="^tau: expected a number whose 4/tau² is finite in float"):
        infonce(q, q, least / 2)
    with pytest.raises(ValueError, match="^tau: expected"):
        infonce(q, q, 1e-320)
