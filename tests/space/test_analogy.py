"""Analogies: the papers' sums and products, with a, b and c excluded; equal to gensim's."""
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.analogy import (
    odd_one_out,
    solve_analogies,
    solve_analogies_mul,
    three_cos_add,
    three_cos_mul,
)
from tests.rounding import seeds

MAN, WOMAN, KING, QUEEN, APPLE = range(5)
PEOPLE, _ = l2_normalize(np.array([            # male, female, royal, fruit
    [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]], np.float64))
solvers = pytest.mark.parametrize("solve", [solve_analogies, solve_analogies_mul])
one_question_solvers = pytest.mark.parametrize("solve_one", [three_cos_add, three_cos_mul])


def table(seed, V=40, D=6):
    return l2_normalize(np.random.default_rng(seed).standard_normal((V, D)))[0]


def some_questions(seed, V=40, Q=25):
    return np.random.default_rng(seed).integers(0, V, (Q, 3))    # some repeat a word


def brute_add(T, positive, negative, x):
    target = sum(T[p] for p in positive) - sum(T[n] for n in negative)
    return T[x] @ target / math.sqrt(target @ target)


def brute_mul(T, positive, negative, x, epsilon=0.001):
    top = math.prod((1 + T[p] @ T[x]) / 2 for p in positive)
    return top / math.prod((1 + T[n] @ T[x]) / 2 + epsilon for n in negative)


# ---- values -----------------------------------------------------------------

def test_king_minus_man_plus_woman_worked_by_hand():
    ids, scores = three_cos_add(PEOPLE, [KING, WOMAN], [MAN], k=2)
    r = math.sqrt(0.5)                                           # target (r − 1, 1, r, 0)
    assert ids.tolist() == [QUEEN, APPLE]
    length = math.sqrt((r - 1)**2 + 1 + r**2)
    np.testing.assert_allclose(scores, [(r + r * r) / length, 0], atol=1e-15)

    ids, scores = three_cos_mul(PEOPLE, [KING, WOMAN], [MAN], k=2)
    assert ids.tolist() == [QUEEN, APPLE]
    # cos' of queen: ¾ with king, (1 + √½)/2 with woman, ½ with man
    np.testing.assert_allclose(scores, [0.75 * (1 + r) / 2 / 0.501, 0.25 / 0.501])


@solvers
def test_man_is_to_king_as_woman_is_to_queen(solve):
    questions = [[MAN, KING, WOMAN], [KING, MAN, QUEEN], [MAN, WOMAN, KING], [WOMAN, MAN, QUEEN]]
    assert solve(PEOPLE, questions).tolist() == [QUEEN, WOMAN, QUEEN, KING]


@solvers
def test_every_analogy_of_a_world_of_concepts_and_features_is_solved(solve):
    world = np.array([np.concatenate([c, f]) for c in np.eye(5) for f in np.eye(4)])
    T, _ = l2_normalize(world.astype(np.float32))                # concept c, feature f: row 4c + f
    questions, answers = zip(*[([4 * c + f, 4 * c + g, 4 * d + f], 4 * d + g)
                               for c in range(5) for d in range(5) if c != d
                               for f in range(4) for g in range(4) if f != g])
    np.testing.assert_array_equal(solve(T, questions), answers)


def test_the_odd_one_out_worked_by_hand():
    assert odd_one_out(PEOPLE, [KING, QUEEN, APPLE, MAN]) == APPLE
    assert odd_one_out(PEOPLE, [APPLE]) == APPLE
    assert odd_one_out(np.eye(3), [2, 1]) == 2                   # equal cosines: the first


# ---- against brute force ------------------------------------------------------

@pytest.mark.parametrize("solve_one, brute", [(three_cos_add, brute_add),
                                              (three_cos_mul, brute_mul)])
@given(seeds, st.integers(0, 3), st.integers(0, 3), st.integers(1, 50))
def test_lists_of_any_length_equal_brute_force(solve_one, brute, seed, P, N, k):
    assume(P + N > 0)
    T, order = table(seed), np.random.default_rng(seed).permutation(40)
    positive, negative = order[:P], order[P:P + N]
    ids, scores = solve_one(T, positive, negative, k)
    candidates = [x for x in range(40) if x not in (*positive, *negative)]
    want = {x: brute(T, positive, negative, x) for x in candidates}
    assert len(ids) == min(k, len(candidates)) == len(set(ids.tolist()))
    np.testing.assert_allclose(scores, sorted(want.values(), reverse=True)[:k], rtol=1e-11,
                               atol=1e-12)
    np.testing.assert_allclose(scores, [want[x] for x in ids.tolist()], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("solve, solve_one", [(solve_analogies, three_cos_add),
                                           (solve_analogies_mul, three_cos_mul)])
@given(seeds)
def test_many_questions_at_once_equal_one_by_one(solve, solve_one, seed):
    T, questions = table(seed), some_questions(seed)
    want = [solve_one(T, [b, c], [a], k=1)[0][0] for a, b, c in questions]
    np.testing.assert_array_equal(solve(T, questions), want)
    assert solve(T, questions).shape == (25,) and solve(T, questions[:0]).shape == (0,)


def test_questions_and_a_table_larger_than_a_block_equal_brute_force():
    T = table(0, V=3000, D=8)
    questions = some_questions(1, V=3000, Q=1500)                # 4.5 M scores
    target = T[questions[:, 1]] - T[questions[:, 0]] + T[questions[:, 2]]
    scores = target @ T.T
    np.put_along_axis(scores, questions, -np.inf, axis=1)
    np.testing.assert_array_equal(solve_analogies(T, questions), scores.argmax(1))
    a, b, c = ((1 + T[column] @ T.T) / 2 for column in questions.T)
    scores = b * c / (a + 0.001)
    np.put_along_axis(scores, questions, -np.inf, axis=1)
    np.testing.assert_array_equal(solve_analogies_mul(T, questions), scores.argmax(1))


@given(seeds, st.lists(st.integers(0, 39), min_size=3, max_size=8, unique=True))
def test_the_odd_one_out_equals_brute_force(seed, ids):
    T = table(seed)
    mean = T[ids].mean(0)
    assert odd_one_out(T, ids) == min(ids, key=lambda i: T[i] @ mean)


# ---- invariances -----------------------------------------------------------------

@solvers
@given(seeds)
def test_a_b_and_c_are_never_returned(solve, seed):
    questions = some_questions(seed, V=6)
    answers = solve(table(seed, V=6, D=2), questions)
    assert (answers[:, None] != questions).all()


@solvers
@given(seeds)
def test_b_and_c_can_be_exchanged(solve, seed):
    T, questions = table(seed), some_questions(seed)
    np.testing.assert_array_equal(solve(T, questions), solve(T, questions[:, [0, 2, 1]]))


@solvers
@given(seeds)
def test_permuting_the_rows_permutes_the_results(solve, seed):
    T, questions = table(seed), some_questions(seed)
    order = np.random.default_rng(seed).permutation(40)
    position = np.argsort(order)                                    # T[order][position[i]] is T[i]
    np.testing.assert_array_equal(order[solve(T[order], position[questions])], solve(T, questions))


@solvers
@given(seeds)
def test_a_rotation_does_not_change_the_answers(solve, seed):
    T, questions = table(seed), some_questions(seed)
    R, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 6)))
    np.testing.assert_array_equal(solve(T @ R, questions), solve(T, questions))


@solvers
def test_a_row_of_nan_is_never_returned(solve):
    T = table(0)
    T[7] = np.nan
    questions = some_questions(0)
    questions = questions[(questions != 7).all(1)]
    assert not (solve(T, questions) == 7).any()


def test_a_cosine_rounded_below_minus_one_does_not_change_a_products_sign():
    T = np.array([[1, 0], [-1 - 2**-23, 0], [0, 1], [0, -1]], np.float32)
    _, scores = three_cos_mul(T, [0], [], k=3)
    assert scores.min() == 0


@one_question_solvers
def test_the_type_of_the_table_is_the_type_of_the_scores(solve_one):
    T = table(0)
    assert solve_one(T, [1, 2], [3])[1].dtype == np.float64
    ids, scores = solve_one(T.astype(np.float32), [1, 2], [3])
    assert scores.dtype == np.float32 and ids.dtype == np.int64 and len(ids) == 10


# ---- what is refused --------------------------------------------------------------

@one_question_solvers
def test_ids_outside_the_table_are_refused(solve_one):
    for positive in ([5], [-1], [0.5], ["king"]):
        with pytest.raises(ValueError, match="ids: expected"):
            solve_one(PEOPLE, positive)
        with pytest.raises(ValueError, match="ids: expected"):
            solve_one(PEOPLE, [0], positive)
    for positive in ([], [[0, 1]], 0):
        with pytest.raises(ValueError, match="two lists"):
            solve_one(PEOPLE, positive)


@solvers
def test_questions_of_another_shape_are_refused(solve):
    for questions in ([[0, 1]], [0, 1, 2], [[0, 1, 5]], [[-1, 1, 2]]):
        with pytest.raises(ValueError):
            solve(PEOPLE, questions)
    with pytest.raises(ValueError, match="4 rows"):
        solve(PEOPLE[:3], [[0, 1, 2]])


def test_an_odd_one_out_of_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        odd_one_out(PEOPLE, [])


# ---- parity with the original -------------------------------------------------------

def in_gensim(T):
    keyed = pytest.importorskip("gensim").models.KeyedVectors(T.shape[1])
    keyed.add_vectors([f"w{i}" for i in range(len(T))], T)
    return keyed


def words(ids):
    return [f"w{i}" for i in ids]


@pytest.mark.parametrize("positive, negative", [([1, 2], [3]), ([4], []), ([5, 6, 7], [8, 9])])
def test_three_cos_add_is_gensims_most_similar(positive, negative):
    T = table(0, V=200, D=20).astype(np.float32)
    theirs = in_gensim(T).most_similar(words(positive), words(negative), topn=10)
    ids, scores = three_cos_add(T, positive, negative, k=10)
    assert words(ids) == [word for word, _ in theirs]
    np.testing.assert_allclose(scores, [score for _, score in theirs], atol=1e-6)


@pytest.mark.filterwarnings("ignore:Call to deprecated")        # a warning inside gensim
@pytest.mark.parametrize("positive, negative", [([1, 2], [3]), ([5, 6, 7], [8])])
def test_three_cos_mul_is_gensims_with_its_epsilon(positive, negative):
    T = table(0, V=200, D=20).astype(np.float32)
    theirs = in_gensim(T).most_similar_cosmul(words(positive), words(negative), topn=10)
    ids, scores = three_cos_mul(T, positive, negative, k=10, epsilon=1e-6)
    assert words(ids) == [word for word, _ in theirs]
    np.testing.assert_allclose(scores, [score for _, score in theirs], rtol=1e-5)


def test_the_odd_one_out_is_gensims_doesnt_match():
    T = table(0, V=200, D=20).astype(np.float32)
    keyed = in_gensim(T)
    for seed in range(20):
        ids = np.random.default_rng(seed).permutation(200)[:5]
        assert f"w{odd_one_out(T, ids)}" == keyed.doesnt_match(words(ids))
