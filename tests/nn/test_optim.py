"""AdamW is its equation and torch's; clipping and the learning rate, worked by hand."""
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn import optim
from scratch_embed.nn.optim import AdamW, adamw, adamw_kernel, clip, sgd, warm_up_then_decay
from scratch_embed.nn.params import Params
from scratch_embed.numerics.workers import parallel_map, serial_map
from tests.rounding import seeds, u32

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = {"w.weight": (2, 3), "w.bias": (4,)}


def params(weight, bias, dtype=np.float64):
    p = Params({"w.weight": np.shape(weight), "w.bias": np.shape(bias)}, dtype)
    p["w.weight"][...], p["w.bias"][...] = weight, bias
    return p


def filled(seed, dtype=np.float64):
    p = Params(SHAPES, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-15), (np.float32, 1e-6)])
def test_two_steps_worked_by_hand(dtype, rtol):
    """β = ½, ε = 0, g = 1 and then −1, v̂ = 1 in both.

    t = 1: m = ½, m̂ = 1, θ = 4 − 1.   t = 2: m = ¼ − ½, m̂ = −¼ / ¾, θ = 3 + ⅓.
    With λ = ¼ θ is first times ¾: 4 · ¾ − 1 = 2, then 2 · ¾ + ⅓.
    """
    p = params([4], [4], dtype)
    optimizer, g = AdamW(p, betas=(0.5, 0.5), eps=0, decay=0.25), p.like()
    for value, decayed, plain in [(1, 2, 3), (-1, 1.5 + 1 / 3, 3 + 1 / 3)]:
        g.flat[:] = value
        optimizer.step([g], lr=1)
        np.testing.assert_allclose(p.flat, [decayed, plain], rtol=rtol)
    assert optimizer.steps == 2


@given(seeds, st.floats(-4, 4))
def test_the_first_step_is_the_learning_rate_whatever_the_size_of_the_gradient(seed, size):
    """m̂ = g and v̂ = g², so each number moves by lr sign(g), but for ε."""
    p = filled(seed)
    before, g = p.flat.copy(), filled(seed + 1)
    g.flat *= 10.0**size
    AdamW(p, decay=0, eps=0).step([g], 0.01)
    np.testing.assert_allclose(p.flat, before - 0.01 * np.sign(g.flat), rtol=0, atol=1e-14)


def test_sgd_goes_down_the_gradient():
    p, g = params([1.0, 2], [3.0], np.float32), params([10.0, 0], [-10], np.float32)
    sgd(p, g, 0.5)
    assert p.flat.tolist() == [-4, 2, 8] and p.flat.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_decay_shrinks_weights_and_leaves_biases_and_norms(dtype):
    names = {"a.weight": (3,), "LayerNorm.weight": (3,), "LayerNorm.bias": (3,), "b.weight": (3,),
             "b.bias": (3,), "cls.predictions.bias": (3,), "c.weight": (3,)}
    p = Params(names, dtype)
    p.flat[:] = 8
    AdamW(p, decay=0.5).step([p.like()], 0.5)                     # gradients of zero: decay alone
    assert {name for name, x in p.items() if (x == 6).all()} == {
        "a.weight", "b.weight", "c.weight"}
    assert {name for name, x in p.items() if (x == 8).all()} == {
        "LayerNorm.weight", "LayerNorm.bias", "b.bias", "cls.predictions.bias"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_learning_rate_of_zero_changes_nothing_but_the_means(dtype):
    p = filled(1, dtype)
    before, optimizer = p.flat.copy(), AdamW(p)
    optimizer.step([filled(2, dtype)], 0.0)
    np.testing.assert_array_equal(p.flat, before)
    assert optimizer.m.all() and optimizer.v.all()


# ---- the original -------------------------------------------------------------------------------

def ours(case):
    """{name: what we make of it, after each step}."""
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
def test_the_frozen_values_tell_another_optimiser_apart(wrong):
    case = json.loads((GOLDEN / "optim.json").read_text())
    with pytest.raises(AssertionError):
        assert_equal(ours(case | wrong), case["after"])


@pytest.mark.parametrize("seed", range(3))
def test_equals_torchs_adamw_as_installed(seed):
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
def test_the_kernel_takes_the_step_of_the_equation(seed, size, t, decay):
    """m within γ(5) of its terms, v within γ(7) of itself, √v̂ + ε within γ(8), the quotient γ(16).

    So θ is within 20 u of |θ| plus the step that all terms of m would make together.
    """
    rng = np.random.default_rng(seed)
    n, b1, b2, lr, eps = 33, 0.9, 0.999, 1e-3, 1e-8
    theta, g, m = (rng.standard_normal(n).astype(np.float32) for _ in range(3))
    g, m = g * np.float32(10.0**size), m * np.float32(10.0**size)
    v, c = m * m, rng.random()
    numbers = np.array([lr, c, b1, 1 - b1, b2, 1 - b2, eps, 1 - b1**t, 1 - b2**t])
    exact = [x.astype(np.float64) for x in (theta, g, m, v)]
    terms = b1 * abs(exact[2]) + (1 - b1) * c * abs(exact[1])
    adamw(*exact, decay, numbers)
    adamw_kernel(theta, g, m, v, np.float32(decay), numbers.astype(np.float32))
    want, _, want_m, want_v = exact
    assert (abs(m - want_m) <= 5 * u32 * terms).all()
    assert (abs(v - want_v) <= 7 * u32 * want_v + 2.0**-140).all()       # g² may be subnormal
    step = lr / (1 - b1**t) * terms / (np.sqrt(want_v / (1 - b2**t)) + eps)
    assert (abs(theta - want) <= 20 * u32 * (abs(want) + step)).all()


# ---- several workers ----------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_step_along_the_sum_of_their_gradients_clipped(monkeypatch, dtype, workers):
    """In pieces of five numbers, shared out or in turn: the same bits; and the sum's step."""
    monkeypatch.setattr(optim, "PIECE", 5)
    names = {"a.weight": (3, 4), "a.bias": (7,), "b.weight": (2, 2), "none": (0,)}

    def stepped(each, together):
        p = Params(names, dtype)
        p.flat[:] = 1
        rng = np.random.default_rng(0)
        optimizer, norms = AdamW(p, decay=0.1), []
        for _ in range(3):
            grads = [p.like() for _ in range(workers)]
            for g in grads:
                g.flat[:] = rng.standard_normal(g.flat.size)
            if together:
                for g in grads[1:]:
                    grads[0].flat += g.flat
                norms.append(clip(grads[0], 2.0))
                optimizer.step(grads[:1], 0.1)
            else:
                norms.append(optimizer.step(grads, 0.1, 2.0, each))
        return p.flat, norms

    alone, norms = stepped(serial_map, False)
    with parallel_map(workers) as each:
        threads, same = stepped(each, False)
    np.testing.assert_array_equal(threads, alone)
    assert same == norms
    one, theirs = stepped(serial_map, True)
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(norms, theirs, rtol=rounding)
    np.testing.assert_allclose(alone, one, rtol=8 * rounding)      # 3 steps; c rounds once more


# ---- clipping -----------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_worked_by_hand(dtype):
    g = params([3.0], [4.0], dtype)
    assert clip(g, 10) == 5 and g.flat.tolist() == [3, 4]
    assert clip(g, 2.5) == 5 and g.flat.tolist() == [1.5, 2]


@given(seeds, st.floats(-15, 15), st.sampled_from([np.float32, np.float64]))
def test_a_clipped_gradient_has_its_direction_and_at_most_that_length(seed, size, dtype):
    """10 squares and a root: γ(8); one factor more."""
    g = filled(seed, dtype)
    g.flat *= dtype(10.0**size)
    before = g.flat.astype(np.float64)
    length, rounding = math.hypot(*before), 10 * float(np.finfo(dtype).eps)
    assert clip(g, 1.0) == pytest.approx(length, rel=rounding)
    np.testing.assert_allclose(g.flat, before * min(1, 1 / length), rtol=rounding, atol=0)


def test_a_gradient_of_zeros_is_left():
    g = params([0.0], [0.0])
    assert clip(g, 1.0) == 0 and not g.flat.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30])
def test_a_gradient_without_a_length_makes_parameters_no_numbers_so_that_the_loop_sees_it(wrong):
    """The square of 1e30 is no float32: clipped to 0, the run would stand still to its end."""
    p = filled(1, np.float32)
    g = p.like()
    g.flat[0] = wrong
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(AdamW(p).step([g], 0.1, longest=1.0))
        assert np.isnan(p.flat).any()
        assert not np.isfinite(clip(g, 1.0)) and np.isnan(g.flat).any()


# ---- the learning rate --------------------------------------------------------------------------

def test_the_learning_rate_worked_by_hand():
    """Ten steps, four of them up to 8, six down to 0."""
    rates = [warm_up_then_decay(step, 10, 8.0, 0.4) for step in range(1, 11)]
    np.testing.assert_allclose(rates, [2, 4, 6, 8, 40 / 6, 32 / 6, 4, 16 / 6, 8 / 6, 0], rtol=1e-15)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(1e-6, 10))
def test_the_rate_rises_then_falls_and_is_never_above_its_peak(steps, warm_up, peak):
    rates = [warm_up_then_decay(step, steps, peak, warm_up) for step in range(1, steps + 1)]
    assert min(rates) >= 0 and max(rates) <= peak * (1 + 2**-50)
    top = int(np.argmax(rates))
    assert (np.diff(rates[:top + 1]) >= 0).all() and (np.diff(rates[top:]) <= 1e-15 * peak).all()


def test_all_of_a_run_may_be_warm_up_and_none_of_it():
    assert [warm_up_then_decay(step, 4, 1.0, 1.0) for step in range(1, 5)] == [.25, .5, .75, 1]
    assert [warm_up_then_decay(step, 4, 1.0, 0.0) for step in range(1, 5)] == [.75, .5, .25, 0]
