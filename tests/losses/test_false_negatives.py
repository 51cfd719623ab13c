"""Masks of false negatives: worked by hand, what they have in common, and GISTEmbed's loss."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.false_negatives import (
    equal_labels,
    equal_texts,
    guide_scores,
    text_numbers,
)
from scratch_embed.losses.infonce import cosine_logits, infonce
from scratch_embed.nn.softmax import softmax
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import seeds

N, M, G = 5, 8, 4


def numbers(seed, count):
    """(count,) numbers of texts, with repetitions."""
    return np.random.default_rng(seed).integers(0, 6, count)


# ---- worked by hand -----------------------------------------------------------------------------

def test_equal_texts_worked_by_hand():
    """Queries a, b, a; positives x, x, y; hard negatives z, a, y.

    Queries 0 and 2 are the same text, so x and y are right for both, wherever they occur, and a is
    the query itself.  For query 1 only x is right.
    """
    q, *keys = text_numbers(list("aba"), list("xxy"), list("zay")).T
    assert equal_texts(q, np.concatenate(keys)).astype(int).tolist() == [[1, 1, 1, 0, 1, 1],
                                                                         [1, 1, 0, 0, 0, 0],
                                                                         [1, 1, 1, 0, 1, 1]]


def test_equal_labels_worked_by_hand():
    assert equal_labels(np.array([3, 1, 3]), M=4).astype(int).tolist() == [[1, 0, 1, 0],
                                                                           [0, 1, 0, 0],
                                                                           [1, 0, 1, 0]]


def test_guide_scores_worked_by_hand():
    """Cosines of query (1, 0): 0.8 with its positive, 1, 0.75 and 0.6 with the others."""
    q = np.array([[1.0, 0.0]])
    k = np.array([[0.8, 0.6], [2.0, 0.0], [0.75, np.sqrt(1 - 0.75**2)], [0.6, 0.8]])
    assert guide_scores(q, k).tolist() == [[False, True, False, False]]
    assert guide_scores(q, k, margin=0.1).tolist() == [[True, True, True, False]]
    assert guide_scores(q, k, relative_margin=0.2).tolist() == [[True, True, True, False]]  # > 0.64
    assert guide_scores(q, k, 0.1, 0.2).tolist() == [[True, True, True, True]]              # > 0.54


def test_text_numbers_worked_by_hand():
    assert text_numbers(["b", "a"], ["a", "c"]).tolist() == [[1, 0], [0, 2]]
    assert text_numbers([], []).shape == (0, 2)


def test_a_duplicate_costs_nothing_once_it_is_masked():
    """Orthogonal vectors, the text of e₀ twice: without the mask two of four rows lose log 2."""
    E = np.eye(4)[[0, 0, 1, 2]]
    texts = np.array([7, 7, 8, 9])
    assert infonce(E, E, 0.01)[0] == pytest.approx(2 * np.log(2) / 4)
    assert infonce(E, E, 0.01, equal_texts(texts, texts))[0] == pytest.approx(0, abs=1e-40)


@given(seeds, st.integers(1, N), st.floats(0.1, 2))
def test_m_copies_of_an_answer_shrink_the_gradient_of_its_query(seed, m, tau):
    """By 1 − (m − 1) p, with p the probability of each copy: each copy's push cancels a pull."""
    q, k = np.random.default_rng(seed).standard_normal((2, N, G))
    k[:m] = k[0]
    texts = np.array([0] * m + list(range(m, N)))
    mask = equal_texts(N + np.arange(N), texts)
    p = softmax(cosine_logits(q, k, tau)[0])[0][0, 0]
    (dq, *_), (masked, *_) = infonce(q, k, tau)[1](), infonce(q, k, tau, mask)[1]()
    np.testing.assert_allclose(dq[0], (1 - (m - 1) * p) * masked[0], rtol=1e-6, atol=1e-12)


# ---- what they have in common -------------------------------------------------------------------

@given(seeds)
def test_equal_texts_masks_exactly_the_pairs_of_its_definition(seed):
    q, k = numbers(seed, N), numbers(seed + 1, M)
    for i, j in np.ndindex(N, M):
        want = k[j] == q[i] or any(q[n] == q[i] and k[n] == k[j] for n in range(N))
        assert equal_texts(q, k)[i, j] == want


@given(seeds, st.permutations(range(N)))
def test_reordering_the_examples_reorders_the_mask(seed, order):
    q, k = numbers(seed, N), numbers(seed + 1, N)
    x, y = np.random.default_rng(seed).standard_normal((2, N, G))
    for mask, again in ((equal_texts(q, k), equal_texts(q[order], k[order])),
                        (equal_labels(q, N), equal_labels(q[order], N)),
                        (guide_scores(x, y, 0.1), guide_scores(x[order], y[order], 0.1))):
        assert (again == mask[order][:, order]).all()


@given(seeds, st.floats(0, 0.5))
def test_a_wider_margin_masks_more(seed, margin):
    x, y = np.random.default_rng(seed).standard_normal((2, N, G))
    mask = guide_scores(x, y, margin)
    assert (mask <= guide_scores(x, y, margin + 0.1)).all()
    assert (mask <= guide_scores(x, y, margin, relative_margin=0.1)).all()
    assert guide_scores(x, y, margin=2.1).all()


@given(seeds)
def test_different_texts_and_a_good_guide_mask_no_negative(seed):
    texts = np.random.default_rng(seed).permutation(2 * N)
    off_diagonal = ~np.eye(N, dtype=bool)
    assert not equal_texts(texts[:N], texts[N:])[off_diagonal].any()
    assert not guide_scores(np.eye(N), np.eye(N), margin=0.9)[off_diagonal].any()


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_gist_embed_loss(source):
    """GISTEmbedLoss with margin 0.25, without its negatives among queries and among positives."""
    q, *keys = (INPUTS[view] for view in "uvw")
    guide, *guide_keys = INPUTS["guide"]
    mask = guide_scores(guide, np.concatenate(guide_keys), margin=0.25)
    assert 0 < mask[~np.eye(*mask.shape, dtype=bool)].mean() < 1
    loss, backward = infonce(q, np.concatenate(keys), 0.05, mask)
    dq, dk, _ = backward()
    assert_equal_to(source(), "guide", loss, [dq, *np.split(dk, 2)])
