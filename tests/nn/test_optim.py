"""AdamW against its equation and torch; clipping and the learning rate worked by hand."""
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn import optim
from scratch_embed.nn.optim import (
    AdamW,
    AdamWNumbers,
    adamw,
    adamw_kernel,
    clip_factor,
    linear_warmup_decay,
)
from scratch_embed.nn.params import Params, Tensor
from scratch_embed.numerics.workers import parallel_map, serial_map
from tests.rounding import dtypes, seeds, u32

GOLDEN = Path(__file__).parents[1] / "golden"
TENSORS = {"w.weight": Tensor((2, 3), decay=True), "w.bias": Tensor((4,))}


def params(weight, bias, dtype=np.float64):
    p = Params({"w.weight": Tensor(np.shape(weight), decay=True),
                "w.bias": Tensor(np.shape(bias))}, dtype)
    p["w.weight"][...], p["w.bias"][...] = weight, bias
    return p


def filled(seed, dtype=np.float64):
    p = Params(TENSORS, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-15), (np.float32, 1e-6)])
def test_two_steps_worked_by_hand(dtype, rtol):
    """lr = 1, β₁ = β₂ = ½, ε = 0; g = 1 in step 1 and −1 in step 2, so v̂ = 1 in both.

    t = 1: m = ½, m̂ = 1, θ = 4 − 1.   t = 2: m = ¼ − ½, m̂ = −¼ / ¾, θ = 3 + ⅓.
    With λ = ¼, each step first multiplies θ by ¾: θ = 4 · ¾ − 1 = 2, then 2 · ¾ + ⅓.
    """
    p = params([4], [4], dtype)
    optimizer, g = AdamW(p, betas=(0.5, 0.5), eps=0, weight_decay=0.25), p.like()
    for value, decayed, plain in [(1, 2, 3), (-1, 1.5 + 1 / 3, 3 + 1 / 3)]:
        g.flat[:] = value
        optimizer.step([g], lr=1)
        np.testing.assert_allclose(p.flat, [decayed, plain], rtol=rtol)
    assert optimizer.steps == 2


@given(seeds, st.floats(-4, 4))
def test_the_first_step_has_the_size_of_the_learning_rate_for_any_gradient(seed, exponent):
    """m̂ = g and v̂ = g², so with ε = 0 each parameter moves by −lr sign(g)."""
    p = filled(seed)
    before, g = p.flat.copy(), filled(seed + 1)
    g.flat *= 10.0**exponent
    AdamW(p, weight_decay=0, eps=0).step([g], 0.01)
    np.testing.assert_allclose(p.flat, before - 0.01 * np.sign(g.flat), rtol=0, atol=1e-14)


@dtypes
def test_weight_decay_shrinks_only_tensors_that_are_declared_to_decay(dtype):
    """The declaration decides, not the name: here c.bias decays and b.weight does not."""
    p = Params({"a.weight": Tensor((3,), decay=True), "b.weight": Tensor((3,)),
                "c.bias": Tensor((3,), decay=True), "d.bias": (3,)}, dtype)
    p.flat[:] = 8
    AdamW(p, weight_decay=0.5).step([p.like()], 0.5)              # gradients of zero: decay alone
    assert {name for name, x in p.items() if (x == 6).all()} == {"a.weight", "c.bias"}
    assert {name for name, x in p.items() if (x == 8).all()} == {"b.weight", "d.bias"}


@dtypes
def test_a_frozen_tensor_has_no_moments_and_does_not_affect_the_others(dtype):
    p = filled(1, dtype)
    frozen, alone = p.freeze(["w.weight"]), p.only(["w.bias"])
    for q in (frozen, alone):
        optimizer, g = AdamW(q), q.like()
        g.flat[:] = [1, -2, 3, 4]
        optimizer.step([g], 0.1)
        assert set(optimizer.state()) == {"m/w.bias", "v/w.bias", "steps"}
    np.testing.assert_array_equal(frozen["w.bias"], alone["w.bias"])
    np.testing.assert_array_equal(frozen["w.weight"], p["w.weight"])


def test_an_optimizer_with_a_restored_state_continues_with_the_same_bits():
    p = filled(1, np.float32)
    first = AdamW(p)
    first.step([filled(2, np.float32)], 0.1)
    q = p.copy()
    second = AdamW(q)
    for name, array in second.state().items():
        array[...] = first.state()[name]
    for optimizer in (first, second):
        optimizer.step([filled(3, np.float32)], 0.1)
    np.testing.assert_array_equal(p.flat, q.flat)
    assert first.steps == second.steps == 2


@dtypes
def test_a_learning_rate_of_zero_changes_only_the_moments(dtype):
    p = filled(1, dtype)
    before, optimizer = p.flat.copy(), AdamW(p)
    optimizer.step([filled(2, dtype)], 0.0)
    np.testing.assert_array_equal(p.flat, before)
    assert optimizer.m.flat.all() and optimizer.v.flat.all()


# ---- the original -------------------------------------------------------------------------------

def ours(case):
    """{name: its values after each step} of our AdamW."""
    p = params(case["first"]["w"], case["first"]["b"])
    optimizer = AdamW(p, case["betas"], case["eps"], case["decay"])
    after = {"w": [], "b": []}
    for step, lr in enumerate(case["rates"]):
        optimizer.step([params(case["grads"]["w"][step], case["grads"]["b"][step])], lr)
        after["w"].append(p["w.weight"].tolist())
        after["b"].append(p["w.bias"].tolist())
    return after


def assert_equal(ours, theirs):
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12, atol=1e-12)


def test_equals_torchs_adamw():
    case = json.loads((GOLDEN / "optim.json").read_text())
    assert_equal(ours(case), case["after"])


@pytest.mark.parametrize("wrong", [{"betas": (0.85, 0.9701)}, {"eps": 2e-6}, {"decay": 0.301}])
def test_the_golden_values_reject_other_settings(wrong):
    case = json.loads((GOLDEN / "optim.json").read_text())
    with pytest.raises(AssertionError):
        assert_equal(ours(case | wrong), case["after"])


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_installed_torchs_adamw(seed):
    pytest.importorskip("torch")
    make = runpy.run_path(GOLDEN / "make_optim.py")
    rng = np.random.default_rng(seed)
    first, grads = make["draw"](seed)
    case = {"first": first, "grads": grads, "betas": tuple(rng.uniform(0.5, 0.999, 2)),
            "eps": 10.0 ** rng.uniform(-10, -3), "decay": rng.random(),
            "rates": rng.uniform(0, 0.3, 7).tolist()}
    theirs = make["run"](first, grads, case["betas"], case["eps"], case["decay"], case["rates"])
    assert_equal(ours(case), theirs)


# ---- the kernel ---------------------------------------------------------------------------------

@given(seeds, st.floats(-12, 12), st.integers(1, 5000), st.sampled_from([0.0, 0.01, 0.5]))
def test_the_kernel_is_within_its_rounding_bound(seed, exponent, t, decay):
    """Relative errors: m γ(5) of Σ |terms|, v γ(7), √v̂ + ε γ(8), the quotient γ(16).

    So θ has an error of 20 u (|θ| + the step with Σ |terms| in place of m).
    """
    rng = np.random.default_rng(seed)
    n, b1, b2, lr, eps = 33, 0.9, 0.999, 1e-3, 1e-8
    theta, g, m = (rng.standard_normal(n).astype(np.float32) for _ in range(3))
    g, m = g * np.float32(10.0**exponent), m * np.float32(10.0**exponent)
    v, c = m * m, rng.random()                               # c: the clip factor
    numbers = AdamWNumbers(lr, c, b1, 1 - b1, b2, 1 - b2, eps, 1 - b1**t, 1 - b2**t)
    exact = [x.astype(np.float64) for x in (theta, g, m, v)]
    terms = b1 * abs(exact[2]) + (1 - b1) * c * abs(exact[1])
    adamw(*exact, decay, numbers)
    adamw_kernel(theta, g, m, v, np.float32(decay), AdamWNumbers(*map(np.float32, numbers)))
    want, _, want_m, want_v = exact
    assert (abs(m - want_m) <= 5 * u32 * terms).all()
    assert (abs(v - want_v) <= 7 * u32 * want_v + 2.0**-140).all()       # g² may be subnormal
    step = lr / (1 - b1**t) * terms / (np.sqrt(want_v / (1 - b2**t)) + eps)
    assert (abs(theta - want) <= 20 * u32 * (abs(want) + step)).all()


# ---- several workers ----------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_several_workers_step_along_the_clipped_sum_of_their_gradients(monkeypatch, dtype, workers):
    """Threads give the bits of a serial loop; summing the gradients first changes only rounding."""
    monkeypatch.setattr(optim, "BLOCK", 5)
    names = {"a.weight": Tensor((3, 4), decay=True), "a.bias": (7,),
             "b.weight": Tensor((2, 2), decay=True), "none": (0,)}

    def train(map, sum_first):
        p = Params(names, dtype)
        p.flat[:] = 1
        rng = np.random.default_rng(0)
        optimizer, norms = AdamW(p, weight_decay=0.1), []
        for _ in range(3):
            grads = [p.like() for _ in range(workers)]
            for g in grads:
                g.flat[:] = rng.standard_normal(g.flat.size)
            if sum_first:
                for g in grads[1:]:
                    grads[0].flat += g.flat
                norms.append(float(np.linalg.norm(grads[0].flat)))
                grads[0].flat *= dtype(clip_factor(norms[-1], 2.0))
                optimizer.step(grads[:1], 0.1)
            else:
                norms.append(optimizer.step(grads, 0.1, 2.0, map))
        return p.flat, norms

    serial, norms = train(serial_map, False)
    with parallel_map(workers) as run:
        threaded, threaded_norms = train(run, False)
    np.testing.assert_array_equal(threaded, serial)
    assert threaded_norms == norms
    summed, summed_norms = train(serial_map, True)
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(norms, summed_norms, rtol=rounding)
    np.testing.assert_allclose(serial, summed, rtol=8 * rounding)  # 3 steps; c g is rounded twice


# ---- clipping -----------------------------------------------------------------------------------

def test_clipping_worked_by_hand():
    assert clip_factor(5.0, 10.0) == 1 and clip_factor(5.0, 2.5) == 0.5
    assert clip_factor(0.0, 1.0) == 1 and np.isnan(clip_factor(np.inf, 1.0))


@dtypes
@given(seed=seeds, exponent=st.floats(-15, 15))
def test_a_clipped_step_equals_the_step_along_the_scaled_gradient(dtype, seed, exponent):
    """m = (1 − β₁) c g has a relative error of γ(12): 10 squares and a root in c, two products."""
    g = filled(seed, dtype)
    g.flat *= dtype(10.0**exponent)
    norm, rounding = math.hypot(*g.flat.astype(np.float64)), 12 * float(np.finfo(dtype).eps)
    scaled, clipped = g.copy(), AdamW(filled(0, dtype))
    scaled.flat *= dtype(min(1, 1 / norm))
    assert clipped.step([g], 0.1, max_grad_norm=1.0) == pytest.approx(norm, rel=rounding)
    by_hand = AdamW(filled(0, dtype))
    by_hand.step([scaled], 0.1)
    np.testing.assert_allclose(clipped.m.flat, by_hand.m.flat, rtol=rounding, atol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_gradient_without_a_finite_norm_makes_parameters_nan(value):
    """The square of 1e30 overflows float32.  A clip factor of 0 would hide the overflow."""
    p = filled(1, np.float32)
    g = p.like()
    g.flat[0] = value
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(AdamW(p).step([g], 0.1, max_grad_norm=1.0))
        assert np.isnan(p.flat).any()


# ---- the learning rate --------------------------------------------------------------------------

def test_the_learning_rate_worked_by_hand():
    """Ten steps: four rise to 8, six fall to 0."""
    rates = [linear_warmup_decay(step, 10, 8.0, 0.4) for step in range(1, 11)]
    np.testing.assert_allclose(rates, [2, 4, 6, 8, 40 / 6, 32 / 6, 4, 16 / 6, 8 / 6, 0], rtol=1e-15)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(1e-6, 10))
def test_the_learning_rate_rises_then_falls_and_never_exceeds_its_peak(steps, warmup_ratio, peak):
    rates = [linear_warmup_decay(step, steps, peak, warmup_ratio) for step in range(1, steps + 1)]
    assert min(rates) >= 0 and max(rates) <= peak * (1 + 2**-50)
    top = int(np.argmax(rates))
    assert (np.diff(rates[:top + 1]) >= 0).all() and (np.diff(rates[top:]) <= 1e-15 * peak).all()


def test_warmup_may_take_all_steps_or_none():
    assert [linear_warmup_decay(step, 4, 1.0, 1.0) for step in range(1, 5)] == [.25, .5, .75, 1]
    assert [linear_warmup_decay(step, 4, 1.0, 0.0) for step in range(1, 5)] == [.75, .5, .25, 0]
