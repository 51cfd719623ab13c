"""Index: a search equals a full sort of the scores; add() adds all rows or none."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.retrieve.index import Index
from scratch_embed.space.similarity import cosine_matrix
from tests.rounding import seeds

X = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]])


def three_rows(normalise=True):
    index = Index(2, normalise)
    index.add(["a", "b", "c"], X)
    return index


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


# ---- search -----------------------------------------------------------------------

def test_a_search_worked_by_hand():
    ids, scores = three_rows().search([[0.0, 5.0]], 3)
    assert ids.tolist() == [["b", "a", "c"]]
    np.testing.assert_allclose(scores, [[1, 0.8, 0]], rtol=2.0**-23)
    ids, scores = three_rows(normalise=False).search([[0.0, 5.0]], 2)
    assert ids.tolist() == [["a", "b"]] and scores.tolist() == [[20, 10]]


@given(seeds, st.integers(0, 5), st.integers(0, 50), st.integers(1, 12), st.integers(1, 300),
       st.integers(1, 3))
def test_a_search_equals_a_stable_full_sort(seed, N, M, k, block, workers):
    rng = np.random.default_rng(seed)
    Q, rows = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (N, M))   # exact; ties
    names = rng.permutation(M) * 10
    index = Index(3, normalise=False)
    index.add(names, rows)
    ids, scores = index.search(Q, k, workers=workers, block=block)
    want = np.argsort(-(Q @ rows.T), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, names[want])
    np.testing.assert_array_equal(scores, np.take_along_axis(Q @ rows.T, want, axis=1))
    assert scores.dtype == np.float32 and (ids.dtype == np.int64 or M == 0)


@given(seeds)
def test_scores_are_cosines_for_vectors_of_any_length(seed):
    rows, Q = gaussian(seed, 20, 6), gaussian(seed + 1, 3, 6)
    index = Index(6)
    index.add(range(20), rows * np.float32(10.0) ** np.arange(-10, 10, dtype=np.float32)[:, None])
    ids, scores = index.search(Q * np.float32(1e20), 20)
    want = np.take_along_axis(cosine_matrix(Q.astype(float), rows.astype(float)), ids, axis=1)
    assert abs(scores - want).max() <= 4 * 8 * 2.0**-24
    assert abs(scores).max() <= 1


def test_a_cosine_is_at_most_1_in_spite_of_rounding():
    rows = gaussian(0, 500, 7)
    index = Index(7)
    index.add(range(500), rows)
    u, _ = l2_normalize(rows)
    assert (u @ u.T).max() > 1                                   # because of rounding
    assert index.search(rows, 1)[1].max() == 1


@given(seeds, st.lists(st.integers(0, 9), max_size=6))
def test_adding_in_parts_equals_adding_at_once(seed, parts):
    rows = gaussian(seed, sum(parts), 4)
    whole, piecewise = Index(4), Index(4)
    whole.add(range(len(rows)), rows)
    start = 0
    for n in parts:
        piecewise.add(range(start, start + n), rows[start:start + n])
        start += n
    assert len(whole) == len(piecewise) == len(rows)
    for ours, want in zip(piecewise.search(gaussian(seed + 1, 2, 4), 5),
                          whole.search(gaussian(seed + 1, 2, 4), 5)):
        np.testing.assert_array_equal(ours, want)


def test_a_zero_row_has_cosine_0_and_a_zero_query_returns_the_first_rows():
    index = three_rows()
    index.add(["zero"], [[0, 0]])
    ids, scores = index.search([[1.0, 1.0], [0.0, 0.0]], 4)
    assert ids[0].tolist() == ["a", "b", "zero", "c"] and scores[0, 2] == 0
    assert ids[1].tolist() == ["a", "b", "c", "zero"] and not scores[1].any()


def test_a_result_has_at_most_as_many_columns_as_the_index_has_rows():
    ids, scores = Index(2).search([[1.0, 2.0]], 3)
    assert ids.shape == scores.shape == (1, 0)
    assert three_rows().search([[1.0, 2.0]], 9)[0].shape == (1, 3)
    assert three_rows().search(np.zeros((0, 2)), 2)[0].shape == (0, 2)


def test_an_id_returns_a_copy_of_its_row():
    index = three_rows()
    np.testing.assert_allclose(index["a"], [0.6, 0.8], rtol=2.0**-23)
    index["a"][:] = 7
    assert index["a"][0] < 1
    assert "a" in index and "d" not in index
    with pytest.raises(KeyError, match="d"):
        index["d"]
    assert repr(index) == "Index(3 rows x 2 dimensions, cosine)"


def test_the_arguments_are_neither_changed_nor_kept():
    rows, names = X.copy().astype(np.float32), ["a", "b", "c"]
    index = Index(2, normalise=False)
    index.add(names, rows)
    rows[:] = 0
    names.clear()
    assert index.search(X, 1)[0].tolist() == [["a"], ["a"], ["c"]] and len(index) == 3


# ---- memory -------------------------------------------------------------------------

def test_adding_needs_little_memory_beyond_the_rows():
    rows = gaussian(0, 50_000, 64)                               # 12.8 MB
    tracemalloc.start()
    index = Index(64)
    index.add(range(len(rows)), rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    id_bytes = 50_000 * 200                                      # a list and a dict, twice
    assert peak <= rows.nbytes + id_bytes + 4 * 8 * (1 << 20)    # four blocks of 2²⁰ float64
    assert index._rows.nbytes == rows.nbytes


def test_many_small_additions_copy_the_rows_a_few_times_only():
    index, capacities = Index(2), set()
    for i in range(2000):
        index.add([i], [[1, i]])
        capacities.add(len(index._rows))
    assert len(capacities) <= 22 and len(index._rows) <= 3000        # log 2000 / log 1.5 = 18.7


# ---- invalid input: all rows are added or none ----------------------------------------

@pytest.mark.parametrize("ids, vectors, message", [
    (["d"], [[1, 2, 3]], r"a row of 2 numbers for each of 1 ids, got shape \(1, 3\)"),
    (["d"], [1, 2], r"got shape \(2,\)"), (["d", "e"], [[1, 2]], "each of 2 ids"),
    (["d", "b"], [[1, 2], [3, 4]], "got 'b', which is in the index already"),
    (["d", "e", "d"], [[1, 2], [3, 4], [5, 6]], "each id once, got 'd' more than once"),
    ([1], [[1, 2]], "expected str, like those in the index, got 1"),
    (["d", 1], [[1, 2], [3, 4]], "all of them int, or all str; got 1 and 'd'"),
    ([1.5], [[1, 2]], "all of them int, or all str; got 1.5"),
    ([True], [[1, 2]], "got True"), ([2**63], [[1, 2]], "64 bits, got 9223372036854775808"),
    ("de", [[1, 2], [3, 4]], "a list of ids, got one str, 'de'"),
    (["d", "e"], [[1, 2], [np.nan, 4]], "the vector of 'e': expected finite"),
    (["d", "e"], [[1, 2], [np.inf, 4]], "the vector of 'e': expected finite")])
def test_invalid_rows_are_refused_and_none_is_added(ids, vectors, message):
    index = three_rows()
    with pytest.raises(ValueError, match=message):
        index.add(ids, vectors)
    assert len(index) == 3 and "d" not in index
    assert index.search([[0.0, 1.0]], 9)[0].tolist() == [["b", "a", "c"]]
    index.add(["d"], [[0, 9]])                                   # the index works as before
    assert index.search([[0.0, 1.0]], 2)[0].tolist() == [["b", "d"]]


def test_a_vector_beyond_float32_is_refused_unless_it_is_normalised():
    cosines, products = Index(2), Index(2, normalise=False)
    cosines.add([1], [[1e300, 0]])
    assert cosines[1].tolist() == [1, 0]
    with pytest.raises(ValueError, match="the vector of 1: .*one beyond 3.4e38"):
        products.add([1], [[1e300, 0]])


def test_invalid_queries_and_parameters_are_refused():
    with pytest.raises(ValueError, match=r"expected \(N, 2\), got shape \(1, 3\)"):
        three_rows().search(np.ones((1, 3)), 1)
    with pytest.raises(ValueError, match=r"got shape \(2,\); for one query pass queries\[None\]"):
        three_rows().search(np.ones(2), 1)
    with pytest.raises(ValueError, match="query 1: expected finite"):
        three_rows().search([[1, 2], [np.nan, 2]], 1)
    with pytest.raises(ValueError, match="k=0: expected a whole number, 1 to"):
        three_rows().search(X, 0)
    with pytest.raises(ValueError, match="dim=0: expected a whole number, 1 to"):
        Index(0)
    with pytest.raises(TypeError):
        three_rows().add(["d"], [[1j, 2]])


def test_the_id_minus_1_is_refused_because_it_marks_the_end_of_a_list():
    """Rank fusion would take a document with the id −1 for the end of the list, and lose it."""
    with pytest.raises(ValueError, match="^ids: expected any integer but −1"):
        Index.from_vectors(np.eye(2), [5, -1])
    assert Index.from_vectors(np.eye(2), [5, -2]).search([[0, 1]], 1)[0].tolist() == [[-2]]
