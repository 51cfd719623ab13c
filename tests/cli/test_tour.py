"""The tour prints its tables with baselines, and the claims that it prints are true."""
import importlib
import re
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.ascii_map import ascii_map
from scratch_embed.cli.main import main
from scratch_embed.cli.tour import say_difference
from scratch_embed.cli.tour_models import say_geometry
from scratch_embed.why.generalisation import search_across_languages
from scratch_embed.words.vectors import WordVectors

FEW, ALL = ((1, 2), (1,)), ((1, 2, 3, 4, 5), (1, 2, 3))      # SEEDS, FEWER_SEEDS


@pytest.fixture(scope="module", params=[
    pytest.param(FEW, id="few seeds"),
    pytest.param(ALL, id="all seeds", marks=pytest.mark.campaign)])
def tour(request, tmp_path_factory):
    """The vectors' file and the output of the parts on words and retrieval."""
    out = tmp_path_factory.mktemp("tour") / "tour.vec"
    import contextlib
    import io
    with pytest.MonkeyPatch.context() as patch, \
            contextlib.redirect_stdout(io.StringIO()) as printed:
        for name, seeds in zip(("SEEDS", "FEWER_SEEDS"), request.param):
            patch.setattr(f"scratch_embed.cli.tour.{name}", seeds)
        assert main(["tour", "-o", str(out), "--parts", "words"]) == 0
        patch.setattr("scratch_embed.cli.tour.SEEDS", (1, 2, 3))         # not 5, for speed
        assert main(["tour", "-o", str(out), "--parts", "retrieval"]) == 0
    return out, printed.getvalue()


def test_all_analogies_are_correct_with_every_seed_and_almost_none_without_training(tour):
    *trained, untrained, random = re.search(r"^ +all +([\d. ]+) of 168", tour[1], re.M)[1].split()
    assert set(trained) == {"100.0"} and float(untrained) < 5 and float(random) < 5


def test_it_shows_the_queen_and_writes_the_vectors(tour):
    out, printed = tour
    assert "king - man + woman = queen" in printed and str(out) in printed
    assert len(WordVectors.load(out)) == 233


def shares(printed, line):
    """The numbers in the line of a table that begins with `line`."""
    found = re.search(rf"^    {re.escape(line)} +([\d.][\d. -]*)$", printed, re.M)
    return [float(number) for number in found[1].replace("-", " ").split()]


def test_the_methods_are_printed_beside_untrained_and_random_vectors(tour):
    """A row has mean, minimum and maximum for the easy text, then for the hard text.

    The bounds are below the scores of ten seeds.  GloVe learns only from pairs that co-occur, so it
    needs the hard text; there W alone is better than W + U.
    """
    for method, easy, hard in [("word2vec", 95, 75), ("FastText", 95, 85),
                               ("FastText, no n-grams", 95, 80), ("counted: PPMI and SVD", 75, 70),
                               ("GloVe, words", 10, 70), ("GloVe, words + contexts", 10, 40)]:
        row = shares(tour[1], method)
        assert len(row) == 6 and row[0] >= easy and row[3] >= hard, method
        assert row[1] <= row[0] <= row[2] and row[4] <= row[3] <= row[5]
    for baseline in "FastText, untrained", "word2vec, untrained", "random":
        row = shares(tour[1], baseline)
        assert len(row) == 6 and max(row) <= 15, baseline
    words, both = shares(tour[1], "GloVe, words"), shares(tour[1], "GloVe, words + contexts")
    assert words[0] < 50 and both[5] < words[4]


def test_spelling_alone_finds_the_stem_and_only_training_finds_the_context(tour):
    """Of 25 forms, 25 pairs, 150 analogies, 105 comparisons."""
    stem = shares(tour[1], "rabbits: the nearest word is rabbit")
    assert stem[0] >= 90 and stem[1] >= 60 and stem[2] <= 10
    context = shares(tour[1], "burrow or carrots is among the next five")
    assert context[0] >= 90 and context[1] <= 40 and context[2] <= 20
    analogy = shares(tour[1], "mouse : mice = rabbit : rabbits")
    assert analogy[0] >= 40 and analogy[1] >= 40 and analogy[2] <= 5
    number = shares(tour[1], "nearer to mice than to mouse (chance: 50)")
    assert number[0] <= 20 and 25 <= number[1] <= 75 and 25 <= number[2] <= 75


def intervals(printed, line):
    """[means, half widths] of each row that begins with `line`; a name may be in two tables."""
    rows = re.findall(rf"^    {re.escape(line)} +(\d.* ± .*)$", printed, re.M)
    pairs = [re.findall(r"([\d.]+) ± +([\d.]+)", row) for row in rows]
    return [[[float(number) for number in part] for part in zip(*row)] for row in pairs]


def test_trained_vectors_find_documents_in_other_words_untrained_vectors_do_not(tour):
    """Column 2 is nDCG@10.  The bounds leave room around the scores of five seeds."""
    (bm25, _), _ = intervals(tour[1], "BM25")
    for method in "word2vec", "GloVe", "FastText":
        means, halves = intervals(tour[1], f"{method}, SIF")[0]
        assert means[2] > 85 and means[2] > bm25[2] + 20 and max(halves) < 3
        assert means[2] > intervals(tour[1], f"{method}, mean")[0][0][2]
    for baseline in "random vectors", "chance (exact)":
        assert max(intervals(tour[1], baseline)[0][0][::2]) < 6
    assert intervals(tour[1], "word2vec, untrained, SIF")[0][0][2] < bm25[2] < 65
    best = intervals(tour[1], "upper bound")[0][0]
    assert best[0] < 12 and best[1:] == [100, 100]
    assert "nDCG@10: word2vec, SIF is better than BM25, +" in tour[1]


def test_bm25_is_best_for_codes_vectors_for_questions_and_the_printed_winner_is_right(tour):
    bm25, vectors = intervals(tour[1], "BM25")[1][0], intervals(tour[1], "word2vec, SIF")[1][0]
    assert bm25[0] == 100 and vectors[0] < 5 and vectors[1] > bm25[1] + 20
    assert "    best single method: BM25 (codes), word2vec, SIF (questions), " in tour[1]
    on_both = {name: intervals(tour[1], name)[-1][0][2]
             for name in ("BM25", "BM25 + word2vec, RRF", "BM25 + word2vec, scores")}
    for name in list(on_both)[1:]:
        message = re.search(rf"both: {re.escape(name)} .+, ([+-][\d.]+) ± ", tour[1])[1]
        assert float(message) == pytest.approx(on_both[name] - on_both["BM25"], abs=0.11)


@pytest.fixture(scope="module")
def languages():
    """The output of the part on languages; what trains on pairs has tiny worlds and one step."""
    import contextlib
    import io
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr("scratch_embed.why.generalisation.search_across_languages", partial(
            search_across_languages, documents=40, labelled=40, steps=1))
        assert main(["tour", "--parts", "languages"]) == 0
    return out.getvalue()


def test_no_translation_is_found_without_training_on_pairs(languages):
    for method in "each language alone", "both texts as one", "random vectors":
        assert max(intervals(languages, method)[0][0]) < 2
    assert intervals(languages, "the cipher undone")[0][0] == [100, 100]


def test_each_kind_of_pairs_has_a_row(languages):
    for training in ("untrained", "pairs in English", "translations", "both",
                     "both, the cipher undone"):
        means, _ = intervals(languages, training)[-1]
        assert len(means) == 3, training
    assert max(map(len, languages.splitlines())) <= 100


@pytest.mark.parametrize("a, b, verdict", [([5, 6, 7], [1, 2, 3.1], "is better than"),
                                           ([1, 2, 3.1], [5, 6, 7], "is worse than"),
                                           ([1, 2, 9], [2, 3, 1], "against")])
def test_the_printed_verdict_on_a_difference_follows_from_the_numbers(a, b, verdict, capsys):
    say_difference("nDCG@10", "one", "other", {"one": np.array(a), "other": np.array(b)})
    mean = np.mean(a) - np.mean(b)
    printed = capsys.readouterr().out
    assert printed.startswith(f"    nDCG@10: one {verdict} other, {mean:+.1f} ± ")
    assert printed.endswith(", not significant\n") == (verdict == "against")


@pytest.mark.parametrize("cosines, claim", [([0.5, 0.52, 0.51], "SimCSE opens the cone"),
                                            ([0.1, 0.9, 0.6], "do not show that SimCSE opens"),
                                            ([0.9, 0.92, 0.91], "SimCSE narrows the cone")])
def test_the_printed_claim_about_the_cone_follows_from_the_mean_cosines(cosines, claim, capsys):
    """Three seeds with a mean cosine of 0.7 before; the other columns do not matter here."""
    before = np.array([[0, 0, 0.1, -1, 0.7], [0, 0, 0.2, -1.1, 0.71], [0, 0, 0.1, -1, 0.69]])
    after = before.copy()
    after[:, 4] = cosines
    say_geometry("one", "other", {"one": before, "other": after})
    printed = capsys.readouterr().out
    assert claim in " ".join(printed.split())
    assert f"mean cosine: 0.70 before SimCSE, {np.mean(cosines):.2f} after" in printed


def test_no_line_is_wider_than_a_terminal(tour):
    lines = tour[1].split("6  The methods")[1].splitlines()
    assert max(map(len, lines)) <= 96


# ---- the parts that train a transformer -------------------------------------------------------

@pytest.fixture(scope="module")
def small():
    """The output for tiny worlds and a few steps, to test its form and not its claims."""
    import contextlib
    import io
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        for name, sizes in (("contextual_tour.train_bert", dict(sentences=200, steps=2)),
                            ("simcse_tour.pretrain", dict(documents=60, sentences=150, steps=2)),
                            ("simcse_tour.train_simcse", dict(steps=2, batch_size=8)),
                            ("learned_tour.pretrain", dict(documents=60, sentences=150, steps=2)),
                            ("learned_tour.train_simcse", dict(steps=2, batch_size=8)),
                            ("learned_tour.searches_in", dict(steps=1, more=1)),
                            ("learned_tour.reranked", dict(steps=2, groups=12, queries=6,
                                                           training=40)),
                            ("learned_tour.train_bi", dict(steps=2)),
                            ("rerank.train_bi", dict(steps=2)),
                            ("causal_tour.sense_accuracies", dict(steps=2)),
                            ("causal_tour.sentence_scores", dict(documents=60, sentences=150,
                                                                 steps=2))):
            module, function = f"scratch_embed.why.{name}".rsplit(".", 1)
            patch.setattr(f"{module}.{function}", partial(
                getattr(importlib.import_module(module), function), **sizes))
        patch.setattr("scratch_embed.why.learned_tour.LABELLED", 100)
        assert main(["tour", "--parts", "gpt", "simcse", "senses", "learned",
                     "rerank"]) == 0
    return out.getvalue()


def test_only_the_chosen_parts_are_shown_in_the_order_of_the_tour(small, tmp_path):
    heads = re.findall(r"^(\d+)  ", small, re.M)
    assert heads == ["10", "11", "13", "14", "15", "16"] and not (tmp_path / "tour.vec").exists()


def test_senses_and_sentences_are_printed_beside_their_baselines(small):
    for row in ("BERT, embeddings", "BERT, layer 2", "untrained, layer 2", "upper bound",
                "word2vec, its one vector", "the more frequent sense", "upper bound, left context"):
        assert re.search(rf"^    {re.escape(row)} +(\d+\.\d ± +\d+\.\d *){{3}}$", small, re.M), row
    for row in "untrained, mean", "masked LM, mean", "SimCSE, mean", "word2vec, SIF":
        assert re.search(rf"^    {re.escape(row)} +(-?\d+\.\d+ ± *\d+\.\d+ *){{5}}$", small,
                         re.M), row
    assert re.search(r"^    nDCG@10: untrained, mean [\d.]+, masked LM, mean [\d.]+, SimCSE, mean "
                     r"[\d.]+$", small, re.M)
    assert re.search(r"^    BM25 +\d+\.\d ± *\d+\.\d( +-){4}$", small, re.M)
    for row in ("BM25", "word2vec, SIF", "untrained", "SimCSE", "bi-encoder", "+ hard negatives",
                "as many steps without them"):
        assert re.search(rf"^    {re.escape(row)} +\d+\.\d ± *\d+\.\d$", small, re.M), row
    for row in ("BERT, word", *(start + state for start in ("", "untrained ") for state in (
            "GPT, word", "GPT, last word", "GPT, mean of words", "GPT, end token"))):
        assert re.search(rf"^    {re.escape(row)} +(\d+\.\d ± +\d+\.\d *){{3}}$", small, re.M), row
    for pool in "mean", "weighted", "last token":
        for state in "GPT", "untrained":
            assert re.search(rf"^    {state}, {pool} +(-?\d+\.\d ± +\d+\.\d *){{2}}$", small,
                             re.M), pool
    assert re.search(r"^    mean cosine: .+ before SimCSE, .+ after, .+ significant$", small, re.M)
    assert max(map(len, small.splitlines())) <= 96


def test_reranking_has_a_row_for_each_depth_beside_its_baselines(small):
    for row in ("BM25", "bag of words, upper bound", "bi-encoder: 1 pass", "+ hard negatives",
                "depth 50: 51 passes"):
        assert re.search(rf"^    {re.escape(row)} +\d+\.\d +\d+\.\d$", small, re.M), row


def test_every_table_is_followed_by_what_it_shows(tour, small, languages):
    assert tour[1].count("The table shows") == 6 and tour[1].count("The map shows") == 1
    assert small.count("The table shows") == 6 and languages.count("The table shows") == 2


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["tour", "--parts", "dessert"])
    assert ended.value.code == 2 and "simcse" in capsys.readouterr().err


# ---- the map ------------------------------------------------------------------------------------

def test_words_with_extreme_coordinates_are_in_the_corners():
    lines, left_out = ascii_map(["a", "b", "c", "d"], [[0, 0], [1, 0], [0, 1], [1, 1]], 10, 4)
    assert lines == ["c        d", "", "", "a        b"] and left_out == []


def test_words_at_the_same_point_move_apart_or_are_returned_as_left_out():
    words = [f"w{i}" for i in range(6)]
    lines, left_out = ascii_map(words, np.zeros((6, 2)), 10, 4)
    shown = [line.strip() for line in lines if line.strip()]
    assert sorted(shown + left_out) == words and len(left_out) == 2


def test_a_word_wider_than_the_map_is_left_out():
    assert ascii_map(["wide" * 9], [[0, 0]], 10, 4)[1] == ["wide" * 9]
