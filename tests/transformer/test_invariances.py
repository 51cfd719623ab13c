"""What the vectors of every family must not depend on, and what they must.

The same properties for all families: other texts of the batch and their order change nothing;
causal models do not see later tokens, and a window nothing beyond its reach, bit for bit; rotary
positions count as differences only; the gradient is the derivative.
"""
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.text.packed import pack, take
from scratch_embed.transformer import bert, distilbert, gpt2, mistral, mpnet, roberta
from tests.rounding import seeds
from tests.transformer.causal_parity import random_params

V, LONGEST = 13, 16
ATOL = {np.float64: 5e-14, np.float32: 1e-5}       # activations are of order 1
few = settings(max_examples=25)


class Case(NamedTuple):
    """A small model: its class, its config, and what its tokens see."""

    family: Any
    config: Any
    types: int = 1
    causal: bool = False
    window: int | None = None      # a token sees itself and window − 1 tokens before it, per layer
    rotary: bool = False

    def model(self, seed=0, dtype=np.float64):
        return self.family(self.config, random_params(
            self.family.architecture.tensors(self.config), seed % 5, dtype))

    def batch(self, seed):
        """A few texts; ids include 1, the padding id of RoBERTa and MPNet."""
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, LONGEST - 1, rng.integers(2, 6))
        return pack([rng.integers(0, V, t) for t in lengths],
                    [np.sort(rng.integers(0, self.types, t)) for t in lengths])


SIZES = {"vocab": V, "dim": 12, "layers": 2, "heads": 3, "ff": 20, "positions": LONGEST}
ROPE = SIZES | {"heads": 4, "kv_heads": 2, "head_dim": 6, "theta": 100.0}
CASES = {
    "bert": Case(bert.Bert, bert.Config(**SIZES), types=2),
    "roberta": Case(roberta.Roberta, roberta.Config(**SIZES, types=2), types=2),
    "distilbert": Case(distilbert.Distilbert, distilbert.Config(**SIZES)),
    "mpnet": Case(mpnet.Mpnet, mpnet.Config(**SIZES)),
    "gpt2": Case(gpt2.Gpt2, gpt2.Config(**SIZES), causal=True),
    "mistral": Case(mistral.Mistral, mistral.Config(**ROPE, sliding_window=3), causal=True,
                    window=3, rotary=True),
    "llama": Case(mistral.Llama, mistral.Config(**ROPE, attn_bias=True, mlp_bias=True),
                  causal=True, rotary=True),
}


def cases(fits=lambda case: True):
    return pytest.mark.parametrize("case", [case for case in CASES.values() if fits(case)],
                                   ids=[name for name, case in CASES.items() if fits(case)])


every_family = cases()
causal = cases(lambda case: case.causal)
bidirectional = cases(lambda case: not case.causal)


# ---- the other texts of a batch ------------------------------------------------------------------

@every_family
@pytest.mark.parametrize("dtype", ATOL)
@few
@given(seed=seeds)
def test_a_text_has_the_same_vectors_alone_in_any_batch_and_in_any_order(case, dtype, seed):
    batch, model = case.batch(seed), case.model(seed, dtype)
    x = model.infer(batch)
    order = np.random.default_rng(seed).permutation(len(batch.offsets) - 1)
    reordered, y = take(batch, order), model.infer(take(batch, order))
    for i, n in enumerate(order):
        expected = x[batch.offsets[n]:batch.offsets[n + 1]]
        found = y[reordered.offsets[i]:reordered.offsets[i + 1]]
        np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL[dtype])
        np.testing.assert_allclose(model.infer(take(batch, np.array([n]))), expected, rtol=0,
                                   atol=ATOL[dtype])


@every_family
@few
@given(seed=seeds)
def test_float32_is_float64_up_to_rounding_and_infer_is_encode(case, seed):
    batch, model = case.batch(seed), case.model(seed, np.float32)
    x = model.infer(batch)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(model.encode(batch)[0], x)
    x64 = model.with_params(model.p.copy(np.float64)).infer(batch)
    np.testing.assert_allclose(x, x64, rtol=0, atol=ATOL[np.float32])


# ---- the other tokens of a text ------------------------------------------------------------------

@causal
@pytest.mark.parametrize("dtype", ATOL)
@few
@given(seed=seeds, t=st.integers(2, LONGEST), data=st.data())
def test_later_tokens_change_no_bit_of_a_causal_vector(case, dtype, seed, t, data):
    cut, rng, model = data.draw(st.integers(1, t - 1)), np.random.default_rng(seed), case.model(
        seed, dtype)
    ids = rng.integers(0, V, t)
    other = np.concatenate([ids[:cut], rng.integers(0, V, t - cut)])
    np.testing.assert_array_equal(model.infer(pack([other]))[:cut], model.infer(pack([ids]))[:cut])


@cases(lambda case: case.window)
@pytest.mark.parametrize("dtype", ATOL)
@few
@given(seed=seeds, t=st.integers(2, 3 * LONGEST), data=st.data())
def test_tokens_beyond_the_reach_of_the_window_change_no_bit(case, dtype, seed, t, data):
    """In each of L layers a token reaches window − 1 tokens back."""
    reach = case.config.layers * (case.window - 1)
    cut, rng, model = data.draw(st.integers(1, t)), np.random.default_rng(seed), case.model(
        seed, dtype)
    ids = rng.integers(0, V, t)
    other = np.concatenate([rng.integers(0, V, cut), ids[cut:]])
    x, y = model.infer(pack([ids])), model.infer(pack([other]))
    np.testing.assert_array_equal(y[cut + reach:], x[cut + reach:])


@cases(lambda case: case.window)
def test_the_window_reaches_exactly_so_far(case):
    """The token at reach sees the changed token 0; the next one does not."""
    reach, model = case.config.layers * (case.window - 1), case.model()
    x, y = (model.infer(pack([[first, *range(1, 10)]])) for first in (0, 12))
    changed = (x != y).any(1)
    assert changed[:reach + 1].all() and not changed[reach + 1:].any()


@bidirectional
@few
@given(seed=seeds, t=st.integers(1, LONGEST - 2), data=st.data())
def test_each_token_changes_all_vectors_of_a_bidirectional_model(case, seed, t, data):
    """Id 1 is left out: it would change the positions of RoBERTa and MPNet, too."""
    n, rng, model = data.draw(st.integers(0, t - 1)), np.random.default_rng(seed), case.model(seed)
    ids = rng.integers(2, V, t)
    other = ids.copy()
    other[n] = 2 + (ids[n] - 1) % (V - 2)
    assert (abs(model.infer(pack([other])) - model.infer(pack([ids]))).max(1) > 1e-6).all()


# ---- positions -----------------------------------------------------------------------------------

@cases(lambda case: case.rotary and case.window)
@few
@given(seed=seeds, n=st.integers(0, 300), m=st.integers(0, 300), t=st.integers(1, LONGEST))
def test_rotary_positions_count_as_differences_only(case, seed, n, m, t):
    """A text has the same vectors after n and after m tokens that it cannot see.

    Between them are as many tokens as the text's first vector can see, in both cases the same.
    """
    rng, model = np.random.default_rng(seed), case.model(seed)
    text = rng.integers(0, V, case.config.layers * (case.window - 1) + t)
    x, y = (model.infer(pack([[*rng.integers(0, V, before), *text]]))[-t:] for before in (n, m))
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-12)


@cases(lambda case: not case.rotary)
def test_absolute_positions_change_the_vectors(case):
    """The vectors of two equal tokens at different positions differ, by positions alone."""
    model = case.model()
    x = model.infer(pack([[5, 5, 5]]))
    assert abs(x[1] - x[0]).max() > 1e-3 and abs(x[2] - x[1]).max() > 1e-3


# ---- gradients -----------------------------------------------------------------------------------

@every_family
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.2, 7)], ids=["", "dropout"])
def test_the_gradient_is_the_derivative_along_a_random_direction(case, dropout):
    batch, model = case.batch(3), case.model(2)
    dx = np.random.default_rng(1).standard_normal((len(batch.ids), model.dim))

    def loss(p):
        x, backward = model.with_params(p).encode(batch, dropout)
        return (dx * x).sum(), lambda g: backward(dx, g)
    check_loss(loss, model.p)


@every_family
def test_the_gradients_of_two_batches_add_up_and_inputs_are_unchanged(case):
    model, batches = case.model(1), [case.batch(1), case.batch(2)]
    before, together, separate = model.p.flat.copy(), model.p.like(), []
    for batch in batches:
        ids = batch.ids.copy()
        x, backward = model.encode(batch)
        g = model.p.like()
        backward(np.ones_like(x), g)
        backward(np.ones_like(x), together)
        separate.append(g.flat)
        np.testing.assert_array_equal(batch.ids, ids)
    np.testing.assert_array_equal(model.p.flat, before)
    np.testing.assert_allclose(together.flat, sum(separate), rtol=0,
                               atol=1e-13 * abs(together.flat).max())
