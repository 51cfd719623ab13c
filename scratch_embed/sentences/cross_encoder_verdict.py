"""Verdict on a cross-encoder: is it better than the same model before training?

Equation  of candidates      MRR = 1/N Σ_n 1/rank(the positive of query n among its C candidates)
          of scored pairs    Spearman's ρ of score and label
          of classes         the mean cross-entropy, compared with that of class frequencies
Shapes    N queries with C candidates each, or N pairs
Cost      N · C passes of the trained model and of the model before training, at most PAIRS each
Read next sentences/verdict.py (the same of encoders: the baselines, and how the error is measured)

A cross-encoder needs a pass for every pair, so it does not search all texts.  A query's candidates
are its positive, its hard negatives, if there are any, and positives of other queries, drawn at
random, so that there are CANDIDATES in all.  The baseline ranks the same candidates by their words
in common with the query.  Most candidates of a search resemble the query much more than random
texts do, so a model that is good here may still make a search worse; retrieve/rerank.py measures a
search.
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.evaluate.baselines import BagOfWords
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_settings import identity
from scratch_embed.sentences.cross_encoder_training import random_negatives
from scratch_embed.sentences.verdict import (
    FEW,
    ScoreVerdict,
    SearchVerdict,
    sample,
    score_verdict,
    shared_ranks,
)
from scratch_embed.space.similarity import cosine
from scratch_embed.training.verdict import GROUPS, Verdict, compare

CANDIDATES = 10                    # of each query, if there are so many different texts
PAIRS = 1000                       # the most pairs that are scored


def of_candidates(trained: CrossEncoder, start: CrossEncoder, queries: Sequence[str],
                  columns: Sequence[Sequence[str]], seed: int = 1) -> SearchVerdict | None:
    """The SearchVerdict on queries with candidates; None for fewer than FEW queries.

    start     the cross-encoder before training
    columns   C lists of N candidates: the positives, then negatives, if any
    """
    texts = len({*columns[0]})
    more = max(0, min(CANDIDATES - len(columns), texts - most_positives(queries, columns[0])))
    columns = [*columns, *random_negatives(queries, columns[0], more, seed + 1)]
    C = len(columns)
    chosen = sample(len(queries), seed)[:max(FEW, PAIRS // C)]
    if len(chosen) < FEW or C < 2:
        return None
    asked = [queries[n] for n in chosen]
    rows = [[column[n] for n in chosen] for column in columns]
    pairs = [(query, text) for query, *found in zip(asked, *rows) for text in found]

    def reciprocal_ranks(scores):                            # (N, C) -> (N,)
        return shared_ranks(scores, scores[:, 0])
    after, before = (reciprocal_ranks(encoder.predict(pairs, activation_fn=identity)
                                      .reshape(-1, C)) for encoder in (trained, start))
    words = BagOfWords([*asked, *(text for row in rows for text in row)])
    vectors = words.encode(asked)
    tokens = reciprocal_ranks(np.stack([cosine(vectors, words.encode(row)) for row in rows], 1))
    gain, N = after - before, len(after)
    return SearchVerdict(float(after.mean()), float(before.mean()), float(tokens.mean()),
                         float((1 / np.arange(1, C + 1)).mean()),
                         float(gain.std(ddof=1) / np.sqrt(N)), C,
                         float(after.std(ddof=1) / np.sqrt(N)))


def most_positives(queries: Sequence[str], positives: Sequence[str]) -> int:
    """How many different positives a query has at most."""
    own: dict[str, set[str]] = {}
    for query, positive in zip(queries, positives):
        own.setdefault(query, set()).add(positive)
    return max(map(len, own.values()))


def of_scored_pairs(trained: CrossEncoder, start: CrossEncoder, first: Sequence[str],
                    second: Sequence[str], labels: np.ndarray, seed: int = 1
                    ) -> ScoreVerdict | None:
    """The ScoreVerdict on N pairs, of which at most MOST are drawn; None for fewer than FEW pairs.

    start: the cross-encoder before training; labels: (N,); if all are equal, there is no verdict
    """
    chosen = sample(len(first), seed)
    labels = np.asarray(labels, np.float64)[chosen]
    if len(chosen) < FEW or np.ptp(labels) == 0:
        return None
    sides = [[side[n] for n in chosen] for side in (first, second)]
    after, before = (encoder.predict([*zip(*sides)], activation_fn=identity).astype(np.float64)
                     for encoder in (trained, start))
    words = cosine(*map(BagOfWords([*sides[0], *sides[1]]).encode, sides))
    return score_verdict(after, before, words, labels, seed)


def of_classes(trained: CrossEncoder, start: CrossEncoder, first: Sequence[str],
               second: Sequence[str], classes: np.ndarray, seen: np.ndarray, seed: int = 1
               ) -> Verdict:
    """The Verdict on N pairs with classes, of which at most MOST are drawn.

    start: the cross-encoder before training; seen: the classes of the training pairs, whose
    frequencies are the baseline
    """
    chosen = sample(len(first), seed)
    pairs, y = [(first[n], second[n]) for n in chosen], classes[chosen]
    groups = [g for g in np.array_split(np.arange(len(chosen)), GROUPS) if len(g)]
    counts = np.array([len(g) for g in groups])
    after, before = (encoder.predict(pairs, activation_fn=identity) for encoder in (trained, start))
    frequencies = np.bincount(seen, minlength=after.shape[1]) / len(seen)
    rare = -np.log(np.maximum(frequencies, 1 / len(seen)))[y]        # of each pair's class
    losses = [np.array([len(g) * cross_entropy(scores[g], y[g])[0] for g in groups])
              for scores in (after, before)]
    return compare(losses[0], np.array([rare[g].sum() for g in groups]), losses[1], counts)
