"""Mining hard negatives: by hand, what it never returns, and parity with sentence-transformers."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.retrieve.lists import NO_ID
from scratch_embed.sentences.hard_negatives import (
    DUPLICATE,
    EQUAL,
    MARGIN,
    POSITIVE,
    SKIPPED,
    Mining,
    at_random,
    bm25,
    choose,
    cosines,
    mine_hard_negatives,
)
from tests.rounding import seeds

SCORES = np.array([0.8, 0.99, 0.76, 0.79, 0.5, 0.4])       # document 0 is the positive


def chosen(**settings):
    ids, values, left_out = choose(SCORES, [0], Mining(**settings))
    np.testing.assert_array_equal(values, SCORES[ids])
    return ids.tolist(), {reason: int(n) for reason, n in left_out.items() if n}


# ---- one query, by hand --------------------------------------------------------------------------

def test_without_a_margin_the_best_other_documents_are_chosen():
    assert chosen(num_negatives=3) == ([1, 3, 2], {POSITIVE: 1})


@pytest.mark.parametrize("margins, ids, near", [
    (dict(absolute_margin=0), [3, 2], 1),                  # at most 0.8: document 1 is above
    (dict(absolute_margin=0.1), [4, 5], 3),                # at most 0.7
    (dict(relative_margin=0.05), [2, 4], 2),               # at most 0.8 − 0.04 = 0.76, which is
    (dict(absolute_margin=0, relative_margin=0.5), [5], 4)])                     # included
def test_a_margin_leaves_out_documents_that_score_nearly_as_high_as_the_positive(margins, ids,
                                                                                 near):
    assert chosen(num_negatives=2, **margins) == (ids, {POSITIVE: 1, MARGIN: near})


def test_a_negative_score_of_the_positive_has_a_margin_below_it_too():
    """−0.8 − 0.1 · 0.8 = −0.88; a factor of 0.9 would allow −0.72, above the positive."""
    ids, *_ = choose(np.array([-0.8, -0.7, -0.85, -0.9]), [0], Mining(relative_margin=0.1))
    assert ids.tolist() == [3]


def test_of_several_positives_the_one_with_the_lowest_score_sets_the_limit():
    ids, _, left_out = choose(SCORES, [0, 4], Mining(absolute_margin=0))
    assert ids.tolist() == [5] and left_out[POSITIVE] == 2 and left_out[MARGIN] == 3


def test_ranks_count_the_documents_that_the_margin_leaves():
    assert chosen(num_negatives=2, range_min=1) == ([3, 2], {POSITIVE: 1, SKIPPED: 1})
    assert chosen(num_negatives=2, range_min=1, absolute_margin=0) == (
        [2, 4], {POSITIVE: 1, MARGIN: 1, SKIPPED: 1})
    assert chosen(num_negatives=2, range_max=2, absolute_margin=0) == (
        [3], {POSITIVE: 1, MARGIN: 1})                     # of the candidates 1 and 3


def test_random_negatives_come_from_the_same_range():
    """Of the candidates 1, 3, 2, 4, the first is skipped."""
    drawn = {tuple(chosen(num_negatives=2, range_min=1, range_max=4,
                          sampling_strategy=at_random(seed))[0]) for seed in range(40)}
    assert drawn == {(3, 2), (3, 4), (2, 4)}


# ---- pairs of texts ------------------------------------------------------------------------------

QUERIES = ["red fox", "red fox", "old dog", "zebra"]
POSITIVES = ["a red fox runs", "the fox is red", "an old dog", "no such word"]
CORPUS = ["red fox", "a red car", "a fox", "a red car", "old cars"]


def test_pairs_with_bm25():
    """The two pairs of a query share their negatives, and neither has the other's positive."""
    mined = mine_hard_negatives(QUERIES, POSITIVES, bm25(), CORPUS, Mining(num_negatives=2))
    assert mined.documents == ["red fox", "a red car", "a fox", "old cars", *POSITIVES]
    assert mined.ids.tolist() == [[2, 1], [2, 1], [3, NO_ID], [NO_ID, NO_ID]]
    assert mined.found.tolist() == [2, 2, 1, 0]
    assert mined.excluded == {DUPLICATE: 1, EQUAL: 1, POSITIVE: 3, MARGIN: 0, SKIPPED: 0}
    assert mined.triplets() == [["red fox"] * 4 + ["old dog"],
                                ["a red fox runs"] * 2 + ["the fox is red"] * 2 + ["an old dog"],
                                ["a fox", "a red car"] * 2 + ["old cars"]]
    assert mined.tuples() == [["red fox"] * 2, POSITIVES[:2], ["a fox"] * 2, ["a red car"] * 2]


def test_other_texts_take_the_places_of_missing_negatives():
    mined = mine_hard_negatives(["fox", "cat"], ["red fox", "a puss"], bm25(), ["a fox"],
                                Mining(2))
    assert mined.tuples() == [[], [], [], []]
    assert mined.tuples([["v", "w"], ["x", "y"]]) == [
        ["fox", "cat"], ["red fox", "a puss"], ["a fox", "w"], ["x", "y"]]


def test_if_bm25_does_not_find_the_positive_a_margin_leaves_no_negatives():
    pair = ["red fox"], ["a vulpine in scarlet"]
    assert mine_hard_negatives(*pair, bm25(), CORPUS).found.tolist() == [2]
    for margin in dict(absolute_margin=0), dict(relative_margin=0):
        mined = mine_hard_negatives(*pair, bm25(), CORPUS, Mining(**margin))
        assert mined.found.tolist() == [0] and mined.excluded[MARGIN] == 2


def test_queries_and_documents_can_be_encoded_differently():
    def encoder(sign):
        return lambda texts: np.array([[sign * len(text), 1.0] for text in texts])
    same, opposite = (mine_hard_negatives(["aaa"], ["aa"], score, ["a", "aaaaa"], Mining(1))
                      for score in (cosines(encoder(1)), cosines(encoder(1), encoder(-1))))
    assert same.triplets()[2] == ["aaaaa"] and opposite.triplets()[2] == ["a"]


@pytest.mark.parametrize("settings, message", [
    (dict(num_negatives=0), "num_negatives=0"), (dict(range_min=-1), "range_min=-1"),
    (dict(num_negatives=3, range_min=2, range_max=4), "range_max=4: expected at least 5"),
    (dict(absolute_margin=-0.1), "absolute_margin"),
    (dict(relative_margin=np.nan), "relative_margin")])
def test_settings_without_meaning_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        mine_hard_negatives(["a"], ["b"], bm25(), ["c"], Mining(**settings))


def test_an_encoder_in_place_of_its_scores_is_an_error():
    with pytest.raises(ValueError, match=r"score=.*expected a function, such as cosines\(encoder"):
        mine_hard_negatives(["a"], ["b"], object())


def test_lists_of_different_lengths_are_errors():
    for queries, positives in ([], []), (["a"], []), (["a"], ["b", "c"]):
        with pytest.raises(ValueError, match="as many positives as queries"):
            mine_hard_negatives(queries, positives, bm25())


# ---- any scores ----------------------------------------------------------------------------------

N, M = 8, 30


def random_scores(seed):
    """Scores of N queries and M documents: few different values, so that there are ties."""
    return np.random.default_rng(seed).integers(-20, 20, (N, M)) / np.float32(20)


def pairs_and_documents(seed):
    """N + 4 pairs of N queries, in any order; texts are numbers.  Positives are documents."""
    rng = np.random.default_rng([seed, 1])
    numbers = np.concatenate([rng.permutation(N), rng.integers(0, N, 4)])
    return ([f"q{n}" for n in numbers], [f"d{n}" for n in rng.integers(0, M, N + 4)],
            [f"d{n}" for n in range(M)])


def given_scores(scores):
    """The Scorer that looks scores up by the numbers in the texts."""
    def score(queries, documents):
        columns = [int(text[1:]) for text in documents]
        return (scores[int(text[1:]), columns] for text in queries)
    return score


minings = st.builds(
    Mining, num_negatives=st.integers(1, 5), range_min=st.integers(0, 3),
    range_max=st.none() | st.integers(8, 40), absolute_margin=st.none() | st.floats(0, 0.5),
    relative_margin=st.none() | st.floats(0, 0.5),
    sampling_strategy=st.builds(at_random, st.integers(0, 99)))


@given(seeds, minings)
def test_no_positive_and_no_document_above_the_limit_is_a_negative(seed, mining):
    queries, positives, documents = pairs_and_documents(seed)
    mined = mine_hard_negatives(queries, positives, given_scores(random_scores(seed)), documents,
                                mining)
    pairs = set(zip(queries, positives))
    assert not pairs & {(query, negative) for query, _, negative in zip(*mined.triplets())}
    for row, s, positive in zip(mined.ids, mined.scores, mined.positive_scores):
        row, s = row[row != NO_ID], s[row != NO_ID]
        assert len(set(row)) == len(row) and sorted(s, reverse=True) == s.tolist()
        assert (s <= mining.limit(positive)).all()


@given(seeds, minings)
def test_a_random_sample_and_the_top_have_equally_many(seed, mining):
    queries, positives, documents = pairs_and_documents(seed)
    score = given_scores(random_scores(seed))
    top, random = (mine_hard_negatives(queries, positives, score, documents, m)
                   for m in (Mining(*mining[:-1]), mining))
    assert (top.found == random.found).all() and top.excluded == random.excluded
    assert (top.scores >= random.scores).all()


# ---- parity with sentence-transformers -----------------------------------------------------------

class ModelOfScores:
    """What mine_hard_negatives of sentence-transformers needs of a model; vectors are numbers."""

    device = "cpu"

    def __init__(self, scores, torch):
        self.scores, self.torch = torch.tensor(scores), torch

    def encode_query(self, texts, **_):
        return np.array([[int(text[1:])] for text in texts])

    encode_document = encode_query

    def similarity(self, queries, documents):
        return self.scores[np.asarray(queries), np.asarray(documents)[:, 0]]

    def similarity_pairwise(self, queries, documents):
        return self.scores[np.asarray(queries)[:, 0], np.asarray(documents)[:, 0]]


@pytest.mark.parametrize("settings", [
    dict(num_negatives=3, range_max=6), dict(num_negatives=2, range_min=2, range_max=5),
    dict(num_negatives=4, range_max=M, absolute_margin=0.101),
    dict(num_negatives=4, range_max=M, relative_margin=0.25),
    dict(num_negatives=2, range_min=1, range_max=M, absolute_margin=0.0, relative_margin=0.1)],
    ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_parity_with_the_installed_sentence_transformers(settings, seed):
    """Triplets and scores, for queries with one positive or several.  No scores are equal, and
    none is within rounding of a limit."""
    torch = pytest.importorskip("torch")
    theirs_of = pytest.importorskip("sentence_transformers.util").mine_hard_negatives
    Dataset = pytest.importorskip("datasets").Dataset
    rng = np.random.default_rng(seed)
    scores = (rng.permutation(N * M).reshape(N, M) / (N * M) - 0.3).astype(np.float32)
    queries, positives, documents = pairs_and_documents(seed)
    if settings["range_max"] < M:                          # see Differs
        queries, positives = [f"q{n}" for n in range(N)], positives[:N]
    theirs = theirs_of(Dataset.from_dict({"query": queries, "positive": positives}),
                       ModelOfScores(scores, torch), corpus=documents, output_scores=True,
                       verbose=False, **settings)
    mined = mine_hard_negatives(queries, positives, given_scores(scores), documents,
                                Mining(**settings))
    rows, columns = np.nonzero(mined.ids != NO_ID)
    ours = {(*texts, float(s)) for texts, s in zip(zip(*mined.triplets()),
                                                   mined.scores[rows, columns])}
    assert ours == {(row["query"], row["positive"], row["negative"], row["scores"][1])
                    for row in theirs}
