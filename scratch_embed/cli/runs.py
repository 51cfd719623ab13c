"""evaluate run: measure a ranking in TREC's format with trec_eval's measures and intervals.

As in trec_eval, the mean is over the queries that have judgements and results; with --complete
(trec_eval's -c) it is over all queries that have judgements.
"""
import argparse
import os
import re
from functools import partial

from scratch_embed.cli.parsing import add_command, add_json, positive, refuse_old_names, whole
from scratch_embed.cli.printing import measured, print_json, with_interval
from scratch_embed.cli.training import say

MEASURE = re.compile(r"(ndcg|map|mrr)(?:@([1-9]\d{0,8}))?|(precision|recall|hit)@([1-9]\d{0,8})",
                     re.IGNORECASE)
SPELLED = {name.lower(): name for name in ("nDCG", "MAP", "MRR", "Precision", "Recall", "Hit")}


def add_evaluation(kinds):
    """Add `evaluate run`."""
    command = add_command(
        kinds, "run", "print ranking measures of a run in TREC's format",
        "scratch-embed evaluate run qrels.txt bm25.run --against dense.run", run=run_evaluation,
        details="Each measure has its 95% bootstrap interval over queries.")
    command.add_argument("qrels", metavar="QRELS", help="relevance judgements: TREC's lines of "
                         "query, 0, document, gain, or BEIR's lines of query, document, gain; "
                         'plain or gzip; "-" is stdin')
    command.add_argument("ranking", metavar="RUN", help="results: lines of query, Q0, document, "
                         "rank, score, name")
    command.add_argument("--against", metavar="RUN",
                         help="another run: print the mean difference, paired by query, its "
                              "interval, and the p value (default: only the means of RUN)")
    command.add_argument("--at", nargs="+", type=whole(1), default=[], metavar="K",
                         help="cutoffs in addition to 10 (default: only 10)")
    command.add_argument("--measures", nargs="+", type=measure_name, metavar="NAME",
                         help="print only these measures: nDCG, MAP and MRR, with a cutoff "
                              "(MAP@20) or without; Precision, Recall and Hit with a cutoff "
                              "(Hit@1) (default: all at the cutoffs, and MAP)")
    command.add_argument("--complete", action="store_true",
                         help="a judged query without results scores 0 (default: it is left out)")
    command.add_argument("--relevance-level", type=positive, default=1, metavar="G",
                         help="a document is relevant if its gain is at least G; nDCG uses all "
                              "gains (default: %(default)s)")
    refuse_old_names(command, "--level")
    command.add_argument("--float32", action="store_true",
                         help="compare scores as float32, as trec_eval 9 and pytrec_eval do")
    add_json(command, '{measure: {"value", "low", "high"}}; with --against {measure: {"run", '
                      '"against", "difference", "p"}}, each but p with value, low and high')


def measure_name(text):
    """An argparse type: the name of a measure, in any case; it is spelled as in the tables."""
    if not MEASURE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected nDCG@10, MAP, MRR, Recall@10, Precision@10, "
                                         f"Hit@10, or another cutoff, got {text!r}")
    kind, at, k = text.partition("@")
    return SPELLED[kind.lower()] + at + k


def measures_named(names, level):
    """{name: function of a Ranking} for names such as "MAP" and "Recall@10"."""
    from scratch_embed.evaluate import ranking
    functions = {"nDCG": ranking.ndcg, "MAP": partial(ranking.average_precision, level=level),
                 "MRR": partial(ranking.reciprocal_rank, level=level),
                 "Precision": partial(ranking.precision, level=level),
                 "Recall": partial(ranking.recall, level=level),
                 "Hit": partial(ranking.hit_rate, level=level)}
    found = {}
    for name in names:
        kind, _, k = name.partition("@")
        found[name] = partial(functions[kind], k=int(k) if k else None)
    return found


def usual_names(further):
    """The names of the measures that are printed without --measures."""
    at = sorted({10, *further})
    return ["MAP", *(f"{kind}@{k}" for kind in ("nDCG", "MRR", "Recall", "Precision", "Hit")
                     for k in at)]


def run_evaluation(arguments):
    """Evaluate one run, or compare two."""
    from scratch_embed.evaluate.collection import read_judgements
    from scratch_embed.evaluate.ranking import evaluate, in_float32
    from scratch_embed.evaluate.trec import read_run
    qrels = read_judgements(arguments.qrels)
    paths = [arguments.ranking] + ([arguments.against] if arguments.against else [])
    runs = [read_run(path) for path in paths]
    report_missing(qrels, runs, paths, arguments.complete)
    if not arguments.complete:                             # only queries that all runs have
        runs = [{query: run[query] for query in run if all(query in other for other in runs)}
                for run in runs]
    if arguments.float32:
        runs = [in_float32(run) for run in runs]
    names = arguments.measures or usual_names(arguments.at)
    measures = measures_named(names, arguments.relevance_level)
    evaluations = [evaluate(qrels, run, measures, arguments.complete) for run in runs]
    if len(evaluations) == 2:
        print_comparison(*evaluations, paths, arguments.json)
    else:
        print_means(evaluations[0], arguments.json)


def report_missing(qrels, runs, paths, complete):
    """Print how many judged queries have no results, and how they are scored."""
    for path, run in zip(paths, runs):
        missing = [query for query, gains in qrels.items() if gains and query not in run]
        if missing:
            say(f"{path}: no results for {len(missing)} of {len(qrels)} judged queries, the first "
                f"{missing[0]!r}: " + ("they score 0" if complete else "left out, as trec_eval "
                                       "does; with --complete they score 0"))


def print_means(evaluation, as_json):
    """Print a line per measure: its name, mean, interval."""
    from scratch_embed.evaluate.significance import bootstrap_interval
    if as_json:
        print_json({name: with_interval(scores) for name, scores in evaluation.scores.items()})
        return
    n = len(evaluation.queries)
    print(f"{f'{n} queries' if n > 1 else '1 query':<16}{'mean':>8}   95% interval")
    for name, scores in evaluation.scores.items():
        interval = "- (needs two queries)"
        if n > 1:
            _, low, high = bootstrap_interval(scores)
            interval = f"{low:.4f} to {high:.4f}"
        print(f"{name:<16}{evaluation.mean[name]:8.4f}   {interval}")


def print_comparison(a, b, paths, as_json):
    """Print a line per measure: both means, the difference, its interval, p."""
    from scratch_embed.evaluate.significance import compare
    if len(a.queries) < 2:
        raise ValueError(f"{paths[0]} and {paths[1]}: expected at least 2 judged queries in "
                         f"common, got {len(a.queries)}")
    found = {name: compare(a, b, name) for name in a.scores}
    if as_json:
        print_json({name: {"run": with_interval(a.scores[name]),
                           "against": with_interval(b.scores[name]),
                           "difference": measured(*c.difference), "p": c.test.p}
                    for name, c in found.items()})
        return
    first, second = (os.path.basename(path) for path in paths)
    width = max(len(first), len(second), 8) + 2
    print(f"{f'{len(a.queries)} queries':<16}{first:>{width}}{second:>{width}}  difference   "
          f"{'95% interval':20}       p")
    for name, c in found.items():
        interval = f"{c.difference.low:+.4f} to {c.difference.high:+.4f}"
        p = "<0.0001" if c.test.p < 1e-4 else f"{c.test.p:.4f}"
        print(f"{name:<16}{c.a:{width}.4f}{c.b:{width}.4f}{c.difference.mean:+12.4f}   "
              f"{interval:20}{p:>8}")
