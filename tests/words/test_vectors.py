"""WordVectors has the methods of gensim's KeyedVectors, and its results."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.words import format_analogies
from scratch_embed.space.analogy import three_cos_add
from scratch_embed.words.vectors import MissingWord, WordVectors, close_spellings
from tests.rounding import gamma, seeds, u32


@pytest.fixture
def compass():
    """Directions with different norms; northeast is 45 degrees from north and from east."""
    return WordVectors(["east", "north", "northeast", "west", "south"],
                       [[2, 0], [0, 1], [3, 3], [-1, 0], [0, -5]])


def random_words(seed, V=12, D=5):
    rng = np.random.default_rng(seed)
    return WordVectors([f"w{row}" for row in range(V)], rng.standard_normal((V, D)))


# ---- the methods of KeyedVectors -------------------------------------------

def test_a_word_has_a_row_and_a_vector(compass):
    assert compass.index_to_key[2] == "northeast" and compass.key_to_index["northeast"] == 2
    assert compass.vectors.shape == (5, 2) and compass.vectors.dtype == np.float32
    assert compass["northeast"].tolist() == [3, 3]
    assert compass[["south", "east"]].tolist() == [[0, -5], [2, 0]]
    assert compass[[]].shape == (0, 2)
    assert "east" in compass and "up" not in compass
    assert len(compass) == 5 and list(compass) == compass.index_to_key


def test_similarity_is_the_cosine_worked_by_hand(compass):
    assert compass.similarity("east", "northeast") == pytest.approx(math.sqrt(0.5), rel=2 * u32)
    assert compass.similarity("east", "west") == -1
    assert compass.similarity("east", "south") == 0


def test_most_similar_gives_the_nearest_words_first_without_the_word_itself(compass):
    (first, cos), *others = compass.most_similar("northeast", topn=3)
    assert first == "east" and cos == pytest.approx(math.sqrt(0.5), rel=4 * u32)
    assert [word for word, _ in others] == ["north", "west"]         # ties: the earlier word first
    assert len(compass.most_similar("east")) == 4                    # all other words
    assert compass.most_similar("east", topn=0) == []
    assert compass.most_similar(["east", "east"], topn=9) == compass.most_similar("east", topn=9)


def test_an_analogy_is_a_sum_of_directions(compass):
    # north − east + south = −east = west; the three words of the query are left out
    assert compass.most_similar(["north", "south"], ["east"], topn=1) == [("west", 1.0)]
    assert compass.most_similar(negative="east", topn=1) == [("west", 1.0)]


def test_a_vector_in_a_query_is_not_normalised_and_excludes_no_word(compass):
    assert compass.most_similar(compass["east"], topn=1) == [("east", 1.0)]
    # 2 · east + 1 · north lies 26.6 degrees from east, 63.4 from north
    (first, cos), *_ = compass.most_similar([compass["east"], "north"])
    assert first == "northeast" and cos == pytest.approx(3 / math.sqrt(10), rel=6 * u32)
    with pytest.raises(ValueError, match=r"shape \(2,\), got shape \(3,\)"):
        compass.most_similar([np.ones(3)])
    with pytest.raises(ValueError, match="finite"):
        compass.most_similar(np.array([1, np.nan]))


def test_the_odd_one_out_is_farthest_from_the_mean(compass):
    assert compass.doesnt_match(["north", "south", "northeast", "east"]) == "south"
    with pytest.raises(ValueError, match=r"'north south'.split\(\)"):
        compass.doesnt_match("north south")
    with pytest.raises(ValueError, match="at least one"):
        compass.doesnt_match([])


def test_an_empty_query_is_an_error(compass):
    with pytest.raises(ValueError, match="at least one word"):
        compass.most_similar()


# ---- against the definitions -----------------------------------------------

@given(seeds)
def test_most_similar_equals_a_full_sort_of_the_cosines(seed):
    kv = random_words(seed)
    rows = kv.unit_rows.astype(np.float64)
    target = rows[0] + rows[1] - rows[2]
    exact = rows @ target / np.linalg.norm(target)
    answer = kv.most_similar(["w0", "w1"], "w2", topn=20)
    assert sorted(word for word, _ in answer) == sorted(f"w{row}" for row in range(3, 12))
    scores = [score for _, score in answer]
    assert scores == sorted(scores, reverse=True)
    for word, score in answer:         # errors: the target, then D products
        assert abs(score - exact[kv.key_to_index[word]]) <= gamma(5 + 3, u32)


@given(seeds)
def test_most_similar_of_words_equals_3cosadd(seed):
    kv = random_words(seed)
    rows, cosines = three_cos_add(kv.unit_rows, [0, 1], [2], 4)
    assert kv.most_similar(["w0", "w1"], ["w2"], topn=4) == [
        (f"w{row}", float(cos)) for row, cos in zip(rows, cosines)]


@given(seeds)
def test_results_do_not_depend_on_the_norms_of_the_vectors(seed):
    kv = random_words(seed)
    powers = np.random.default_rng(seed).integers(-30, 30, (12, 1))
    scaled = WordVectors(kv.index_to_key, np.ldexp(kv.vectors, powers))
    assert scaled.most_similar(["w0", "w1"], ["w2"]) == kv.most_similar(["w0", "w1"], ["w2"])
    assert scaled.similarity("w0", "w1") == kv.similarity("w0", "w1")
    assert scaled.doesnt_match(["w3", "w4", "w5"]) == kv.doesnt_match(["w3", "w4", "w5"])


def test_a_cosine_is_never_above_one():
    for seed in range(200):                        # by rounding, many would be above 1
        kv = random_words(seed, V=2, D=3)
        assert all(abs(cos) <= 1 for _, cos in kv.most_similar(kv["w0"]))


# ---- state -----------------------------------------------------------------

def test_unit_rows_are_computed_once_and_vectors_are_read_only(compass):
    assert compass.unit_rows is compass.unit_rows
    for change in (lambda: compass.vectors.fill(0), lambda: compass["east"].fill(0)):
        with pytest.raises(ValueError, match="read-only"):
            change()


def test_the_callers_array_is_neither_copied_nor_locked():
    array = np.ones((2, 3), np.float32)
    kv = WordVectors(["a", "b"], array)
    assert np.shares_memory(kv.vectors, array) and array.flags.writeable


@pytest.mark.parametrize("words, vectors, message", [
    (["a", "b"], [[1, 2]], r"expected shape \(2, D\), one for each word, got \(1, 2\)"),
    (["a", "b"], [1, 2], r"got \(2,\)"), (["a"], [[]], r"got \(1, 0\)"),
    (["a", "b", "a"], np.ones((3, 2)), "got 'a' twice"),
    (["a", "b"], [[1, 2], [3, np.inf]], "got nan or inf for 'b'"),
    (["a", "b"], [[np.nan, 2], [3, 4]], "got nan or inf for 'a'"),
    (["a"], [[1e39]], "got nan or inf for 'a'"), ("ab", [[1, 2], [3, 4]], "got one str")])
def test_an_invalid_table_is_rejected(words, vectors, message):
    with pytest.raises(ValueError, match=message):
        WordVectors(words, vectors)


# ---- a missing word --------------------------------------------------------

@pytest.mark.parametrize("lookup", [
    lambda kv: kv["nort"], lambda kv: kv[["east", "nort"]],
    lambda kv: kv.similarity("east", "nort"),
    lambda kv: kv.most_similar("nort"), lambda kv: kv.most_similar(["east"], ["nort"]),
    lambda kv: kv.doesnt_match(["east", "west", "nort"])])
def test_a_missing_word_is_named_with_its_closest_spellings(compass, lookup):
    with pytest.raises(KeyError) as error:
        lookup(compass)
    assert str(error.value) == ("'nort' is not among the 5 words; the closest spellings are "
                                "'north', 'northeast'")


def test_words_that_differ_only_in_case_are_the_closest_spellings():
    """Letters alone would compare KING with sings before king."""
    words = ["sings", "king", "in", "King", "kings"]
    assert close_spellings("KING", words) == ["king", "King", "kings"]
    assert close_spellings("Sings", words) == ["sings", "kings", "king"]
    assert close_spellings("ÉTÉ", ["été"]) == ["été"]


def test_a_missing_word_without_similar_spellings_is_just_named(compass):
    with pytest.raises(KeyError) as error:
        compass["xyz"]
    assert str(error.value) == "'xyz' is not among the 5 words"


def test_spellings_are_compared_only_when_the_message_is_read():
    compared = []

    class Watched(list):
        def __iter__(self):
            compared.append(True)
            return super().__iter__()
    error = MissingWord("nort", Watched(["north"]))
    assert not compared
    assert "'north'" in str(error) and compared


# ---- files -----------------------------------------------------------------

@pytest.mark.parametrize("name, binary", [("table.txt", False), ("table.vec", False),
                                          ("table.bin", True)])
def test_a_saved_table_can_be_loaded_and_only_bin_is_binary(tmp_path, compass, name, binary):
    compass.save(tmp_path / name)
    again = WordVectors.load(tmp_path / name)
    assert again.index_to_key == compass.index_to_key
    np.testing.assert_array_equal(again.vectors, compass.vectors)
    assert (b"\0" in (tmp_path / name).read_bytes()) == binary


def test_the_evaluations_read_their_files(tmp_path, compass):
    (tmp_path / "questions").write_text(": family\nNorth east south west\n")
    (tmp_path / "pairs").write_text("East\tnortheast\t9\neast\twest\t1\nup\teast\t5\n")
    questions, pairs = tmp_path / "questions", tmp_path / "pairs"
    scores = compass.evaluate_word_analogies(questions)
    assert scores.overall[1:] == (0, 1, 1)         # (1, −2) is nearer to northeast
    assert len(format_analogies(scores)) == 4      # header, section, line, total
    assert compass.evaluate_word_analogies(questions, lower=False).overall[1:] == (0, 0, 1)
    assert compass.evaluate_word_pairs(pairs)[1:] == (2, 3)
    assert compass.evaluate_word_pairs(pairs).spearman == pytest.approx(1, abs=64 * 2**-53)
    assert compass.evaluate_word_pairs(pairs, lower=False)[1:] == (1, 3)


def test_most_similar_cosmul_worked_by_its_formula(compass):
    words = WordVectors(["man", "woman", "king", "queen", "apple"],
                        [[1, 1, 0], [1, -1, 0], [2, 1, 0.5], [2, -1, 0.5], [-1, 0, 1]])
    best = words.most_similar_cosmul(positive=["king", "woman"], negative=["man"])
    assert best[0][0] == "queen" and len(best) == 2            # the query's words are left out
    unit = words.unit_rows.astype(float)
    a, b, c, d = (unit[row] for row in (0, 2, 1, 3))
    want = (1 + d @ b) / 2 * (1 + d @ c) / 2 / ((1 + d @ a) / 2 + 0.001)
    assert best[0][1] == pytest.approx(want, rel=2**-20)
    assert words.most_similar_cosmul("king", topn=0) == []
    with pytest.raises(KeyError, match="kang"):
        words.most_similar_cosmul("kang")


# ---- parity ----------------------------------------------------------------

@given(seeds)
def test_results_equal_gensims(seed):
    KeyedVectors = pytest.importorskip("gensim.models").KeyedVectors
    kv = random_words(seed)
    theirs = KeyedVectors(vector_size=5)
    theirs.add_vectors(kv.index_to_key, kv.vectors)
    u, w0, w4 = kv.unit_rows, kv["w0"], kv["w4"]
    for positive, negative, terms in [("w0", [], [u[0]]), (w4, [], [w4]),
                                      (["w0", "w1"], ["w2"], [u[0], u[1], -u[2]]),
                                      ([3 * w0, "w1"], "w2", [3 * w0, u[1], -u[2]])]:
        ours = dict(kv.most_similar(positive, negative, topn=20))
        gensims = dict(theirs.most_similar(positive, negative, topn=20))
        assert ours.keys() == gensims.keys()
        # unit rows, their sum and products are rounded; cancellation in the sum magnifies errors
        magnified = sum(map(np.linalg.norm, terms)) / np.linalg.norm(sum(terms))
        for word in ours:
            assert abs(ours[word] - gensims[word]) <= 4 * gamma(5 + 3, u32) * magnified
    assert abs(kv.similarity("w0", "w1") - theirs.similarity("w0", "w1")) <= 4 * gamma(5 + 3, u32)
    four = ["w0", "w1", "w2", "w3"]
    assert kv.doesnt_match(four) == theirs.doesnt_match(four)


# ---- gensim's further methods ----------------------------------------------

def test_get_vector_gives_the_vector_or_its_direction():
    kv = WordVectors(["a", "b"], [[3, 4], [0, 2]])
    assert kv.get_vector("a").tolist() == [3, 4]
    assert kv.get_vector("a", norm=True).tolist() == [np.float32(0.6), np.float32(0.8)]
    with pytest.raises(MissingWord):
        kv.get_vector("c")


def test_words_similar_to_a_vector_worked_by_hand():
    kv = WordVectors(["up", "right", "down"], [[0, 1], [1, 0], [0, -2]])
    assert kv.similar_by_vector([0, 3]) == [("up", 1.0), ("right", 0.0), ("down", -1.0)]
    assert kv.similar_by_vector([0, 3], 2, restrict_vocab=2) == [("up", 1.0), ("right", 0.0)]
    with pytest.raises(ValueError, match="expected a word or a finite vector of shape"):
        kv.similar_by_vector([1, 2, 3])


def test_restrict_vocab_searches_only_the_first_words():
    kv = WordVectors(["a", "b", "c", "d"], [[1, 0], [0, 1], [1, 1], [2, 0.1]])
    assert [word for word, _ in kv.most_similar("a")] == ["d", "c", "b"]
    assert [word for word, _ in kv.most_similar("a", restrict_vocab=3)] == ["c", "b"]
    assert [word for word, _ in kv.most_similar("d", restrict_vocab=2)] == ["a", "b"]
    assert kv.most_similar("a", restrict_vocab=1) == []
    assert kv.most_similar("a", restrict_vocab=9) == kv.most_similar("a")
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match="restrict_vocab=.*: expected a whole number"):
            kv.most_similar("a", restrict_vocab=wrong)


@given(seeds, st.integers(1, 8), st.integers(1, 8))
def test_the_further_methods_agree_with_gensims(seed, topn, restrict):
    KeyedVectors = pytest.importorskip("gensim.models").KeyedVectors
    rng = np.random.default_rng(seed)
    words, table = list("abcdefgh"), rng.standard_normal((8, 5)).astype(np.float32)
    theirs, ours = KeyedVectors(5), WordVectors(words, table)
    theirs.add_vectors(words, table)
    query = rng.standard_normal(5).astype(np.float32)
    for mine, other in [
            (ours.similar_by_vector(query, topn, restrict),
             theirs.similar_by_vector(query, topn, restrict)),
            (ours.most_similar("h", topn=topn, restrict_vocab=restrict),
             theirs.most_similar("h", topn=topn, restrict_vocab=restrict))]:
        assert [word for word, _ in mine] == [word for word, _ in other]
        np.testing.assert_allclose([x for _, x in mine], [x for _, x in other], atol=1e-5)
    np.testing.assert_allclose(ours.get_vector("c", norm=True), theirs.get_vector("c", norm=True),
                               rtol=1e-5, atol=1e-7)


def test_a_folder_is_not_a_file_of_word_vectors(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a file of word vectors, found a folder"):
        WordVectors.load(tmp_path)
