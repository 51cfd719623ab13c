"""Reports with rare codes, which exact term matching finds and word vectors cannot represent.

Shapes    N documents and N codes; each document has one code, which occurs nowhere else
Read next worlds/facts.py (the reports, and queries in other words)

    the weary seaman mended the lantern near the shore , file kx-417
    find the file kx-417

Known truth: the one document of each code, and the gains of the other queries (worlds/facts.py).
No code occurs in the text that word vectors are trained on, so codes are out-of-vocabulary words.
A character-based model may confuse kx-417 with similar codes such as kx-471.  Exact matching has
nDCG 1 on queries that name a code.  On queries in other words, word vectors are better than exact
matching.

What could explain a score?  By default half of the queries name a code and half use other words, so
the mean over all hides which half was solved: report both means.  A search that is good on both
needs exact matching and vectors, but no query needs both at once.

with_shared_codes() has such queries: a code is that of 20 reports, and the query names it and
describes one of them in other words.

    find the drowsy mariner who repaired something in the file kx-417

A model that knows the code alone must guess among 20 reports (nDCG@10 of 0.23 for one right
answer); a model that knows the words alone, among all reports of the same facts, in any file.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.facts import Facts, Qrels, make_ids, pick, states_all, values_named

LETTERS = "bdfgklmnprstvxz"


class Coded(NamedTuple):
    """Reports with codes; queries by code and queries in other words."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    code: dict[str, str]               # {document id: its code}
    by_code: dict[str, bool]           # {query id: whether it names a code}


def draw_codes(n: int, rng: np.random.Generator) -> list[str]:
    """Draw n different codes: two letters, a dash, three digits.

    Raises ValueError for more than 202,500, the number of different codes.
    """
    letters = len(LETTERS)
    if n > letters ** 2 * 900:
        raise ValueError(f"n: expected at most {letters ** 2 * 900} codes, got {n}")
    drawn = rng.choice(letters ** 2 * 900, n, replace=False)
    return [f"{LETTERS[x // 900 // letters]}{LETTERS[x // 900 % letters]}-{100 + x % 900}"
            for x in drawn.tolist()]


def report_of(text: str, code: str) -> str:
    """A report with its code."""
    return f"{text} , file {code}"


def lookup(code: str, rng: np.random.Generator) -> str:
    """A query that names a code."""
    return f"{pick(['find', 'open'], rng)} the file {code}"


def with_codes(world: Facts, seed: int = 0, lookups: int | None = None) -> Coded:
    """Add a code to each report of a world, and queries that name a code to the world's queries.

    lookups: the number of queries that name a code, by default the number of the world's queries.
    Raises ValueError unless lookups is from 0 to the number of documents.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    lookups = len(world.queries) if lookups is None else lookups
    if not 0 <= lookups <= len(world.corpus):
        raise ValueError(f"lookups: expected 0 to {len(world.corpus)} (documents), got {lookups}")
    code = dict(zip(world.corpus, draw_codes(len(world.corpus), rng)))
    targets = [list(code)[i] for i in rng.choice(len(code), lookups, replace=False)]
    queries, qrels = dict(world.queries), dict(world.qrels)
    for query, document in zip(make_ids("c", lookups), targets):
        queries[query] = lookup(code[document], rng)
        qrels[query] = {document: 1}
    return Coded({document: report_of(text, code[document])
                  for document, text in world.corpus.items()},
                 queries, qrels, code, {query: query not in world.queries for query in queries})


def with_shared_codes(world: Facts, seed: int = 0, reports: int = 20) -> Coded:
    """Add codes to the reports of a world, and the code of a relevant report to each query.

    reports: how many reports share a code; the last code may have fewer.  Relevant, with gain 1:
    the reports with the query's code that state all that it names.
    """
    rng, documents = np.random.default_rng([seed, 31]), list(world.corpus)
    codes = draw_codes(-(-len(documents) // reports), rng)
    code = {documents[i]: codes[at // reports]
            for at, i in enumerate(rng.permutation(len(documents)).tolist())}
    states = states_all(values_named([*world.queries.values()]),
                        values_named([*world.corpus.values()]))             # (Q, N)
    queries: dict[str, str] = {}
    qrels: Qrels = {}
    for (query, text), right in zip(world.queries.items(), states):
        stating = [documents[i] for i in np.flatnonzero(right)]
        wanted = code[pick(stating, rng)]
        queries[query] = f"{text} in the file {wanted}"
        qrels[query] = {document: 1 for document in stating if code[document] == wanted}
    return Coded({document: report_of(text, code[document])
                  for document, text in world.corpus.items()},
                 queries, qrels, code, dict.fromkeys(queries, True))
