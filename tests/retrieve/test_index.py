"""The index answers as a full sort does, adds all or nothing, and comes back from disk the same."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.space.similarity import cosine_matrix, unit
from tests.rounding import seeds

X = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]])


def small(normalise=True):
    index = Index(2, normalise)
    index.add(["a", "b", "c"], X)
    return index


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


# ---- search -----------------------------------------------------------------------

def test_worked_by_hand():
    ids, scores = small().search([[0.0, 5.0]], 3)
    assert ids.tolist() == [["b", "a", "c"]]
    np.testing.assert_allclose(scores, [[1, 0.8, 0]], rtol=2.0**-23)
    ids, scores = small(normalise=False).search([[0.0, 5.0]], 2)
    assert ids.tolist() == [["a", "b"]] and scores.tolist() == [[20, 10]]


@given(seeds, st.integers(0, 5), st.integers(0, 50), st.integers(1, 12), st.integers(1, 300),
       st.integers(1, 3))
def test_search_is_a_stable_full_sort(seed, N, M, k, block, workers):
    rng = np.random.default_rng(seed)
    Q, rows = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (N, M))   # exact, with ties
    names = rng.permutation(M) * 10
    index = Index(3, normalise=False)
    index.add(names, rows)
    ids, scores = index.search(Q, k, workers=workers, block=block)
    want = np.argsort(-(Q @ rows.T), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, names[want])
    np.testing.assert_array_equal(scores, np.take_along_axis(Q @ rows.T, want, axis=1))
    assert scores.dtype == np.float32 and (ids.dtype == np.int64 or M == 0)


@given(seeds)
def test_scores_are_cosines_whatever_the_lengths(seed):
    rows, Q = gaussian(seed, 20, 6), gaussian(seed + 1, 3, 6)
    index = Index(6)
    index.add(range(20), rows * np.float32(10.0) ** np.arange(-10, 10, dtype=np.float32)[:, None])
    ids, scores = index.search(Q * np.float32(1e20), 20)
    want = np.take_along_axis(cosine_matrix(Q.astype(float), rows.astype(float)), ids, axis=1)
    assert abs(scores - want).max() <= 4 * 8 * 2.0**-24
    assert abs(scores).max() <= 1


def test_a_cosine_is_never_above_one():
    rows = gaussian(0, 500, 7)
    index = Index(7)
    index.add(range(500), rows)
    assert (unit(rows) @ unit(rows).T).max() > 1                 # by a rounding
    assert index.search(rows, 1)[1].max() == 1


@given(seeds, st.lists(st.integers(0, 9), max_size=6))
def test_adding_in_parts_is_adding_at_once(seed, parts):
    rows = gaussian(seed, sum(parts), 4)
    whole, piecewise = Index(4), Index(4)
    whole.add(range(len(rows)), rows)
    at = 0
    for n in parts:
        piecewise.add(range(at, at + n), rows[at:at + n])
        at += n
    assert len(whole) == len(piecewise) == len(rows)
    for ours, want in zip(piecewise.search(gaussian(seed + 1, 2, 4), 5),
                          whole.search(gaussian(seed + 1, 2, 4), 5)):
        np.testing.assert_array_equal(ours, want)


def test_a_zero_row_is_like_nothing_and_a_zero_query_finds_the_first():
    index = small()
    index.add(["zero"], [[0, 0]])
    ids, scores = index.search([[1.0, 1.0], [0.0, 0.0]], 4)
    assert ids[0].tolist() == ["a", "b", "zero", "c"] and scores[0, 2] == 0
    assert ids[1].tolist() == ["a", "b", "c", "zero"] and not scores[1].any()


def test_an_empty_index_finds_nothing_and_k_ends_at_its_rows():
    ids, scores = Index(2).search([[1.0, 2.0]], 3)
    assert ids.shape == scores.shape == (1, 0)
    assert small().search([[1.0, 2.0]], 9)[0].shape == (1, 3)
    assert small().search(np.zeros((0, 2)), 2)[0].shape == (0, 2)


def test_a_row_is_known_by_its_id_and_is_a_copy():
    index = small()
    np.testing.assert_allclose(index["a"], [0.6, 0.8], rtol=2.0**-23)
    index["a"][:] = 7
    assert index["a"][0] < 1
    assert "a" in index and "d" not in index
    with pytest.raises(KeyError, match="d"):
        index["d"]
    assert repr(index) == "Index(3 rows x 2 dimensions, cosine)"


def test_what_is_given_is_not_changed_and_not_kept():
    rows, names = X.copy().astype(np.float32), ["a", "b", "c"]
    index = Index(2, normalise=False)
    index.add(names, rows)
    rows[:] = 0
    names.clear()
    assert index.search(X, 1)[0].tolist() == [["a"], ["a"], ["c"]] and len(index) == 3


# ---- memory -------------------------------------------------------------------------

def test_adding_takes_the_rows_and_little_more():
    rows = gaussian(0, 50_000, 64)                               # 12.8 MB
    tracemalloc.start()
    index = Index(64)
    index.add(range(len(rows)), rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ids = 50_000 * 200                                           # a list, a dict, twice while added
    assert peak <= rows.nbytes + ids + 4 * 8 * (1 << 20)
    assert index._rows.nbytes == rows.nbytes


def test_many_small_additions_copy_the_rows_a_few_times_only():
    index, copies = Index(2), set()
    for i in range(2000):
        index.add([i], [[1, i]])
        copies.add(len(index._rows))
    assert len(copies) <= 22 and len(index._rows) <= 3000        # log 2000 / log 1.5 = 18.7


# ---- refused: all or nothing ----------------------------------------------------------

@pytest.mark.parametrize("ids, vectors, what", [
    (["d"], [[1, 2, 3]], r"a row of 2 numbers for each of 1 ids, found shape \(1, 3\)"),
    (["d"], [1, 2], r"found shape \(2,\)"), (["d", "e"], [[1, 2]], "each of 2 ids"),
    (["d", "b"], [[1, 2], [3, 4]], "the id 'b' is in the index already"),
    (["d", "e", "d"], [[1, 2], [3, 4], [5, 6]], "the id 'd' comes more than once"),
    ([1], [[1, 2]], "expected str, as those in the index, found 1"),
    (["d", 1], [[1, 2], [3, 4]], "all of them int, or all str; found 1 beside 'd'"),
    ([1.5], [[1, 2]], "all of them int, or all str; found 1.5"),
    ([True], [[1, 2]], "found True"), ([2**63], [[1, 2]], "64 bits, found 9223372036854775808"),
    ("de", [[1, 2], [3, 4]], "a list of ids, found one str, 'de'"),
    (["d", "e"], [[1, 2], [np.nan, 4]], "the vector of 'e': expected finite"),
    (["d", "e"], [[1, 2], [np.inf, 4]], "the vector of 'e': expected finite")])
def test_what_cannot_be_added_is_refused_and_nothing_of_it_is_added(ids, vectors, what):
    index = small()
    with pytest.raises(ValueError, match=what):
        index.add(ids, vectors)
    assert len(index) == 3 and "d" not in index
    assert index.search([[0.0, 1.0]], 9)[0].tolist() == [["b", "a", "c"]]
    index.add(["d"], [[0, 9]])                                   # and it works as before
    assert index.search([[0.0, 1.0]], 2)[0].tolist() == [["b", "d"]]


def test_a_vector_beyond_float32_is_refused_only_where_its_length_counts():
    cosines, products = Index(2), Index(2, normalise=False)
    cosines.add([1], [[1e300, 0]])
    assert cosines[1].tolist() == [1, 0]
    with pytest.raises(ValueError, match="the vector of 1: .*one beyond 3.4e38"):
        products.add([1], [[1e300, 0]])


def test_queries_of_another_width_or_with_nan_are_refused():
    with pytest.raises(ValueError, match=r"expected \(N, 2\), found shape \(1, 3\)"):
        small().search(np.ones((1, 3)), 1)
    with pytest.raises(ValueError, match=r"found shape \(2,\); for one query pass queries\[None\]"):
        small().search(np.ones(2), 1)
    with pytest.raises(ValueError, match="query 1: expected finite"):
        small().search([[1, 2], [np.nan, 2]], 1)
    with pytest.raises(ValueError, match="k: expected 1 or more, found 0"):
        small().search(X, 0)
    with pytest.raises(ValueError, match="dim: expected 1 or more, found 0"):
        Index(0)
    with pytest.raises(TypeError):
        small().add(["d"], [[1j, 2]])


# ---- files ----------------------------------------------------------------------------

@pytest.mark.parametrize("names", [["a", "", "日本 🙂\n\0"], [7, -2**63, 2**63 - 1], []])
@pytest.mark.parametrize("normalise", [True, False])
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, names, normalise):
    index = Index(5, normalise)
    index.add(names, gaussian(0, len(names), 5))
    index.save(tmp_path / "index.safetensors")
    again = Index.load(tmp_path / "index.safetensors")
    assert (again.dim, again.normalise, len(again)) == (5, normalise, len(names))
    for name in names:
        assert again[name].tobytes() == index[name].tobytes()
    for ours, want in zip(again.search(gaussian(1, 2, 5), 2), index.search(gaussian(1, 2, 5), 2)):
        np.testing.assert_array_equal(ours, want)
    again.add(["new"] if names[:1] == ["a"] else [0], gaussian(2, 1, 5))      # it still grows
    assert len(again) == len(names) + 1 and len(index) == len(names)


def test_only_the_rows_in_use_are_saved(tmp_path):
    index = Index(2)
    for i in range(10):
        index.add([i], [[1, i]])
    assert len(index._rows) > 10
    index.save(tmp_path / "x")
    assert read_safetensors(tmp_path / "x")[0]["vectors"].shape == (10, 2)


def test_an_id_without_utf8_cannot_be_saved_and_the_old_file_stays(tmp_path):
    small().save(tmp_path / "x")
    index = Index(2)
    index.add(["\ud800"], [[1, 2]])
    with pytest.raises(ValueError, match="no UTF-8 form"):
        index.save(tmp_path / "x")
    assert len(Index.load(tmp_path / "x")) == 3


def test_a_file_cut_anywhere_is_refused(tmp_path):
    small().save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(FormatError):
            Index.load(tmp_path / "cut")


@pytest.mark.parametrize("change, what", [
    (dict(vectors=None), "tensor 'vectors'.*3 ids, found none"),
    (dict(vectors=X), r"found float64 \(3, 2\)"),
    (dict(vectors=np.float32(X[:2])), r"found float32 \(2, 2\)"),
    (dict(vectors=np.zeros((3, 0), np.float32)), r"found float32 \(3, 0\)"),
    (dict(vectors=np.float32([[1, 2], [3, np.nan], [5, 6]])), "row 1: expected finite"),
    (dict(id_ends=None), "expected 'ids' int64"), (dict(id_text=None), "expected 'ids' int64"),
    (dict(id_ends=np.array([1, 2])), r"rise from 0 to 3"),
    (dict(id_ends=np.array([2, 1, 3])), "rise from 0 to 3"),
    (dict(id_ends=np.array([-1, 2, 3])), "rise from 0 to 3"),
    (dict(id_ends=np.array([1, 1, 3])), None),                   # "a", "", "bc": an index too
    (dict(id_text=np.frombuffer(b"aba", np.uint8)), "'a' comes more than once"),
    (dict(id_text=np.frombuffer(b"a\xffc", np.uint8)), "expected UTF-8"),
    (dict(ids=np.array([1, 1, 2])), "the id 1 comes more than once"),
    (dict(kind="else"), "its metadata: expected the kind"),
    (dict(normalise="maybe"), "normalise True or False")])
def test_a_file_whose_parts_do_not_agree_is_refused(tmp_path, change, what):
    small().save(tmp_path / "x")
    tensors, metadata = read_safetensors(tmp_path / "x")
    for name, value in change.items():
        part = metadata if isinstance(value, str) else tensors
        part[name] = value
        if value is None:
            del part[name]
    write_safetensors(tmp_path / "y", tensors, metadata)
    if what is None:
        assert "bc" in Index.load(tmp_path / "y")
    else:
        with pytest.raises(FormatError, match=what):
            Index.load(tmp_path / "y")


def test_rows_are_unit_rows_in_the_file(tmp_path):
    small().save(tmp_path / "x")
    np.testing.assert_array_equal(read_safetensors(tmp_path / "x")[0]["vectors"],
                                  unit(X).astype(np.float32))
