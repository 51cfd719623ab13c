"""Compressed vectors compared: bytes stored, retrieval quality, and queries per second.

    python bench/space/compress.py                 # facts, then table
    python bench/space/compress.py table --rows 50000 --rounds 3

facts   a toy world of 2,000 reports and 300 queries (worlds/facts.py, seed 1), encoded by SIF's
        means of word2vec's vectors, 64 numbers: nDCG@10 with its 95% bootstrap interval over the
        queries, and the interval of the difference from float32, query by query.
table   200,000 x 128 float32 in 1,000 clusters (a centre, plus noise of half its standard
        deviation), and queries from the same distribution: recall@10, the share of float32's ten
        nearest rows that a compressed form finds.  Within a cluster of 200 rows only the noise
        decides which ten are nearest: a hard case for every form.

The forms are those of why/compression.py: ways to store and search vectors.  All search the same
vectors in the same process, in turn, round by round: A B C ... A B C ...; the first round warms up
and is not counted.  Queries per second are medians, with the ratio to float32 in the same round
(median, smallest, largest).
"""
import argparse
import os
import sys
from functools import partial

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import add_sizes, choose, median, ratios, take_turns

from scratch_embed.evaluate.ranking import Ranking, ndcg
from scratch_embed.evaluate.significance import bootstrap_interval
from scratch_embed.why.compression import forms
from scratch_embed.why.searches import WORD2VEC, K, embed, search_facts
from scratch_embed.worlds.facts import facts as facts_world

NOISE = 0.5


def search_all(stored, Q, rounds, threads):
    """Search with each form.  -> {name: ids (N, K)}, {name: list of seconds, one per round}"""
    searches = {name: partial(index.search, Q, K, workers=threads)
                for name, index in stored.items()}
    found = {name: search() for name, search in searches.items()}
    return found, take_turns(searches, rounds)


def speed(seconds, queries):
    """Yield two table columns for each form: queries per second, and their ratio to float32's."""
    for values in seconds.values():
        yield f"{queries / median(values):12,.0f}   x {ratios(seconds['float32'], values)}"


def facts(arguments):
    """Print nDCG@10 with intervals, on a toy world in which the relevant reports are known."""
    search = search_facts(facts_world(1, pairs=0), 1)
    Q, X = (l2_normalize(x)[0] for x in embed(search))
    stored = {name: form(X) for name, form in forms(X.shape[1]).items()}
    found, seconds = search_all(stored, Q, arguments.rounds, arguments.threads)
    ideal = -np.sort(-search.gains, axis=1)
    scores = {name: 100 * ndcg(Ranking(np.take_along_axis(search.gains, ids, axis=1), ideal), K)
              for name, ids in found.items()}
    print(f"facts: {len(X):,} reports, {len(Q):,} questions, {X.shape[1]} numbers, word2vec "
          + ", ".join(f"{name} {value}" for name, value in WORD2VEC.items()))
    print(f"  {'':26}bytes   nDCG@10, %            - float32              queries/s   x float32")
    for (name, index), rate in zip(stored.items(), speed(seconds, len(Q))):
        score = bootstrap_interval(scores[name])
        change = bootstrap_interval(scores[name] - scores["float32"])
        print(f"  {name:26}{index.bytes:5}"
              f"   {score.mean:5.1f} ({score.low:4.1f}..{score.high:5.1f})"
              f"   {change.mean:+6.1f} ({change.low:+5.1f}..{change.high:+5.1f}) {rate}")


def clustered(n, dim, clusters, seed, centres_seed=0):
    """n rows of norm 1, each a random centre plus noise.  -> (n, dim) float32."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(centres_seed).standard_normal((clusters, dim), np.float32)
    rows = centres[rng.integers(clusters, size=n)]
    return l2_normalize(rows + np.float32(NOISE) * rng.standard_normal((n, dim), np.float32))[0]


def table(arguments):
    """Print recall@10 against exact search, on a larger table."""
    X = clustered(arguments.rows, arguments.dim, arguments.clusters, seed=1)
    Q = clustered(arguments.queries, arguments.dim, arguments.clusters, seed=2)
    stored = {name: form(X) for name, form in forms(arguments.dim).items()}
    found, seconds = search_all(stored, Q, arguments.rounds, arguments.threads)
    exact = found["float32"]
    print(f"table: {len(X):,} x {arguments.dim} in {arguments.clusters:,} clusters, "
          f"{len(Q):,} queries")
    print(f"  {'':26}bytes   recall@10        queries/s   x float32")
    for (name, index), rate in zip(stored.items(), speed(seconds, len(Q))):
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(exact.tolist(),
                                                                   found[name].tolist())])
        print(f"  {name:26}{index.bytes:5}   {recall:9.3f}{rate}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sizes(parser, {"rows": 200_000, "dim": 128, "clusters": 1_000, "queries": 500,
                       "threads": 2})
    sections = {"facts": facts, "table": table}
    arguments = choose(parser, sections)
    print(f"{arguments.threads} threads, {arguments.rounds} rounds")
    for name in arguments.sections:
        print()
        sections[name](arguments)


if __name__ == "__main__":
    main()
