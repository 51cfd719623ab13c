"""STS and summarisation: worked by hand, their invariances, equal to SciPy."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.sts import similarities, sts_scores
from scratch_embed.evaluate.summarisation import summarisation_scores
from tests.rounding import seeds

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/evaluate.json").read_text())


def pairs(seed, N=20, D=6):
    """A (N, D), B (N, D), which is A plus noise, and N scores from 0 to 5."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((N, D))
    return A, A + rng.standard_normal((N, D)), rng.integers(0, 6, N)


# ---- worked by hand --------------------------------------------------------

def test_the_four_similarities_worked_by_hand():
    found = similarities([[3.0, 4.0], [1.0, 0.0]], [[4.0, 3.0], [0.0, 2.0]])
    assert found.cosine.tolist() == [0.96, 0] and found.dot.tolist() == [24, 0]
    assert found.euclidean == pytest.approx([-math.sqrt(2), -math.sqrt(5)], rel=1e-15)
    assert found.manhattan.tolist() == [-2, -3]


def test_cosines_in_the_order_of_the_scores_give_spearman_1():
    A, B = [[1.0, 0]] * 3, [[1.0, 0], [1, 1], [0, 1]]
    scores = sts_scores(A, B, [5, 3, 0])
    assert scores.cosine.spearman == pytest.approx(1, abs=1e-15)
    # cosines 1, √½, 0 and scores 5, 3, 0: not on a line
    x = np.array([1, math.sqrt(0.5), 0])
    assert scores.cosine.pearson == pytest.approx(np.corrcoef(x, [5, 3, 0])[0, 1], abs=1e-14)
    assert sts_scores(A, B, [0, 3, 5]).cosine.spearman == pytest.approx(-1, abs=1e-15)


def test_a_summary_has_the_similarity_of_its_nearest_human_summary():
    human = [[[1.0, 0], [0, 1]]]
    machine = [[[1.0, 0], [1, 1], [-1, 0.5]]]       # largest cosines 1, √½, 0.5/√1.25
    scores = summarisation_scores(machine, human, [[3, 2, 1]])
    assert scores.cosine.spearman == pytest.approx(1, abs=1e-15)
    # largest dot products 1, 1, 0.5: ranks 2.5, 2.5, 1 against 3, 2, 1
    assert scores.dot.spearman == pytest.approx(1.5 / math.sqrt(1.5 * 2), abs=1e-15)
    assert (scores.documents, scores.skipped) == (1, 0)


def test_documents_with_equal_ratings_or_similarities_are_skipped_and_counted():
    human, machine = [[1.0, 0]], [[1.0, 0], [0, 1]]
    scores = summarisation_scores([machine] * 3, [human] * 3, [[2, 1], [4, 4], [1, 2]])
    assert (scores.documents, scores.skipped) == (2, 1)
    assert scores.cosine.spearman == pytest.approx(0, abs=1e-15)          # +1 and −1
    all_skipped = summarisation_scores([machine], [human], [[1, 1]])
    assert math.isnan(all_skipped.cosine.spearman) and all_skipped.skipped == 1
    same_direction = summarisation_scores([[[1.0, 0], [2, 0]]], [human], [[1, 2]])
    assert same_direction.documents == 0                                  # cosines are equal


# ---- invariances -----------------------------------------------------------

@given(seeds, st.sampled_from([2.0**-400, 0.5, 1024.0]))
def test_the_lengths_of_vectors_and_the_scale_of_scores_have_no_effect(seed, scale):
    A, B, human = pairs(seed)
    original = sts_scores(A, B, human)
    lengths = 2.0 ** np.random.default_rng(seed).integers(-9, 9, (len(A), 1))
    scaled = sts_scores(A * lengths * scale, B, 4 * human + 7)
    assert scaled.cosine.spearman == original.cosine.spearman
    assert scaled.cosine.pearson == pytest.approx(original.cosine.pearson, abs=1e-14)


@given(seeds)
def test_exchanging_the_sides_or_reordering_the_pairs_has_no_effect(seed):
    A, B, human = pairs(seed)
    order = np.random.default_rng(seed).permutation(len(A))
    want = np.array(sts_scores(A, B, human))
    np.testing.assert_allclose(np.array(sts_scores(B, A, human)), want, atol=1e-14)
    np.testing.assert_allclose(np.array(sts_scores(A[order], B[order], human[order])), want,
                               atol=1e-13)


@given(seeds)
def test_for_vectors_of_norm_1_cosine_dot_product_and_distance_rank_alike(seed):
    A, B, human = pairs(seed)
    A, B = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (A, B))
    scores = sts_scores(A, B, human)
    assert scores.dot.spearman == pytest.approx(scores.cosine.spearman, abs=1e-12)
    assert scores.euclidean.spearman == pytest.approx(scores.cosine.spearman, abs=1e-12)


def test_nearly_equal_float32_pairs_are_distinguished():
    A = np.array([[1, 0]] * 3, np.float32)
    B = np.array([[1, 1e-4], [1, 2e-4], [1, 3e-4]], np.float32)       # 1 − cos: 5e-9, 2e-8, 4.5e-8
    assert sts_scores(A, B, [3, 2, 1]).cosine.spearman == pytest.approx(1, abs=1e-15)


# ---- wrong input -----------------------------------------------------------

def test_unequal_shapes_and_nan_are_refused():
    A, B, human = pairs(0)
    with pytest.raises(ValueError, match="human: expected a score for each of 20 pairs, got 19"):
        sts_scores(A, B, human[1:])
    with pytest.raises(ValueError, match=r"\(20, 6\) and \(19, 6\)"):
        sts_scores(A, B[1:], human)
    B[7, 2] = np.nan
    with pytest.raises(ValueError, match="row 7 of the second table"):
        sts_scores(A, B, human)
    with pytest.raises(ValueError, match="document 0: .* got 1 and 1"):
        summarisation_scores([[[1.0], [2.0]]], [[[1.0]]], [[3]])
    with pytest.raises(ValueError, match="got 1, 1 and 2"):
        summarisation_scores([[[1.0]]], [[[1.0]]], [[3], [4]])


# ---- parity ----------------------------------------------------------------

def test_equals_scipy_and_scikit_learn_frozen():
    case = GOLDEN["sts"]
    scores = sts_scores(case["A"], case["B"], case["human"])
    for name, want in case["scores"].items():
        assert getattr(scores, name) == pytest.approx(want, abs=1e-9), name


@given(seeds)
def test_equals_scipy_and_scikit_learn_live(seed):
    stats = pytest.importorskip("scipy.stats")
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    A, B, human = pairs(seed)
    scores = sts_scores(A, B, human)
    for ours, distance in [(scores.cosine, pairwise.paired_cosine_distances),
                           (scores.euclidean, pairwise.paired_euclidean_distances),
                           (scores.manhattan, pairwise.paired_manhattan_distances)]:
        theirs = -distance(A, B)
        assert ours.spearman == pytest.approx(stats.spearmanr(human, theirs)[0], abs=1e-9)
        assert ours.pearson == pytest.approx(stats.pearsonr(human, theirs)[0], abs=1e-9)
