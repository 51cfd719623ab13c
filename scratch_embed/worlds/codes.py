"""Rare codes: what a search for words finds at once, and a vector cannot hold.

Shapes    N documents, N codes, each borne by one document and never seen elsewhere
Read next worlds/facts.py (the reports, and questions by meaning)

    the weary seaman mended the lantern near the shore , file kx-417
    find the file kx-417

A code says nothing but itself.  It is not in the text that words are learned from (and if it were,
once, nothing could be learned of it), so for word vectors it is an unknown word; a model of its
letters is led astray by kx-471.  An exact search has nDCG 1.  For questions by meaning it is the
other way round.  Half of the queries are of each kind: only who combines both searches wins both.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.facts import Facts, Qrels, number, pick

LETTERS = "bdfgklmnprstvxz"


class Coded(NamedTuple):
    """Reports with codes; queries by code and by meaning."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    code: dict[str, str]               # {document id: its code}
    by_code: dict[str, bool]           # {query id: does it name a code? else it asks by meaning}


def draw_codes(n: int, rng: np.random.Generator) -> list[str]:
    """n different codes: two letters, a dash, three digits.  At most 202,500."""
    letters = len(LETTERS)
    if n > letters ** 2 * 900:
        raise ValueError(f"{n} codes: there are only {letters ** 2 * 900}")
    drawn = rng.choice(letters ** 2 * 900, n, replace=False)
    return [f"{LETTERS[x // 900 // letters]}{LETTERS[x // 900 % letters]}-{100 + x % 900}"
            for x in drawn.tolist()]


def with_codes(world: Facts, seed: int = 0, lookups: int | None = None) -> Coded:
    """The world's reports, each with a code; its questions, and as many lookups of codes.

    lookups: how many queries name a code, by default as many as there are questions.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    lookups = len(world.queries) if lookups is None else lookups
    if not 0 <= lookups <= len(world.corpus):
        raise ValueError(f"lookups={lookups}: expected 0 to {len(world.corpus)}, the documents")
    code = dict(zip(world.corpus, draw_codes(len(world.corpus), rng)))
    sought = [list(code)[i] for i in rng.choice(len(code), lookups, replace=False)]
    queries, qrels = dict(world.queries), dict(world.qrels)
    for query, document in zip(number("c", lookups), sought):
        queries[query] = f"{pick(['find', 'open'], rng)} the file {code[document]}"
        qrels[query] = {document: 1}
    return Coded({document: f"{text} , file {code[document]}"
                  for document, text in world.corpus.items()},
                 queries, qrels, code, {query: query not in world.queries for query in queries})
