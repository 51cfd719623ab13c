"""Probes: the loss and its gradient, kNN votes, the draws of mteb's protocol, baselines."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
from scratch_embed.evaluate.logistic import (
    _apply_inverse,
    fit_logistic,
    loss_and_gradient,
    minimise,
    predict,
)
from scratch_embed.evaluate.probe import (
    draw_multilabel,
    draw_per_label,
    indicator,
    knn_multilabel,
    knn_probe,
    linear_probe,
    multilabel_probe,
    nearest_euclidean,
    probe,
)
from tests.rounding import seeds

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/evaluate.json").read_text())


def labelled_vectors(seed, N=60, D=4, K=3, noise=1.0):
    """N vectors, and labels that depend on them linearly, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D))
    y = (X @ rng.standard_normal((D, K)) + noise * rng.standard_normal((N, K))).argmax(axis=1)
    y[:K] = range(K)                                         # every class occurs
    return X, y


# ---- logistic regression --------------------------------------------------------

def test_the_loss_worked_by_hand():
    # At θ = 0 every class has probability 1/K: L = N log K, ∂L/∂b_k = N/K − N_k
    X1, code = np.array([[2.0, 1], [0, 1], [4, 1]]), np.array([0, 1, 2])
    loss, gradient = loss_and_gradient(np.zeros((3, 2)), X1, code)
    assert loss == pytest.approx(3 * math.log(3), rel=1e-15)
    np.testing.assert_allclose(gradient, [[0, 0], [2, 0], [-2, 0]], atol=1e-15)
    # Two classes, θ = (w, b) = (1, 0), C = 2: −log σ(−2) − log σ(0) − log σ(4) + 1/4
    loss, _ = loss_and_gradient(np.array([[1.0, 0]]), X1, np.array([0, 1, 1]), C=2.0)
    want = math.log1p(math.exp(2)) + math.log(2) + math.log1p(math.exp(-4)) + 1 / 4
    assert loss == pytest.approx(want, rel=1e-15)


@given(seeds, st.integers(2, 5))
def test_the_gradient_equals_a_difference_quotient_in_a_random_direction(seed, K):
    X, y = labelled_vectors(seed, K=K)
    rng = np.random.default_rng(seed)
    X1, shape = np.column_stack([X, np.ones(len(X))]), (K if K > 2 else 1, 5)
    theta, v = rng.standard_normal(shape), rng.standard_normal(shape)
    h, C = 1e-5, 0.7
    difference = (loss_and_gradient(theta + h * v, X1, y, C)[0]
                  - loss_and_gradient(theta - h * v, X1, y, C)[0]) / (2 * h)
    slope = np.vdot(loss_and_gradient(theta, X1, y, C)[1], v)
    assert difference == pytest.approx(slope, rel=1e-6, abs=1e-6)


@given(seeds)
def test_the_loss_is_convex_and_does_not_overflow(seed):
    X, y = labelled_vectors(seed)
    rng = np.random.default_rng(seed)
    X1 = np.column_stack([X, np.ones(len(X))])
    a, b = rng.standard_normal((2, 3, 5)) * 10.0 ** rng.integers(-3, 4)
    L_a, L_b, L_middle = (loss_and_gradient(t, X1, y)[0] for t in (a, b, (a + b) / 2))
    assert L_middle <= (L_a + L_b) / 2 * (1 + 1e-12)
    assert math.isfinite(loss_and_gradient(a * 1e100, X1, y)[0])


@given(seeds, st.integers(2, 5))
def test_the_gradient_at_the_minimum_is_zero_and_the_order_of_items_has_no_effect(seed, K):
    X, y = labelled_vectors(seed, K=K)
    model = fit_logistic(X, y, tol=1e-9)
    theta = np.column_stack([model.W, model.b])
    _, gradient = loss_and_gradient(theta, np.column_stack([X, np.ones(len(X))]), y)
    assert np.abs(gradient).max() <= 1e-9 * len(X)
    np.testing.assert_allclose(gradient[:, -1], 0, atol=1e-7)    # ∂L/∂b: predicted − true counts
    order = np.random.default_rng(seed).permutation(len(X))
    other = fit_logistic(X[order], y[order], tol=1e-9)
    np.testing.assert_allclose(other.W, model.W, atol=1e-6)


@given(seeds)
def test_the_coefficients_of_all_classes_sum_to_zero(seed):
    """A vector added to all rows of W changes no probability; the penalty is least at sum 0."""
    X, y = labelled_vectors(seed, K=4)
    model = fit_logistic(X, y, tol=1e-10)
    np.testing.assert_allclose(model.W.sum(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(model.b.sum(), 0, atol=1e-7)


def test_separable_points_are_separated_and_labels_may_be_strings():
    X = np.array([[-2.0], [-1], [1], [2]])
    model = fit_logistic(X, ["no", "no", "yes", "yes"])
    assert model.W.shape == (1, 1) and model.W[0, 0] > 0
    assert predict(model, [[-3.0], [3]]).tolist() == ["no", "yes"]


def test_l_bfgs_finds_the_minimum_of_a_quadratic():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((20, 20))
    A, b = M @ M.T + np.eye(20), rng.standard_normal(20)     # condition number 63
    x, steps, done = minimise(lambda x: (x @ A @ x / 2 - b @ x, A @ x - b), np.zeros(20), 1e-9, 500)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), atol=1e-8)
    assert done and steps < 150                              # gradient descent, best step: 621


@given(seeds, st.integers(1, 5))
def test_the_inverse_of_l_bfgs_is_symmetric_positive_and_maps_the_last_y_to_s(seed, n):
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((6, 6))
    A, steps = M @ M.T + np.eye(6), rng.standard_normal((n, 6))
    pairs = [(s, A @ s) for s in steps]
    inverse = np.array([_apply_inverse(pairs, e) for e in np.eye(6)])
    np.testing.assert_allclose(inverse @ pairs[-1][1], pairs[-1][0], atol=1e-9)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-9)
    assert np.linalg.eigvalsh(inverse).min() > 0


def test_too_few_steps_give_a_warning():
    X, y = labelled_vectors(0)
    with pytest.warns(UserWarning, match="not converged in 2 steps"):
        assert fit_logistic(X, y, max_steps=2).steps == 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scale", [1e200, 1.7e308])
def test_vectors_with_overflowing_squares_end_with_a_warning(scale):
    with pytest.warns(UserWarning, match="scale the vectors to a norm of about 1"):
        fit_logistic(scale * np.array([[1.0], [-1], [1], [-1]]), [0, 1, 0, 1], max_steps=20)


@pytest.mark.parametrize("X, y, C, message", [
    ([[1.0], [2]], [1, 1], 1, "two classes or more, got 1"), ([[1.0], [2]], [1], 1, "shapes"),
    ([[1.0], [np.nan]], [0, 1], 1, "finite"), ([[1.0], [2]], [0, 1], 0, "C = 0")])
def test_invalid_training_sets_are_refused(X, y, C, message):
    with pytest.raises(ValueError, match=message):
        fit_logistic(X, y, C)


def test_coefficients_equal_scikit_learn_frozen():
    for case in GOLDEN["logistic"]:
        model = fit_logistic(case["X"], case["y"], case["C"], tol=1e-10)
        np.testing.assert_allclose(model.W, case["W"], atol=1e-6)
        np.testing.assert_allclose(model.b, case["b"], atol=1e-6)


def test_coefficients_equal_scikit_learn_live():
    linear = pytest.importorskip("sklearn.linear_model")
    for seed, (K, D) in enumerate([(2, 5), (3, 5), (10, 30), (2, 60)]):
        X, y = labelled_vectors(seed, N=200, D=D, K=K)
        theirs = linear.LogisticRegression(tol=1e-10, max_iter=10_000).fit(X, y)
        ours = fit_logistic(X, y)                            # its default tolerance
        np.testing.assert_allclose(ours.W, theirs.coef_, atol=1e-4)
        np.testing.assert_allclose(ours.b, theirs.intercept_, atol=1e-4)


# ---- neighbours -------------------------------------------------------------------

def test_votes_worked_by_hand():
    X, y = np.array([[0.0], [1], [2], [10], [11]]), np.array(["b", "a", "b", "a", "a"])
    assert nearest_euclidean([[0.9]], X, 3).tolist() == [[1, 0, 2]]
    assert knn_probe(X, y, [[0.9], [10.4]], k=3).tolist() == ["b", "a"]
    assert knn_probe(X, y, [[0.4]], k=2).tolist() == ["a"]   # one vote each: the lower label
    Y = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 1]])
    assert knn_multilabel(X, Y, [[1.0]], k=3).tolist() == [[True, True]]
    assert knn_multilabel(X, Y, [[0.4]], k=2).tolist() == [[True, False]]        # no majority


@given(seeds, st.integers(1, 12), st.sampled_from([np.float32, np.float64]))
def test_neighbours_equal_a_search_of_all_distances(seed, k, dtype):
    rng = np.random.default_rng(seed)
    X, Q = (rng.integers(-3, 4, (n, 3)).astype(dtype) for n in (16, 9))
    X -= X.sum(axis=0) // 16                                 # 16 integers: their mean is exact
    found = nearest_euclidean(Q, X, k)
    distance = ((Q[:, None] - X) ** 2).sum(axis=2)
    np.testing.assert_allclose(np.take_along_axis(distance, found, 1), np.sort(distance)[:, :k],
                               atol=1e-4)


@given(seeds)
def test_points_far_from_the_origin_keep_their_neighbours(seed):
    rng = np.random.default_rng(seed)
    X, Q = rng.standard_normal((30, 3)), rng.standard_normal((5, 3))
    ids = nearest_euclidean((Q + 1000).astype(np.float32), (X + 1000).astype(np.float32), 1)
    distance = np.linalg.norm(Q[:, None] - X, axis=2)
    found = np.take_along_axis(distance, ids, 1)[:, 0]
    assert (found <= distance.min(axis=1) + 1e-3).all()      # float32 near 1000: steps of 6e-5


def test_k_above_the_number_of_rows_and_nan_are_refused():
    with pytest.raises(ValueError, match="k: expected 1 to 3"):
        nearest_euclidean(np.ones((1, 2)), np.ones((3, 2)), 4)
    with pytest.raises(ValueError, match="finite"):
        nearest_euclidean(np.ones((1, 2)), np.full((3, 2), np.nan), 1)


def test_votes_equal_scikit_learn_frozen():
    case = GOLDEN["neighbours"]
    X, Q = np.array(case["X"]), np.array(case["Q"])
    assert knn_probe(X, case["y"], Q).tolist() == case["one"]
    assert knn_multilabel(X, np.array(case["sets"]), Q).astype(int).tolist() == case["several"]


@given(seeds, st.integers(1, 7))
def test_votes_equal_scikit_learn_live(seed, k):
    neighbors = pytest.importorskip("sklearn.neighbors")
    X, y = labelled_vectors(seed, K=4)
    Q, Y = labelled_vectors(seed + 1)[0], np.random.default_rng(seed).integers(0, 2, (60, 3))
    theirs = neighbors.KNeighborsClassifier(k)
    np.testing.assert_array_equal(knn_probe(X, y, Q, k), theirs.fit(X, y).predict(Q))
    np.testing.assert_array_equal(knn_multilabel(X, Y, Q, k), theirs.fit(X, Y).predict(Q))


# ---- draws ------------------------------------------------------------------------

@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(0, 9), seeds)
def test_draws_equal_a_loop_over_the_shuffled_items(y, per_label, seed):
    order = list(range(len(y)))
    for rows in draw_per_label(y, per_label, draws=3, seed=seed):
        np.random.RandomState(seed).shuffle(order)           # shuffles the last order again
        have, want = dict.fromkeys("abc", 0), []
        for i in order:
            if have[y[i]] < per_label:
                want.append(i)
                have[y[i]] += 1
        assert rows.tolist() == want


@given(st.lists(st.sets(st.integers(0, 4)), max_size=40), st.integers(1, 5), seeds)
def test_every_label_has_per_label_items_or_all_it_has(sets, per_label, seed):
    for rows in draw_multilabel(sets, np.random.default_rng(seed), per_label, draws=2):
        assert len(set(rows.tolist())) == len(rows)
        for label in range(5):
            available = sum(label in s for s in sets)
            assert sum(label in sets[i] for i in rows) >= min(per_label, available)


def test_the_draws_of_a_seed_differ_and_a_seed_repeats_them():
    y = np.arange(300) % 3
    seed_42, seed_43 = draw_per_label(y), draw_per_label(y, seed=43)
    assert len(seed_42) == 10 and all(len(rows) == 24 for rows in seed_42)
    assert len({tuple(rows) for rows in [*seed_42, *seed_43]}) == 20
    np.testing.assert_array_equal(seed_42, draw_per_label(y))


# ---- the whole protocol -------------------------------------------------------------

def test_a_probe_predicts_labels_from_their_vectors_but_not_from_random_ones():
    X, y = labelled_vectors(3, N=400, D=8, K=3, noise=0.1)
    draws = draw_per_label(y[:200])
    good = probe(X[:200], y[:200], X[200:], y[200:], draws)
    noise = RandomVectors(8).encode([str(i) for i in range(400)])
    bad = probe(noise[:200], y[:200], noise[200:], y[200:], draws)
    assert good.mean.accuracy > 0.7 and bad.mean.accuracy < 0.5 and math.isnan(good.ap)
    assert good.mean.f1 == pytest.approx(np.mean([s.f1 for s in good.draws]), rel=1e-14)
    assert probe(X[:200], y[:200], X[200:], y[200:], draws, knn_probe).mean.accuracy > 0.6


def test_ap_of_two_labels_takes_the_predictions_as_scores():
    X, y = np.array([[-1.0], [1]]), np.array(["ham", "spam"])
    Q, truth = np.array([[2.0], [3], [-1], [-2]]), ["spam", "ham", "ham", "ham"]
    found = probe(X, y, Q, truth, [np.arange(2)])
    assert linear_probe(X, y, Q).tolist() == ["spam", "spam", "ham", "ham"]
    assert found.ap == 1 / 2 and found.mean.accuracy == 3 / 4


def test_labels_that_only_the_training_set_has_are_ignored():
    assert indicator([{"a", "z"}, set()], ["a", "b"]).tolist() == [[True, False], [False, False]]
    X = np.repeat([[0.0], [10]], 5, axis=0)
    sets, truth = [{"a", "z"}] * 5 + [{"b"}] * 5, [{"a"}, {"b"}]
    found = multilabel_probe(X, sets, [[0.0], [10]], truth, [np.arange(10)])
    assert found.mean == (1, 1, 1, 1) and len(found.draws) == 1


# ---- baselines ------------------------------------------------------------------------

def test_equal_texts_have_equal_random_vectors():
    encoder = RandomVectors(16, seed=1)
    vectors = encoder.encode(["a", "b", "a"])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(encoder.encode(["b"])[0], vectors[1])
    assert not np.array_equal(RandomVectors(16, seed=2).encode(["a"])[0], vectors[0])
    assert encoder.encode([]).shape == (0, 16)
    many = RandomVectors(64).encode([str(i) for i in range(500)])
    assert abs(many.mean()) < 4 / np.sqrt(many.size) and abs(many.std() - 1) < 0.02


def test_a_bag_of_words_has_counts_scaled_to_norm_1():
    bag = BagOfWords(["The cat, the hat", "a cat"])
    assert list(bag.index) == ["the", "cat", "hat", "a"]
    vectors = bag.encode(["the THE cat!", "unknown", "hat the cat cat"])
    np.testing.assert_allclose(vectors, np.array([[2, 1, 0, 0], [0, 0, 0, 0], [1, 2, 1, 0]])
                               / np.sqrt([[5], [1], [6]]), rtol=1e-6)
    assert BagOfWords(["a a b"], max_vocab_size=1).encode(["b a"]).tolist() == [[1]]


def test_a_single_string_and_an_empty_vocabulary_are_refused():
    for wrong in (lambda: BagOfWords("cat"), lambda: RandomVectors().encode("cat")):
        with pytest.raises(ValueError, match="one string"):
            wrong()
    with pytest.raises(ValueError, match="expected a text with words"):
        BagOfWords(["...", ""])


# ---- scale --------------------------------------------------------------------------------------

@given(seeds, st.integers(-110, 110))
def test_a_power_of_two_changes_no_neighbour(seed, power):
    rng = np.random.default_rng(seed)
    X, Q = (rng.integers(-9, 10, (n, 3)).astype(np.float32) for n in (20, 5))
    np.testing.assert_array_equal(nearest_euclidean(np.ldexp(Q, power), np.ldexp(X, power), 3),
                                  nearest_euclidean(Q, X, 3))


@pytest.mark.parametrize("scale", [1e20, 1e-30, 3e37, 1e-38])
def test_knn_separates_two_clear_clusters_at_very_large_and_small_scales(scale):
    X = np.float32([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]]) * np.float32(scale)
    y = [0, 0, 0, 1, 1, 1]
    assert knn_probe(X, y, X, k=3).tolist() == y


def test_a_query_far_beyond_the_training_rows_has_the_nearest_in_its_direction():
    X = np.float32([[1e-30, 0], [0, 1e-30], [-1e-30, 0]])
    assert nearest_euclidean(np.float32([[3e38, 1], [-3e38, 1]]), X, 1).tolist() == [[0], [2]]
