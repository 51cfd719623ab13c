"""evaluate run: measure a ranking in TREC's format with trec_eval's measures and intervals.

As in trec_eval, the mean is over the queries that have judgements and results; with --complete
(trec_eval's -c) it is over all queries that have judgements.
"""
import argparse
import json
import os
import re
from functools import partial

from scratch_embed.cli.parsing import add_command, positive, refuse_old_names, whole
from scratch_embed.cli.training import say

MEASURE = re.compile(r"(ndcg|map|mrr)(?:@([1-9]\d{0,8}))?|(precision|recall|hit)@([1-9]\d{0,8})")


def add_evaluation(kinds):
    """Add `evaluate run`."""
    command = add_command(
        kinds, "run", "print ranking measures of a TREC run, each with its 95% bootstrap interval "
        "over queries", "scratch-embed evaluate run qrels.txt bm25.run --against dense.run",
        run=run_evaluation)
    command.add_argument("qrels", help="relevance judgements: TREC's lines of query, 0, document, "
                         'gain, or BEIR\'s lines of query, document, gain; plain or gzip; "-" is '
                         "stdin")
    command.add_argument("ranking", metavar="run", help="results: lines of query, Q0, document, "
                         "rank, score, name")
    command.add_argument("--against", metavar="RUN2",
                         help="another run: print the mean difference, paired by query, its "
                              "interval, and the p value")
    command.add_argument("--at", nargs="+", type=whole(1), default=[], metavar="K",
                         help="cutoffs in addition to 10")
    command.add_argument("--measures", nargs="+", type=measure_name, metavar="NAME",
                         help="print only these measures: ndcg, map and mrr, with a cutoff "
                              "(map@20) or without; precision, recall and hit with a cutoff "
                              "(hit@1)")
    command.add_argument("--complete", action="store_true",
                         help="a judged query without results scores 0; default: it is left out")
    command.add_argument("--relevance-level", type=positive, default=1, metavar="G",
                         help="a document is relevant if its gain is at least G; ndcg uses all "
                              "gains (default: %(default)s)")
    refuse_old_names(command, "--level")
    command.add_argument("--float32", action="store_true",
                         help="compare scores as float32, as trec_eval 9 and pytrec_eval do")
    command.add_argument("--json", action="store_true", help="print one object: {measure: mean}")


def measure_name(text):
    """An argparse type: the name of a measure."""
    if not MEASURE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected ndcg@10, map, mrr, recall@10, precision@10, "
                                         f"hit@10, or another cutoff, got {text!r}")
    return text


def measures_named(names, level):
    """{name: function of a Ranking} for names such as "map" and "recall@10"."""
    from scratch_embed.evaluate import ranking
    functions = {"ndcg": ranking.ndcg, "map": partial(ranking.average_precision, level=level),
                 "mrr": partial(ranking.reciprocal_rank, level=level),
                 "precision": partial(ranking.precision, level=level),
                 "recall": partial(ranking.recall, level=level),
                 "hit": partial(ranking.hit_rate, level=level)}
    found = {}
    for name in names:
        kind, _, k = name.partition("@")
        found[name] = partial(functions[kind], k=int(k) if k else None)
    return found


def usual_names(further):
    """The names of the measures that are printed without --measures."""
    at = sorted({10, *further})
    return [*(f"ndcg@{k}" for k in at), "map", "mrr",
            *(f"{kind}@{k}" for kind in ("recall", "precision", "hit") for k in at)]


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
        print(json.dumps(evaluation.mean))
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
        print(json.dumps({name: {"run": c.a, "against": c.b, "difference": c.difference.mean,
                                 "low": c.difference.low, "high": c.difference.high, "p": c.test.p}
                          for name, c in found.items()}))
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
