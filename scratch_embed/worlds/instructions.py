"""Queries with instructions: the instruction determines which documents are relevant.

Shapes    Q texts × S instructions = S Q queries, by default S = 5; N documents; gain 1 or 0
Read next worlds/facts.py (facts and reports), worlds/bounds.py

    query         the glad mariner fixed the torch near the beach
    instruction   find reports about the same kind of person; or: about the same deed; ...

Known truth: a document is relevant if it has the same value as the query in the slot that the
instruction names.  So the right query vector depends on the instruction.  The slots are
independent, so two instructions have relevant documents in common only by chance.

What could explain a score?  A model that ignores the instruction can at best rank documents by the
number of slots that agree with the query.  upper_bound_without_instruction() computes the score of
this ranking exactly (worlds/bounds.py with M = S cases).  Only a higher score shows that the model
uses the instruction.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.worlds.bounds import ndcg_upper_bound
from scratch_embed.worlds.facts import (
    IN_QUESTIONS,
    NAMES,
    VALUES,
    Fact,
    Qrels,
    Slots,
    gain_table,
    judge,
    make_ids,
    report,
)

INSTRUCTIONS = {"mood": "find reports about somebody in the same mood",
                "who": "find reports about the same kind of person",
                "act": "find reports about the same deed",
                "thing": "find reports about the same kind of thing",
                "place": "find reports from the same kind of place"}


class Instructed(NamedTuple):
    """Documents, and queries with instructions.  The query ids are q00-mood, q00-who, ..."""

    corpus: dict[str, str]
    queries: dict[str, str]
    instructions: dict[str, str]       # {query id: one of INSTRUCTIONS}
    qrels: Qrels
    document_facts: dict[str, Fact]
    query_slots: dict[str, Slots]      # {query id: the slot that its instruction names}


def instructions(seed: int = 0, documents: int = 300, queries: int = 60,
                 slots: Sequence[str] = tuple(INSTRUCTIONS)) -> Instructed:
    """Draw `queries` texts with an instruction for each of `slots`, by default all five.

    Another seed gives another sample; other slots give other queries with the same texts.
    Each value of a slot is stated by documents/8 documents, ±1.
    Raises ValueError for fewer than 8 documents or no query.
    """
    require_whole("documents", documents, VALUES)              # one for each value of a slot
    require_whole("queries", queries, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    facts = np.stack([rng.permutation(np.arange(documents) % VALUES) for _ in NAMES], axis=1)
    document_facts = {document: tuple(fact)
                      for document, fact in zip(make_ids("d", documents), facts.tolist())}
    texts, instruction_of, query_slots = {}, {}, {}
    for query in make_ids("q", queries):
        fact = tuple(rng.integers(VALUES, size=len(NAMES)).tolist())
        text = report(fact, rng, IN_QUESTIONS)
        for slot, name in ((NAMES.index(name), name) for name in slots):
            texts[f"{query}-{name}"] = text
            instruction_of[f"{query}-{name}"] = INSTRUCTIONS[name]
            query_slots[f"{query}-{name}"] = {slot: fact[slot]}
    return Instructed({document: report(fact, rng) for document, fact in document_facts.items()},
                      texts, instruction_of, judge(query_slots, document_facts, gain=(0, 1)),
                      document_facts, query_slots)


def upper_bound_without_instruction(world: Instructed, k: int = 10) -> float:
    """The highest expected nDCG@k of a model that knows all facts but not the instructions."""
    gains = gain_table(world.qrels, list(world.corpus))                   # (S Q, N)
    cases = gains.reshape(-1, len({*world.instructions.values()}), gains.shape[1])
    return float(np.mean([ndcg_upper_bound(case, k=k) for case in cases]))
