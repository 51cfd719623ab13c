"""Analogies and word pairs: strict reading, scores with coverage, equal to gensim's."""
import math

import numpy as np
import pytest
from hypothesis import given

from scratch_embed.evaluate.words import (
    AnalogyScores,
    PairScores,
    Section,
    SectionScore,
    format_analogies,
    format_pairs,
    read_analogies,
    read_pairs,
    score_analogies,
    score_pairs,
)
from scratch_embed.numerics.errors import FormatError
from tests.rounding import seeds

QUESTIONS = """: family
King queen  man woman
king queen aunt uncle

: gram1-plural
king kings man men
king queens man men
: gram2-empty
"""
# corners of a cube; its axes are rank, sex and number
VOCABULARY = {"king": [1, 1, -1], "queen": [1, -1, -1], "man": [-1, 1, -1], "woman": [-1, -1, -1],
              "kings": [1, 1, 1], "men": [-1, 1, 1]}
INDEX = {word: row for row, word in enumerate(VOCABULARY)}
VECTORS = np.array(list(VOCABULARY.values()), np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("words") / "file"


def saved(path, data):
    """Write the text or bytes to the path.  -> the path"""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# ---- reading analogies -----------------------------------------------------

def test_sections_and_questions_are_read_in_order_and_lower_cased(path):
    sections = read_analogies(saved(path, QUESTIONS))
    assert sections == [
        ("family", [("king", "queen", "man", "woman"), ("king", "queen", "aunt", "uncle")]),
        ("gram1-plural", [("king", "kings", "man", "men"), ("king", "queens", "man", "men")]),
        ("gram2-empty", [])]
    assert read_analogies(path, lower=False)[0].questions[0] == ("King", "queen", "man", "woman")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(path):
    plain = read_analogies(saved(path, QUESTIONS))
    assert read_analogies(saved(path, "\ufeff" + QUESTIONS.replace("\n", "\r\n"))) == plain


@pytest.mark.parametrize("data, message", [
    (": a\nb c d e\nb c d\n", "line 3: expected four words or a line ': section', found 3 words"),
    (": a\n\nb c d e f\n", "line 3: expected four words or a line ': section', found 5 words"),
    ("b c d e\n", "line 1: expected a line ': section' before the first question"),
    (b": a\nb c d \xf9\n", "line 2, byte 6 of it: this is not UTF-8 text"),
    (b": a\n", "the whole file: expected questions of four words, found none")])
def test_an_error_names_the_malformed_line_of_analogies(path, data, message):
    with pytest.raises(FormatError) as error:
        read_analogies(saved(path, data))
    assert str(error.value).startswith(f"{path}: {message}")


# ---- scoring analogies -----------------------------------------------------

def test_analogies_worked_by_hand(path):
    scores = score_analogies(INDEX, VECTORS, read_analogies(saved(path, QUESTIONS)))
    family = SectionScore("family", 1, 1, 2)                 # "aunt" has no vector
    plural = SectionScore("gram1-plural", 1, 1, 2)           # "queens" has no vector
    empty = SectionScore("gram2-empty", 0, 0, 0)
    assert scores == AnalogyScores([family, plural, empty], SectionScore("semantic", 1, 1, 2),
                                   SectionScore("syntactic", 1, 1, 2), SectionScore("all", 2, 2, 4))
    assert family.accuracy == 1 and math.isnan(empty.accuracy)


def test_a_wrong_answer_counts_as_covered_but_not_as_correct():
    questions = [("king", "queen", "man", "men"), ("king", "queen", "man", "woman")]
    [score], *_ = score_analogies(INDEX, VECTORS, [Section("s", questions)])
    assert score == ("s", 1, 2, 2) and score.accuracy == 0.5


def test_a_b_and_c_are_never_predicted():
    # a = b, so b − a + c = c: the nearest word is c, which is excluded
    [score], *_ = score_analogies(INDEX, VECTORS, [Section("s", [("king", "king", "man", "man")])])
    assert score == ("s", 0, 1, 1)


@pytest.mark.parametrize("V", [0, 1, 2, 3])
def test_a_vocabulary_of_fewer_than_four_words_solves_nothing(V):
    index = {word: row for word, row in INDEX.items() if row < V}
    question = ("king", "king", "king", "king")
    scores = score_analogies(index, VECTORS[:V], [Section("s", [question])])
    assert scores.overall == ("all", 0, min(V, 1), 1)


def test_no_questions_give_nan():
    scores = score_analogies(INDEX, VECTORS, [])
    assert scores.sections == [] and scores.overall == ("all", 0, 0, 0)
    assert math.isnan(scores.overall.accuracy)


def random_task(seed, V=12, D=5, Q=15):
    """V random vectors, and questions of V + 2 words, two of which have no vector."""
    rng = np.random.default_rng(seed)
    names = [f"w{row}" for row in range(V)]
    sections = [Section(name, [tuple(f"w{w}" for w in rng.choice(V + 2, 4, replace=False))
                               for _ in range(Q)]) for name in ("family", "gram1")]
    return {name: row for row, name in enumerate(names)}, rng.standard_normal((V, D)), sections


@given(seeds)
def test_the_score_equals_a_loop_over_questions_and_words(seed):
    index, vectors, sections = random_task(seed)
    u = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for section, score in zip(sections, score_analogies(index, vectors, sections).sections):
        known = [q for q in section.questions if all(word in index for word in q)]
        correct = 0
        for a, b, c, d in known:
            target = u[index[b]] - u[index[a]] + u[index[c]]
            answer = max(set(index) - {a, b, c}, key=lambda word: u[index[word]] @ target)
            correct += answer == d
        assert score == (section.name, correct, len(known), len(section.questions))


@given(seeds)
def test_the_length_of_a_vector_has_no_effect(seed):
    index, vectors, sections = random_task(seed)
    pairs = [(a, b, float(row)) for row, (a, b, *_) in enumerate(sections[0].questions)]
    scaled = vectors * np.exp2(np.random.default_rng(seed).integers(-40, 40, (len(vectors), 1)))
    assert score_analogies(index, scaled, sections) == score_analogies(index, vectors, sections)
    assert score_pairs(index, scaled, pairs) == score_pairs(index, vectors, pairs)


# ---- pairs -----------------------------------------------------------------

@pytest.mark.parametrize("data", ["# Word 1\tWord 2\tMean\nking\tQueen\t8.5\n\nman\tking\t-1\n",
                                  "king,Queen,8.5\r\nman, king, -1\r\n",
                                  "king Queen 8.5\n# about men\nman  king -1"])
def test_pairs_are_separated_by_tabs_commas_or_spaces(path, data):
    assert read_pairs(saved(path, data)) == [("king", "queen", 8.5), ("man", "king", -1)]
    assert read_pairs(path, lower=False)[0] == ("king", "Queen", 8.5)


def test_a_tab_allows_words_with_spaces_and_commas(path):
    saved(path, "new york\tParis, France\t5\n")
    assert read_pairs(path) == [("new york", "paris, france", 5)]


@pytest.mark.parametrize("data, message", [
    ("a b 1\nWord 1,Word 2,Mean\n", "line 2: expected a number as the score, found 'mean'"),
    ("a b\n", "line 1: expected two words and a score, found ['a', 'b']"),
    ("a\tb\t1\t2\n", "line 1: expected two words and a score, found ['a', 'b', '1', '2']"),
    ("a,,1\n", "line 1: expected two words and a score, found ['a', '', '1']"),
    ("c d 1\na b nan\n", "line 2: expected a number as the score, found 'nan'"),
    ("c d 1\na b inf\n", "line 2: expected a number as the score, found 'inf'"),
    (b"a b 1\n\xf9 b 1\n", "line 2, byte 0 of it: this is not UTF-8 text"),
    ("# nothing\n", "the whole file: expected pairs with a score, found none")])
def test_an_error_names_the_malformed_line_of_pairs(path, data, message):
    with pytest.raises(FormatError) as error:
        read_pairs(saved(path, data))
    assert str(error.value).startswith(f"{path}: {message}")


def test_spearman_of_three_pairs_worked_by_hand():
    index = {"east": 0, "north": 1, "northeast": 2, "west": 3}
    vectors = np.array([[1, 0], [0, 5], [2, 2], [-1, 0]])
    # the cosines √½, 0, −1 have ranks 3, 2, 1, the human scores 2, 3, 1: ρ = 1 − 6 · 2 / 24
    pairs = [("east", "northeast", 7.0), ("east", "north", 9.0), ("east", "west", 1.0),
             ("east", "up", 5.0)]
    scores = score_pairs(index, vectors, pairs)
    assert scores.spearman == pytest.approx(0.5, rel=64 * 2**-53)
    assert (scores.covered, scores.total) == (3, 4)


def test_fewer_than_two_covered_pairs_give_nan():
    for pairs in [[], [("a", "b", 1.0)], [("king", "queen", 1.0), ("a", "king", 2.0)]]:
        scores = score_pairs(INDEX, VECTORS, pairs)
        assert math.isnan(scores.spearman) and scores.total == len(pairs)
    assert scores.covered == 1


# ---- the printed form ------------------------------------------------------

def test_each_percentage_is_printed_with_its_coverage(path):
    scores = score_analogies(INDEX, VECTORS, read_analogies(saved(path, QUESTIONS)))
    assert format_analogies(scores) == [
        "analogies     correct  covered    total        %",
        "family              1        1        2   100.00",
        "gram1-plural        1        1        2   100.00",
        "gram2-empty         0        0        0     none",
        "------------------------------------------------",
        "semantic            1        1        2   100.00",
        "syntactic           1        1        2   100.00",
        "all                 2        2        4   100.00"]


def test_the_pairs_line_shows_coverage():
    assert format_pairs("wordsim353", PairScores(0.36754, 342, 353)) == [
        "wordsim353  Spearman   36.75  (342 of 353 pairs covered)"]
    assert format_pairs("mine", PairScores(math.nan, 0, 2)) == [
        "mine  Spearman    none  (0 of 2 pairs covered)"]


# ---- parity ----------------------------------------------------------------

def test_equals_gensims_evaluation_on_the_same_files(path):
    KeyedVectors = pytest.importorskip("gensim.models").KeyedVectors
    rng = np.random.default_rng(0)
    words = [f"w{row}" for row in range(30)]
    offsets = np.repeat(rng.standard_normal((2, 8)), 15, axis=0)     # makes some analogies solvable
    vectors = (offsets + np.tile(rng.standard_normal((15, 8)), (2, 1))
               + 0.35 * rng.standard_normal((30, 8))).astype(np.float32)
    index = {word: row for row, word in enumerate(words)}
    theirs = KeyedVectors(vector_size=8)
    theirs.add_vectors(words, vectors)

    lines = [f"W{a} w{a + 15} w{b} w{b + 15 + (a == 0)}\n" for a in range(15) for b in range(15)
             if a != b]
    saved(path, ": family\n" + "".join(lines[:80]) + ": gram1\n" + "".join(lines[80:]))
    ours = score_analogies(index, vectors, read_analogies(path))
    _, sections = theirs.evaluate_word_analogies(str(path), restrict_vocab=1000)
    assert [(len(s["correct"]), len(s["correct"] + s["incorrect"])) for s in sections] == [
        (s.correct, s.covered) for s in [*ours.sections, ours.overall]]
    assert 0 < ours.overall.correct < ours.overall.covered < ours.overall.total

    saved(path, "".join(f"w{a}\tW{b}\t{rng.integers(0, 9)}\n"
                        for a, b in rng.integers(0, 32, (40, 2))))
    ours = score_pairs(index, vectors, read_pairs(path))
    _, spearman, unknown = theirs.evaluate_word_pairs(str(path))
    assert ours.spearman == pytest.approx(spearman[0], abs=1e-12)
    assert 100 * (1 - ours.covered / ours.total) == pytest.approx(unknown)
