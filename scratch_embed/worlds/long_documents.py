"""Long documents: one sentence tells the fact, early or late, and all the others tell nothing.

Shapes    documents of about `sentences` × 8 words
Read next worlds/facts.py, worlds/bounds.py

A model that reads the first 128 words of a document cannot find what stands behind them, however
good it is: `upper_bound` is the best it can score, exactly.  And a mean over all words drowns eight
that matter in hundreds that do not.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.worlds.bounds import ndcg_upper_bound
from scratch_embed.worlds.facts import Asked, Fact, Facts, Qrels, gain_table, pick, report

TEMPLATES = ["the minutes of the DAY meeting were read and approved",
             "no further business was raised on DAY before lunch",
             "the council thanked its members for their ROUTINE work",
             "please send all ROUTINE letters to the office by DAY",
             "the weather was mild and the trains ran on time",
             "the next page lists the ROUTINE costs of the year",
             "nothing else of note took place on DAY",
             "the clerk copied the ROUTINE figures into the ledger"]
FILL = {"DAY": "monday tuesday wednesday thursday friday".split(),
        "ROUTINE": "usual regular ordinary annual".split()}


class LongDocuments(NamedTuple):
    """Documents of many sentences, of which one tells a fact."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    told: dict[str, Fact]
    asked: dict[str, Asked]
    end: dict[str, int]                # {document id: the words up to its fact's last one}


def lengthen(world: Facts, seed: int = 0, sentences: int = 40) -> LongDocuments:
    """The world's facts, each somewhere, all places alike, among `sentences` that tell nothing."""
    require_whole("sentences", sentences)
    rng = np.random.Generator(np.random.PCG64(seed))
    corpus, end = {}, {}
    for document, fact in world.told.items():
        before = int(rng.integers(sentences + 1))
        filler = [filler_sentence(rng) for _ in range(sentences)]
        start = " . ".join([*filler[:before], report(fact, rng)])
        corpus[document] = " . ".join([start, *filler[before:]])
        end[document] = len(start.split())
    return LongDocuments(corpus, world.queries, world.qrels, world.told, world.asked, end)


def filler_sentence(rng: np.random.Generator) -> str:
    """A sentence that tells nothing."""
    return " ".join(pick(FILL[token], rng) if token in FILL else token
                    for token in pick(TEMPLATES, rng).split())


def upper_bound(world: LongDocuments, words: int, k: int = 10) -> float:
    """The best expected nDCG@k of who reads the first `words` words of every document."""
    unread = np.array([end > words for end in world.end.values()])
    kind = np.where(unread, -1, np.arange(len(unread)))           # all that is unread: alike
    gains = gain_table(world.qrels, list(world.corpus))
    return float(np.mean([ndcg_upper_bound(row, kind, k) for row in gains]))
