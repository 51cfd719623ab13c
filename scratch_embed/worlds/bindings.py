"""Documents in groups of three with the same words: only word order shows who did what.

Shapes    G groups of 3 documents; a document has 3 sentences, each states one fact; a query names
          the who, act and thing of one fact
Read next worlds/facts.py, worlds/bounds.py

    d0   the sailor mended the lamp . the thief tossed the book . the child buried the sword
    d1   the sailor mended the sword . the thief tossed the lamp . the child buried the book
    d2   the sailor mended the book . the thief tossed the sword . the child buried the lamp
    query   find the mariner who repaired the torch      relevant: d0, and only d0 of these three

Known truth: which document states which facts.  The three documents of a group contain the same
words, each equally often, and so have the same bag-of-words vector and the same mean of word
vectors.  A model that ignores the order of words cannot distinguish them, even if it knows every
synonym: bag_of_words_upper_bound() bounds the expected nDCG of such a model.

What could explain a score?  Up to this bound, word meanings alone can explain it.  A higher score
shows that the model uses word order.  A cross-encoder can use word order, because it reads query
and document together.  So can a bi-encoder with position embeddings, but it must store all three
facts of a document in one vector without knowing the query.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.worlds.bounds import ndcg_upper_bound
from scratch_embed.worlds.facts import (
    IN_REPORTS,
    NAMES,
    VALUES,
    Fact,
    Qrels,
    Slots,
    gain_table,
    make_ids,
    question,
    word_for,
)

FACTS = 3                                  # facts in a document, and documents in a group
WHO, ACT, THING = (NAMES.index(name) for name in ("who", "act", "thing"))


class Bindings(NamedTuple):
    """A retrieval benchmark whose documents come in groups of three with the same words."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    document_facts: dict[str, list[Fact]]    # {document id: the facts that it states}
    query_slots: dict[str, Slots]            # {query id: who, act and thing of one fact}
    group: dict[str, int]                    # {document id: its group}


def bindings(seed: int = 0, groups: int = 100, queries: int = 100) -> Bindings:
    """Draw a sample of the world; use another seed for training data.

    Raises ValueError unless groups and queries are whole numbers of at least 1.
    """
    require_whole("groups", groups, 1)
    require_whole("queries", queries, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    corpus, document_facts, group = {}, {}, {}
    documents = iter(make_ids("d", groups * FACTS))
    for g in range(groups):
        for text, stated in draw_group(rng):
            document = next(documents)
            corpus[document], document_facts[document], group[document] = text, stated, g
    query_slots = {}
    for query in make_ids("q", queries):
        facts = document_facts[list(document_facts)[rng.integers(len(document_facts))]]
        fact = facts[rng.integers(FACTS)]
        query_slots[query] = {slot: fact[slot] for slot in (WHO, ACT, THING)}
    qrels = {query: {document: 1 for document, facts in document_facts.items()
                     if any(all(fact[slot] == value for slot, value in named.items())
                            for fact in facts)}
             for query, named in query_slots.items()}
    return Bindings(corpus, {query: question(named, rng) for query, named in query_slots.items()},
                    qrels, document_facts, query_slots, group)


def draw_group(rng: np.random.Generator) -> list[tuple[str, list[Fact]]]:
    """Draw three documents with the same words: the text of each, and the facts that it states."""
    facts = np.stack([rng.permutation(VALUES)[:FACTS] for _ in NAMES], axis=1)             # (3, 5)
    words = [[word_for(slot, value, IN_REPORTS, rng) for slot, value in enumerate(fact)]
             for fact in facts.tolist()]
    group = []
    for shift in range(FACTS):
        thing = np.roll(np.arange(FACTS), shift)
        stated = facts.copy()
        stated[:, THING] = facts[thing, THING]                             # things exchanged
        text = " . ".join(f"the {w[WHO]} {w[ACT]} the {words[other][THING]}"
                          for w, other in zip(words, thing))
        group.append((text, [tuple(fact) for fact in stated.tolist()]))
    return group


def bag_of_words_upper_bound(world: Bindings, k: int = 10) -> float:
    """An upper bound of the expected nDCG@k of a model that knows every synonym but no word order.

    If one document is relevant, the optimum is to rank its group first, in random order: nDCG
    (1 + 1/log₂3 + 1/log₂4)/3 = 0.710.  With several relevant documents the bound differs.  A model
    cannot plan to reach it, see synonyms_alone(): it does not know which group comes first.
    """
    kind = np.array(list(world.group.values()))
    gains = gain_table(world.qrels, list(world.corpus))
    return float(np.mean([ndcg_upper_bound(row, kind, k) for row in gains]))


def synonyms_alone(world: Bindings, k: int = 10) -> float:
    """The expected nDCG@k of a model that knows every synonym and no word order, without luck.

    Several groups have all words of a query, about one in twenty; only some of them state its fact,
    and their words do not tell which.  So the documents of all these groups come first, in random
    order.
    """
    stated = np.array(list(world.document_facts.values()))                           # (N, 3, 5)
    gains = gain_table(world.qrels, list(world.corpus))
    scores = []
    for named, row in zip(world.query_slots.values(), gains):
        has_all = np.all([(stated[:, :, slot] == value).any(axis=1)
                          for slot, value in named.items()], axis=0)                 # (N,)
        scores.append(ndcg_upper_bound(row, has_all.astype(int), k))
    return float(np.mean(scores))
