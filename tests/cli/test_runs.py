"""evaluate run: means worked by hand, options, the comparison of two runs, errors, parity."""
import json
import math
import random

import pytest

from scratch_embed.evaluate.ranking import evaluate, ndcg, reciprocal_rank
from scratch_embed.evaluate.significance import bootstrap_interval, compare
from scratch_embed.evaluate.trec import read_qrels, read_run, write_qrels, write_run

QRELS = "q1 0 a 1\nq1 0 b 2\nq1 0 c 0\nq2 0 a 1\nq3 0 d 1\n"
RUN = "q1 Q0 c 1 3 me\nq1 Q0 b 2 2 me\nq1 Q0 a 3 1 me\nq2 Q0 x 1 1 me\nq2 Q0 a 2 1 me\n"
USUAL = ["MAP", "nDCG@10", "MRR@10", "Recall@10", "Precision@10", "Hit@10"]
Q1_NDCG = (2 / math.log2(3) + 1 / 2) / (2 + 1 / math.log2(3))


@pytest.fixture
def files(tmp_path):
    for name, text in ("qrels", QRELS), ("run", RUN):
        (tmp_path / name).write_text(text)
    return [tmp_path / "qrels", tmp_path / "run"]


def means(run, *arguments):
    code, out, err = run("evaluate", "run", *arguments, "--json")
    assert code == 0, err
    return {name: found["value"] for name, found in json.loads(out).items()}


# ---- one run ----------------------------------------------------------------------------------

def test_the_default_measures_worked_by_hand(files, run):
    """q1 ranks c, b, a; b and a are relevant.  q2: x and a tie; x is first, as in trec_eval."""
    found = means(run, *files)
    assert list(found) == USUAL
    expected = [((1 / 2 + 2 / 3) / 2 + 1 / 2) / 2, (Q1_NDCG + 1 / math.log2(3)) / 2, 1 / 2, 1,
                (2 / 10 + 1 / 10) / 2, 1]
    assert list(found.values()) == pytest.approx(expected, rel=1e-14)


def test_a_query_without_results_is_left_out_with_a_message_or_scores_0(files, run):
    two, three = means(run, *files), means(run, *files, "--complete")
    assert list(three.values()) == pytest.approx([2 / 3 * x for x in two.values()], rel=1e-14)
    _, _, err = run("evaluate", "run", *files)
    assert "no results for 1 of 3 judged queries, the first 'q3': left out" in err
    _, _, err = run("evaluate", "run", *files, "--complete")
    assert "they score 0" in err and "left out" not in err


def test_at_adds_cutoffs_to_10(files, run):
    found = means(run, *files, "--at", "2", "100")
    assert list(found) == [
        "MAP", "nDCG@2", "nDCG@10", "nDCG@100", "MRR@2", "MRR@10", "MRR@100", "Recall@2",
        "Recall@10", "Recall@100", "Precision@2", "Precision@10", "Precision@100", "Hit@2",
        "Hit@10", "Hit@100"]
    assert (found["Recall@2"], found["Precision@2"], found["Precision@100"]) == (3 / 4, 1 / 2,
                                                                               0.015)


def test_measures_are_chosen_by_name_in_any_case_and_printed_in_the_given_order(files, run):
    found = means(run, *files, "--measures", "MRR", "hit@1", "map@2", "NDCG")
    assert list(found) == ["MRR", "Hit@1", "MAP@2", "nDCG"]
    assert list(found.values()) == pytest.approx(
        [1 / 2, 0, (1 / 4 + 1 / 2) / 2, (Q1_NDCG + 1 / math.log2(3)) / 2], rel=1e-14)


def test_relevance_level_decides_what_is_relevant_but_not_for_ndcg(files, run):
    one, two = means(run, *files), means(run, *files, "--relevance-level", "2")
    assert two["nDCG@10"] == one["nDCG@10"]
    assert (two["MRR@10"], two["Recall@10"]) == (1 / 4, 1 / 2)        # only b is relevant


def test_float32_makes_the_ties_of_trec_eval_9(tmp_path, files, run):
    (tmp_path / "run").write_text("q2 Q0 a 1 1.00000000001 me\nq2 Q0 x 2 1 me\n")
    assert means(run, *files)["MRR@10"] == 1
    assert means(run, *files, "--float32")["MRR@10"] == 1 / 2


def test_the_table_has_the_mean_and_the_bootstrap_interval(files, run):
    code, out, _ = run("evaluate", "run", *files)
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["2", "queries", "mean", "95%", "interval"]
    found = evaluate(read_qrels(files[0]), read_run(files[1]), {"nDCG": ndcg}, complete=False)
    mean, low, high = bootstrap_interval(found.scores["nDCG"])
    assert lines[2].split() == ["nDCG@10", f"{mean:.4f}", f"{low:.4f}", "to", f"{high:.4f}"]
    assert [line.split()[0] for line in lines[1:]] == USUAL


def test_one_query_has_no_interval(tmp_path, files, run):
    (tmp_path / "qrels").write_text("q1 0 b 1\n")
    code, out, _ = run("evaluate", "run", *files)
    assert code == 0 and "needs two queries" in out and "nan" not in out
    assert out.startswith("1 query ")


def test_judgements_may_be_in_beirs_format_and_come_from_stdin(files, run, stdin):
    beir = "query-id\tcorpus-id\tscore\n" + QRELS.replace(" 0 ", "\t", 5).replace(" ", "\t")
    for text in QRELS, beir:
        stdin(text)
        assert means(run, "-", files[1]) == means(run, *files)


# ---- two runs ---------------------------------------------------------------------------------

@pytest.fixture
def two(tmp_path):
    """Judgements of 12 queries, and two runs, each without results for one query."""
    rng = random.Random(5)
    qrels = {f"q{i}": {f"d{j}": rng.randrange(3) for j in range(6)} | {"d0": 1} for i in range(12)}
    runs = [{query: {f"d{j}": rng.random() for j in range(8)} for query in qrels if query != lacks}
            for lacks in ("q0", "q11")]
    write_qrels(tmp_path / "qrels", qrels)
    for number, one in enumerate(runs):
        write_run(tmp_path / f"run{number}", one)
    return qrels, runs, [tmp_path / name for name in ("qrels", "run0", "run1")]


@pytest.mark.parametrize("complete", [False, True])
def test_two_runs_are_compared_on_the_same_queries(two, complete, run):
    qrels, runs, (judged, a, b) = two
    options = ["--complete"] if complete else []
    code, out, err = run("evaluate", "run", judged, a, "--against", b, "--measures", "MRR",
                         "--json", *options)
    assert code == 0, err
    if not complete:
        qrels = {query: row for query, row in qrels.items() if query not in ("q0", "q11")}
    both = [evaluate(qrels, one, {"MRR": reciprocal_rank}) for one in runs]
    c = compare(*both, "MRR")
    first, second = (bootstrap_interval(one.scores["MRR"]) for one in both)
    assert json.loads(out) == {"MRR": {
        name: dict(zip(("value", "low", "high"), interval)) for name, interval in
        (("run", first), ("against", second), ("difference", c.difference))} | {"p": c.test.p}}
    _, out, _ = run("evaluate", "run", judged, a, "--against", b, *options)
    assert f"{c.test.p:.4f}" in out and out.startswith(f"{12 if complete else 10} queries")


def test_a_run_does_not_differ_from_itself(two, run):
    _, _, (judged, a, _) = two
    _, out, err = run("evaluate", "run", judged, a, "--against", a)
    for line in out.splitlines()[1:]:
        assert line.split()[3:] == ["+0.0000", "+0.0000", "to", "+0.0000", "1.0000"], err


# ---- errors -----------------------------------------------------------------------------------

@pytest.mark.parametrize("qrels, ranking, message", [
    ("q1 0 a\n", RUN, "qrels: line 1: expected query <tab> document"),
    (QRELS, "q1 Q0 a 1 0.5\n", "run: line 1: expected 6 fields"),
    (QRELS, "q1 Q0 a 1 high me\n", "a number as the score, found 'high'"),
    (QRELS, RUN.replace("q", "Q"), "are they of the same collection?"), ("", RUN, "found none")])
def test_a_broken_file_is_one_line_that_names_it(files, qrels, ranking, message, run):
    files[0].write_text(qrels)
    files[1].write_text(ranking)
    code, out, err = run("evaluate", "run", *files)
    assert (code, out) == (1, "") and message in err.splitlines()[-1]


def test_runs_with_one_query_in_common_cannot_be_compared(tmp_path, files, run):
    (tmp_path / "other").write_text("q1 Q0 a 1 1 me\n")
    code, out, err = run("evaluate", "run", *files, "--against", tmp_path / "other")
    assert (code, out) == (1, "") and "expected at least 2" in err


@pytest.mark.parametrize("name", ["P", "recall", "ndcg@0", "mrr@", "p@10", "precision@1.5"])
def test_an_unknown_measure_is_bad_usage(files, name, run):
    code, _, err = run("evaluate", "run", *files, "--measures", name)
    assert code == 2 and f"got '{name}'" in err


def test_a_level_of_0_would_make_all_documents_relevant_and_is_bad_usage(files, run):
    code, _, err = run("evaluate", "run", *files, "--relevance-level", "0")
    assert code == 2 and "expected a number above 0" in err


# ---- parity with pytrec_ev------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_are_those_of_pytrec_eval(seed, tmp_path, run):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = random.Random(seed)
    documents = [f"d{i}" for i in range(40)]
    qrels = {f"q{i}": {d: rng.randrange(-1, 4) for d in rng.sample(documents, 15)}
             for i in range(30)}
    ranking = {query: {d: rng.randrange(12) / 10 for d in rng.sample(documents, 25)}
               for query in [*list(qrels)[:25], "unjudged"]}
    write_qrels(tmp_path / "qrels", qrels)
    write_run(tmp_path / "run", ranking)
    found = means(run, tmp_path / "qrels", tmp_path / "run", "--measures", "MAP", "MRR",
                  *(f"{kind}@{k}" for kind in ("nDCG", "Recall", "Precision", "Hit")
                    for k in (5, 10)))
    theirs = {"nDCG": "ndcg_cut", "Recall": "recall", "Precision": "P", "Hit": "success"}
    names = {f"{ours}@{k}": f"{name}_{k}" for ours, name in theirs.items() for k in (5, 10)}
    names |= {"MAP": "map", "MRR": "recip_rank"}
    judge = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recip_rank", "ndcg_cut.5,10", "P.5,10",
                                                   "recall.5,10", "success.5,10"})
    each = judge.evaluate(ranking).values()
    assert found.keys() == names.keys()
    for ours, name in names.items():
        assert found[ours] == pytest.approx(sum(q[name] for q in each) / len(each), abs=1e-12)
