"""V-measure, k-means, mini-batches: by hand, by their invariants, equal to scikit-learn's."""
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.evaluate.cluster import bootstrapped_v_measures, v_measure, v_measure_of_set
from scratch_embed.evaluate.kmeans import (
    Sums,
    assign,
    assign_block,
    assign_block_kernel,
    centred,
    fill_empty,
    kmeans,
    seed_centres,
)
from scratch_embed.evaluate.mini_batch import mini_batch_kmeans
from tests.processes import in_plain_python
from tests.rounding import seeds

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/evaluate.json").read_text())
label_cluster_pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1,
                               max_size=40)


def blobs(seed, N=120, K=4, D=3, apart=4.0, dtype=np.float64):
    """N points around K random centres, and the number of each point's centre."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, N)
    return (apart * rng.standard_normal((K, D))[truth]
            + rng.standard_normal((N, D))).astype(dtype), truth


EXPONENTS = st.integers(-500, 500) | st.sampled_from([-1030, 1000])


def limited(exponent, dtype):
    """The exponent, for float32 limited to -120..120."""
    return np.clip(exponent, -120, 120) if dtype == np.float32 else exponent


# ---- V-measure --------------------------------------------------------------

def test_v_measure_worked_by_hand():
    # clusters {a, a, b} and {b}: H(label) = ln 2, H(label | cluster) = ¾ · entropy of (1/3, 2/3)
    H = np.log(3) - 2 / 3 * np.log(2)                        # entropy of (1/3, 2/3)
    H_cluster = np.log(4) - 3 / 4 * np.log(3)                # of (3/4, 1/4)
    h, c = 1 - 3 / 4 * H / np.log(2), 1 - 1 / 2 * np.log(2) / H_cluster
    found = v_measure(["a", "a", "b", "b"], [0, 0, 0, 1])
    assert found == pytest.approx((2 * h * c / (h + c), h, c), abs=1e-15)


def test_one_cluster_one_cluster_per_point_and_a_perfect_clustering():
    labels = [0, 0, 1, 1]
    assert v_measure(labels, [7, 7, 7, 7]) == (0, 0, 1)
    singles = v_measure(labels, [0, 1, 2, 3])
    assert singles.homogeneity == 1 and singles.completeness == pytest.approx(0.5, abs=1e-15)
    assert v_measure(labels, [5, 5, 3, 3]) == (1, 1, 1)
    assert v_measure([1, 1], [0, 0]) == (1, 1, 1)


@given(label_cluster_pairs)
def test_exchanging_labels_and_clusters_exchanges_homogeneity_and_completeness(pairs):
    a, b = np.array(pairs).T
    found, exchanged = v_measure(a, b), v_measure(b, a)
    assert (exchanged.v, exchanged.completeness, exchanged.homogeneity) == pytest.approx(
        found, abs=1e-14)
    assert all(0 <= x <= 1 for x in found)


@given(label_cluster_pairs, st.permutations(range(6)))
def test_names_of_clusters_have_no_effect(pairs, names):
    a, b = np.array(pairs).T
    assert v_measure(a, np.array(names)[b]) == pytest.approx(v_measure(a, b), abs=1e-14)


def test_v_measure_equals_scikit_learn_frozen():
    for case in GOLDEN["clusterings"]:
        h, c, v = case["hcv"]
        assert v_measure(case["labels"], case["clusters"]) == pytest.approx((v, h, c), abs=1e-9)


@given(label_cluster_pairs)
def test_v_measure_equals_scikit_learn_live(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = np.array(pairs).T
    h, c, v = metrics.homogeneity_completeness_v_measure(a, b)
    assert v_measure(a, b) == pytest.approx((v, h, c), abs=1e-9)


@pytest.mark.parametrize("labels, clusters", [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_empty_lists_unequal_lengths_and_tables_are_refused(labels, clusters):
    with pytest.raises(ValueError, match="as many clusters as labels"):
        v_measure(labels, clusters)


# ---- k-means ------------------------------------------------------------------

def test_lloyd_worked_by_hand():
    # From centres 0 and 1: {0} and {1, 5, 6} -> 0 and 4: {0, 1}, {5, 6} -> 0.5 and 5.5, done.
    found = kmeans([[0.0], [1], [5], [6]], 2, start=[[0], [1]], tol=0)
    assert found.centres.ravel().tolist() == [0.5, 5.5] and found.labels.tolist() == [0, 0, 1, 1]
    assert (found.inertia, found.steps) == (1, 3)


@given(seeds, st.integers(1, 9), st.booleans())
def test_inertia_never_rises(seed, K, some_equal):
    X, _ = blobs(seed, N=40)
    if some_equal:
        X = X.round()
    start = X[np.random.default_rng(seed).integers(len(X), size=K)]      # may contain a row twice
    J = [kmeans(X, K, max_steps=steps, tol=0, start=start).inertia for steps in range(1, 9)]
    assert (np.diff(J) <= 1e-12 * J[0]).all()


@given(seeds, st.integers(1, 9))
def test_labels_are_nearest_centres_and_centres_are_means(seed, K):
    X, _ = blobs(seed, N=60)
    found = kmeans(X, K, seed=seed, tol=0)
    distance = ((X[:, None] - found.centres) ** 2).sum(axis=2)           # (N, K)
    assert found.inertia == pytest.approx(distance.min(axis=1).sum(), rel=1e-12)
    np.testing.assert_array_equal(found.labels, distance.argmin(axis=1))
    for k in range(K):
        np.testing.assert_allclose(found.centres[k], X[found.labels == k].mean(axis=0), atol=1e-12)


@given(seeds)
def test_moving_all_points_moves_the_centres(seed):
    X, _ = blobs(seed)
    X = np.round(X * 64) / 64                                # so that adding 2²⁰ is exact
    found, moved = kmeans(X, 4, seed=seed), kmeans(X + 2.0**20, 4, seed=seed)
    np.testing.assert_array_equal(moved.labels, found.labels)
    np.testing.assert_allclose(moved.centres - 2.0**20, found.centres, atol=1e-8)


def test_float32_points_far_from_the_origin_are_distinguished():
    """Near 4096 in 8 dimensions ‖x‖² is 2²⁷, where float32 numbers are 16 apart."""
    X = np.full((40, 8), 4096, np.float32)
    X[20:] += np.float32(0.5)
    for method in kmeans, mini_batch_kmeans:
        found = method(X, 2, seed=0)
        assert found.inertia == 0 and v_measure([0] * 20 + [1] * 20, found.labels).v == 1


@given(seeds, st.sampled_from([np.float32, np.float64]), st.integers(1, 9), st.integers(1, 40))
def test_the_kernel_equals_its_numpy_form(seed, dtype, K, B):
    X, _ = blobs(seed, N=B, dtype=dtype)
    C = X[np.random.default_rng(seed).integers(B, size=K)] + dtype(0.25)
    products, half, results = X @ C.T, (C**2).sum(axis=1) / dtype(2), []
    for form in assign_block, assign_block_kernel:
        labels, distance = np.zeros(B, np.int64), np.zeros(B)
        sums = Sums(np.ones((K, 3)), np.ones(K, np.int64))
        form(products, half, X, C, labels, distance, sums)
        results.append((labels, distance, *sums))
    (labels, distance, total, counts), (k_labels, k_distance, k_total, k_counts) = results
    np.testing.assert_array_equal(k_labels, labels)
    np.testing.assert_array_equal(k_counts, counts)
    np.testing.assert_allclose(k_distance, distance, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(k_total, total, rtol=1e-14, atol=1e-12)


@given(seeds, st.integers(1, 200))
def test_the_block_size_has_no_effect(seed, block):
    X, _ = blobs(seed, N=50)
    X = np.round(4 * X)                                      # exact products, and ties
    whole, parts = assign(X, X[:6]), assign(X, X[:6], block)
    for a, b in zip((*whole[:2], *whole[2]), (*parts[:2], *parts[2])):
        np.testing.assert_array_equal(a, b)


def test_an_empty_cluster_gets_the_farthest_point_that_is_not_alone():
    X = np.array([[0.0], [1], [2], [50]])
    labels, distance = np.array([0, 0, 0, 1]), np.array([0.0, 1, 4, 9])
    sums = fill_empty(X, labels, distance, Sums(np.array([[3.0], [50], [0]]), np.array([3, 1, 0])))
    assert sums.counts.tolist() == [2, 1, 1]                 # 50 is farther, but alone there
    assert sums.total.ravel().tolist() == [1, 50, 2]
    assert labels.tolist() == [0, 0, 0, 1]                   # the caller's labels are not changed
    start = np.array([[10.0], [1000], [2000]])               # two empty clusters get 25, then 0
    found = kmeans([[0.0], [1], [10], [12], [25]], 3, start=start, tol=0)
    assert found.centres.ravel().tolist() == [11, 25, 0.5]


@pytest.mark.parametrize("method", [kmeans, mini_batch_kmeans])
def test_fewer_different_points_than_clusters_have_inertia_0(method):
    X = np.repeat([[1.0, 2], [3, 4]], 5, axis=0)
    found = method(X, 4, seed=0)
    assert found.inertia == 0 and len(np.unique(found.labels)) == 2
    assert np.isfinite(found.centres).all()


def test_with_as_many_clusters_as_points_inertia_is_0():
    X, _ = blobs(3, N=12)
    found = kmeans(X, 12, seed=1)
    assert found.inertia == pytest.approx(0, abs=1e-20) and len(set(found.labels.tolist())) == 12


@pytest.mark.parametrize("method", [kmeans, mini_batch_kmeans])
@pytest.mark.parametrize("X, K, message", [
    (np.ones((3, 2)), 4, "K = 4"), (np.ones((3, 2)), 0, "K = 0"), (np.ones(3), 1, r"\(3,\)"),
    ([[1.0, 2], [np.nan, 1]], 1, "row 1"), ([[1.0, np.inf]], 1, "row 0")])
def test_too_few_points_and_nan_are_refused(method, X, K, message):
    with pytest.raises(ValueError, match=message):
        method(X, K)


def test_the_points_are_not_changed():
    X, _ = blobs(0)
    before = X.copy()
    kmeans(X, 3)
    mini_batch_kmeans(X, 3, batch_size=20)
    np.testing.assert_array_equal(X, before)


def test_initial_centres_are_drawn_in_proportion_to_the_squared_distance():
    """Points 0, 1 and 3: from 0, the squared distances are 1 and 9, so P(1) = 0.1, P(3) = 0.9.

    Two candidates are drawn, and the candidate with the smaller inertia is kept.  Point 3 leaves an
    inertia of 1, point 1 an inertia of 4.  So point 1 is chosen only if both candidates are 1,
    with probability 0.1² = 0.01.
    """
    X, _, _ = centred(np.array([[0.0], [1], [3]]), 2)
    rng, count = np.random.default_rng(0), np.zeros(3)
    for _ in range(3000):
        first, second = (np.flatnonzero((X == c).all(axis=1))[0] for c in seed_centres(X, 2, rng))
        if first == 0:
            count[second] += 1
    share = count[1] / count.sum()
    assert count[0] == 0 and abs(share - 0.01) < 4 * np.sqrt(0.01 * 0.99 / count.sum())


def test_lloyd_equals_scikit_learn_frozen():
    case = GOLDEN["kmeans"]
    found = kmeans(case["X"], 5, start=np.array(case["start"]), tol=0)
    np.testing.assert_array_equal(found.labels, case["labels"])
    np.testing.assert_allclose(found.centres, case["centres"], atol=1e-9)
    assert found.inertia == pytest.approx(case["inertia"], rel=1e-9)


def test_lloyd_equals_scikit_learn_live():
    cluster = pytest.importorskip("sklearn.cluster")
    for seed in range(5):
        X, _ = blobs(seed, N=300, apart=1.0)
        theirs = cluster.KMeans(6, init=X[:6], n_init=1).fit(X)          # default tolerance
        ours = kmeans(X, 6, start=X[:6])
        np.testing.assert_allclose(ours.centres, theirs.cluster_centers_, atol=1e-9)
        assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


def two_clusters():
    return kmeans([[0.0], [1], [5], [6]], 2, start=[[0], [1]]).labels


def test_kernels_run_as_plain_python_too():
    assert in_plain_python(two_clusters).tolist() == [0, 0, 1, 1]


# ---- mini-batches -------------------------------------------------------------

def test_a_single_centre_is_the_mean_of_all_points_drawn():
    """Every point is nearest to the one centre: after n batches it is the mean of n·B points."""
    X, _ = blobs(2, N=50)
    found = mini_batch_kmeans(X, 1, batch_size=50, seed=3)
    rng = np.random.default_rng(3)
    rng.integers(50)                                         # the initial centre has no weight
    drawn = np.concatenate([rng.integers(50, size=50) for _ in range(found.steps)])
    np.testing.assert_allclose(found.centres[0], X[drawn].mean(axis=0), atol=1e-12)


def test_the_inertia_of_mini_batches_is_within_5_percent_of_lloyds():
    for seed in range(5):                                    # best of 3: there are local minima
        X, truth = blobs(seed, N=2000, K=5, D=8, apart=6.0)
        lloyd = min(kmeans(X, 5, seed=s).inertia for s in range(3))
        found = min((mini_batch_kmeans(X, 5, 100, s) for s in range(3)), key=lambda c: c.inertia)
        assert found.inertia < 1.05 * lloyd and v_measure(truth, found.labels).v > 0.95


@settings(max_examples=20)
@given(seeds, st.integers(1, 6), st.integers(1, 70))
def test_labels_are_nearest_centres_and_a_seed_repeats_the_result(seed, K, batch_size):
    X, _ = blobs(seed, N=60)
    found = mini_batch_kmeans(X, K, batch_size, seed)
    distance = ((X[:, None] - found.centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(distance[np.arange(60), found.labels], distance.min(axis=1),
                               rtol=1e-12)
    # at least 2 steps, then 10 without a new minimum; at most 100 epochs of 60 points
    assert 12 <= found.steps <= 100 * 60 // min(batch_size, 60)
    again = mini_batch_kmeans(X, K, batch_size, seed)
    np.testing.assert_array_equal(again.centres, found.centres)


# ---- the protocol ---------------------------------------------------------------

def test_samples_are_drawn_with_replacement_from_the_generator_passed_in():
    X, truth = blobs(1, N=80, apart=8.0)
    rng = random.Random(42)
    scores = bootstrapped_v_measures(X, truth, rng, draws=3, size=200, batch_size=50)
    assert len(scores) == 3 and min(scores) > 0.9            # 200 of 80 points: with replacement
    same = random.Random(42)
    rows = [same.choices(range(80), k=200) for _ in range(3)]
    for score, ids in zip(scores, rows):
        found = mini_batch_kmeans(X[ids], 4, 50, seed=42)
        assert score == v_measure(truth[ids], found.labels).v
    assert rng.random() == same.random()                     # the next level draws from here on


def test_the_older_protocol_scores_1_for_one_label_and_little_for_noise():
    X, truth = blobs(1, apart=8.0)
    assert v_measure_of_set(X, ["a"] * len(X)) == 1
    assert v_measure_of_set(X, truth) > 0.9
    noise = np.random.default_rng(0).standard_normal(X.shape)
    assert v_measure_of_set(noise, truth) < 0.2


# ---- scale --------------------------------------------------------------------------------------

@given(seeds, EXPONENTS, st.sampled_from([np.float32, np.float64]),
       st.sampled_from([kmeans, mini_batch_kmeans]))
def test_a_power_of_two_changes_no_label(seed, exponent, dtype, cluster):
    """X · 2^exponent is exact, because X has integers: equal labels, centres · 2^exponent."""
    X, exponent = np.round(blobs(seed, N=40)[0]).astype(dtype), limited(exponent, dtype)
    found, scaled = cluster(X, 4, seed=seed), cluster(np.ldexp(X, exponent), 4, seed=seed)
    np.testing.assert_array_equal(found.labels, scaled.labels)
    np.testing.assert_array_equal(np.ldexp(found.centres, exponent), scaled.centres)
    with np.errstate(over="ignore"):
        assert scaled.inertia == np.ldexp(found.inertia, 2 * exponent)


@pytest.mark.parametrize("scale", [1e20, 1e-30, 1e38, 1e-38])
def test_two_clear_clusters_are_found_at_very_large_and_small_scales(scale):
    X = np.float32([[0, 0], [0, 1], [9, 9], [9, 8]]) / 10 * np.float32(scale)
    found = kmeans(X, 2)
    assert found.labels[0] == found.labels[1] != found.labels[2] == found.labels[3]
    assert 0 < found.inertia < np.inf
