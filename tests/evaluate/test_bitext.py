"""Bitext mining: the nearest translation, the margin's correction of hubs, weighted F1."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.bitext import bitext_scores, mine, mine_by_margin
from tests.rounding import seeds


def bilingual_vectors(seed, N=40, D=8, noise=0.5):
    """N sentence vectors, and their translations: the same vectors plus noise."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((N, D))
    return A, A + noise * rng.standard_normal((N, D))


def test_a_hub_has_a_low_f1_worked_by_hand():
    # rows 0 and 1 are right; rows 2 and 3 find id 1 too: F1 of class 0 is 1, of class 1 2/(1 + 3)
    scores = bitext_scores([0, 1, 1, 1])
    assert scores.f1 == pytest.approx((1 + 1 / 2) / 4, rel=1e-15)
    assert scores.precision == pytest.approx((1 + 1 / 3) / 4, rel=1e-15)
    assert scores.recall == scores.accuracy == 1 / 2
    assert bitext_scores([0, 1, 1, 1], [0, 1, 1, 1]).f1 == 1            # gold ids may repeat
    assert bitext_scores([0, 9]).f1 == 1 / 2                 # 9 is not a gold id: weight 0


def test_the_margin_corrects_a_hub():
    # B[3] is a hub: it is nearer to every row x of A than the translation of x.  The cosines of x
    # are .985 with the hub, .875 with its translation, and .711 with the other two rows of B.  The
    # mean of the 3 largest cosines is .857 for x, .985 for the hub, .766 for B[0], B[1] and B[2].
    # Margins: .985 / ((.857 + .985)/2) = 1.069 with the hub,
    # .875 / ((.857 + .766)/2) = 1.079 with the translation.
    A = np.array([[1, .7, .7], [.7, 1, .7], [.7, .7, 1]])
    B = np.array([[1, .2, .2], [.2, 1, .2], [.2, .2, 1], [1, 1, 1]])
    assert mine(A, B)[0].tolist() == [3, 3, 3]
    assert mine_by_margin(A, B, k=3)[0].tolist() == [0, 1, 2]
    assert mine_by_margin(A, B, k=3)[1] == pytest.approx([1.0786] * 3, abs=2e-4)


@given(seeds, st.integers(1, 6))
def test_the_margin_equals_the_papers_ratio(seed, k):
    A, B = bilingual_vectors(seed, N=12, D=5)
    A, B = A + 3, B + 3                                      # an anisotropic space: cosines > 0
    u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (A, B))
    cos = u @ v.T
    sum_x = np.sort(cos, axis=1)[:, -k:].sum(axis=1)         # of the k largest cosines
    sum_y = np.sort(cos, axis=0)[-k:].sum(axis=0)
    margin = cos / (sum_x[:, None] / (2 * k) + sum_y / (2 * k))
    ids, margins = mine_by_margin(A, B, k)
    assert margins == pytest.approx(margin[np.arange(12), ids], abs=1e-12)
    candidates = np.argsort(-cos, axis=1)[:, :k]
    assert margins == pytest.approx(np.take_along_axis(margin, candidates, 1).max(1), abs=1e-12)


@given(seeds)
def test_with_k_1_the_margin_finds_the_nearest(seed):
    A, B = bilingual_vectors(seed)
    np.testing.assert_array_equal(mine_by_margin(A, B, k=1)[0], mine(A, B)[0])


@given(seeds)
def test_rotation_and_vector_lengths_have_no_effect(seed):
    A, B = bilingual_vectors(seed)
    rng = np.random.default_rng(seed)
    R = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    ids, cosines = mine(A, B)
    rotated, rotated_cosines = mine(A @ R * rng.uniform(1, 9, (40, 1)), B @ R)
    np.testing.assert_array_equal(rotated, ids)
    assert rotated_cosines == pytest.approx(cosines, abs=1e-14)


def test_translations_without_noise_are_all_found_and_ties_go_to_the_lowest_id():
    A, _ = bilingual_vectors(1)
    assert bitext_scores(mine(A, 3 * A)[0]) == (1, 1, 1, 1)
    assert mine([[1.0, 0]], [[0, 1], [2, 0], [1, 0]])[0].tolist() == [1]


def test_without_positive_cosines_the_margin_search_returns_the_nearest():
    ids, margins = mine_by_margin([[1.0, 0]], [[-1, 0], [-1, 1]])
    assert ids.tolist() == [1] and margins.tolist() == [-np.inf]


def test_empty_tables_unequal_dimensions_and_k_0_are_refused():
    with pytest.raises(ValueError, match="B: expected at least one sentence"):
        mine(np.ones((2, 3)), np.ones((0, 3)))
    with pytest.raises(ValueError, match="the same D"):
        mine(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="k=.*: expected a whole number, 1 to"):
        mine_by_margin(np.ones((2, 3)), np.ones((2, 3)), k=0)


@given(seeds)
def test_weighted_f1_equals_scikit_learn_live(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    A, B = bilingual_vectors(seed, noise=1.5)
    found, gold = mine(A, B)[0], np.arange(40)
    want = metrics.f1_score(gold, found, average="weighted", zero_division=0)
    assert bitext_scores(found).f1 == pytest.approx(want, abs=1e-12)
