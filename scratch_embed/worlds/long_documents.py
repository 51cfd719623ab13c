"""Long documents: one sentence, early or late, states the fact; the other sentences are irrelevant.

Shapes    documents of about (`sentences` + 1) × 10 words
Read next worlds/facts.py, worlds/bounds.py

Known truth: the fact of each document, and the position of the last word of its sentence.

What could explain a score?  The length that a model reads.  A model that truncates documents after
128 words cannot find a later fact, however good it is: upper_bound() computes its highest expected
score, if a fact that is only partly read counts as unread.  And a mean of all word vectors hardly
depends on the five words of the fact, because they are averaged with hundreds of irrelevant words.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.worlds.bounds import ndcg_upper_bound
from scratch_embed.worlds.facts import Fact, Facts, Qrels, Slots, gain_table, pick, report

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
    """Documents of many sentences, one of which states a fact."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    document_facts: dict[str, Fact]
    query_slots: dict[str, Slots]
    end: dict[str, int]                # {document id: number of words up to the end of its fact}
    start: dict[str, int]              # {document id: number of words before its fact}


def lengthen(world: Facts, seed: int = 0, sentences: int = 40) -> LongDocuments:
    """Hide a newly drawn report of each document's fact among `sentences` irrelevant sentences.

    All positions are equally likely.  Raises ValueError for a negative number of sentences.
    """
    require_whole("sentences", sentences)
    rng = np.random.Generator(np.random.PCG64(seed))
    corpus, end, first = {}, {}, {}
    for document, fact in world.document_facts.items():
        before = int(rng.integers(sentences + 1))
        filler = [filler_sentence(rng) for _ in range(sentences)]
        corpus[document], first[document], end[document] = insert(report(fact, rng), filler, before)
    return LongDocuments(corpus, world.queries, world.qrels, world.document_facts,
                         world.query_slots, end, first)


def insert(text: str, sentences: list[str], before: int) -> tuple[str, int, int]:
    """Put a text after the first `before` sentences.  -> the whole, start and end of text in words

    >>> insert("a cat sat", ["it rained", "we left"], before=1)
    ('it rained . a cat sat . we left', 3, 6)
    """
    start = sum(len(sentence.split()) + 1 for sentence in sentences[:before])      # 1: the "."
    return (" . ".join([*sentences[:before], text, *sentences[before:]]), start,
            start + len(text.split()))


def filler_sentence(rng: np.random.Generator) -> str:
    """Draw a sentence that states no fact."""
    return " ".join(pick(FILL[token], rng) if token in FILL else token
                    for token in pick(TEMPLATES, rng).split())


def upper_bound(world: LongDocuments, words: int, k: int = 10) -> float:
    """The highest expected nDCG@k of a model that reads only the first `words` words.

    The words of a fact that ends later are not used, although the model may have read some of them.
    """
    unread = np.array([end > words for end in world.end.values()])
    kind = np.where(unread, -1, np.arange(len(unread)))           # unread facts are one kind
    gains = gain_table(world.qrels, list(world.corpus))
    return float(np.mean([ndcg_upper_bound(row, kind, k) for row in gains]))
