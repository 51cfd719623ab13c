"""Labelled training data for the retrieval worlds: queries, relevant documents, hard negatives.

Shapes    N triplets of texts: a query, a document that is relevant to it, one that is nearly so;
          or N pairs of texts, each with a score
Read next worlds/facts.py, worlds/bindings.py, worlds/instructions.py, worlds/taxonomy.py (the
          evaluation data), sentences/sbert.py (which trains on them)

The triplets are about newly drawn facts, documents and groups, not those of the evaluation data,
and a query that is also an evaluation query is left out.  So a model that does well has learned
which words and which arrangements mean the same; it cannot have memorised answers.

What is a hard negative?  A document that is wrong in one respect only: a fact with one of the
query's slots changed, another document of the same group of bindings, a report that agrees with the
query in another slot than the one its instruction names.

A pair of texts of the taxonomy has a score instead: on how many levels of the tree the two agree.
"""
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.bindings import ACT, FACTS, THING, WHO, draw_group
from scratch_embed.worlds.facts import (
    IN_QUESTIONS,
    IN_REPORTS,
    NAMES,
    VALUES,
    Facts,
    draw_facts,
    name_three,
    pick,
    question,
    report,
)
from scratch_embed.worlds.instructions import INSTRUCTIONS
from scratch_embed.worlds.taxonomy import PATHS, describe, levels_shared
from scratch_embed.worlds.toy_mteb import change


class Triplets(NamedTuple):
    """N queries, each with a relevant document and a hard negative."""

    queries: list[str]
    positives: list[str]
    negatives: list[str]

    def __len__(self) -> int:
        return len(self.queries)


class GradedPairs(NamedTuple):
    """N pairs of texts about kinds of the taxonomy, with the number of levels that each shares."""

    first: list[str]
    second: list[str]
    levels: np.ndarray             # (N,) int: 0 to 3, see taxonomy.levels_shared


def fact_triplets(world: Facts, n: int = 4000, seed: int = 0) -> Triplets:
    """Triplets about n new facts of the world's prototypes, up to n of them.

    The negative is a report with another value in one of the slots that the query names.
    """
    rng, rows = np.random.default_rng([seed, 4]), []
    for fact in draw_facts(n, world.prototypes, 0.25, rng):
        slots = name_three(fact, rng)
        wrong = change(fact, [int(rng.choice(list(slots)))], rng)
        rows.append((question(slots, rng), report(fact, rng), report(wrong, rng)))
    return without(rows, world.queries.values())


def binding_triplets(n: int = 4000, seed: int = 0, taken: Collection[str] = ()) -> Triplets:
    """Triplets of n new groups of three documents with the same words, up to n of them.

    The negative is another document of the group: it has all words of the positive.
    taken: queries to leave out, such as those of the evaluation.
    """
    return Triplets(*binding_groups(n, seed, taken)[:3])


def binding_groups(n: int = 4000, seed: int = 0, taken: Collection[str] = ()) -> list[list[str]]:
    """The same with both other documents of the group: queries, positives, and two negatives."""
    rng, taken, rows = np.random.default_rng([seed, 5]), set(taken), []
    for _ in range(n):
        group = [group[i] for group in [draw_group(rng)] for i in rng.permutation(FACTS)]
        facts = group[0][1]
        fact = facts[rng.integers(FACTS)]
        query = question({slot: fact[slot] for slot in (WHO, ACT, THING)}, rng)
        if query not in taken:
            rows.append((query, *(text for text, _ in group)))
    return [list(column) for column in zip(*rows)] or [[], [], [], []]


def instruction_triplets(n: int = 4000, seed: int = 0) -> tuple[list[str], Triplets]:
    """n instructions, and the Triplets whose queries they belong to.

    The positive agrees with the query in the slot that the instruction names, and in no other; the
    negative in one other slot, and not in this one.
    """
    rng = np.random.default_rng([seed, 6])
    given, rows = [], []
    for _ in range(n):
        fact = rng.integers(VALUES, size=len(NAMES))
        slot, other = rng.permutation(len(NAMES))[:2]
        positive, negative = ((fact + rng.integers(1, VALUES, size=len(NAMES))) % VALUES
                              for _ in range(2))
        positive[slot], negative[other] = fact[slot], fact[other]
        given.append(INSTRUCTIONS[NAMES[slot]])
        rows.append((report(tuple(fact.tolist()), rng, IN_QUESTIONS),
                     *(report(tuple(side.tolist()), rng, IN_REPORTS)
                       for side in (positive, negative))))
    return given, without(rows, ())


def paraphrases(n: int = 4000, seed: int = 0) -> tuple[list[str], list[str]]:
    """n reports with the words of queries, and reports that state the same in those of documents.

    All facts are equally likely: the slots are independent, as in worlds/instructions.py.
    """
    rng = np.random.default_rng([seed, 7])
    facts = [tuple(fact) for fact in rng.integers(VALUES, size=(n, len(NAMES))).tolist()]
    first, second = ([report(fact, rng, words) for fact in facts]
                     for words in (IN_QUESTIONS, IN_REPORTS))
    return first, second


def without(rows: list[tuple[str, str, str]], taken: Collection[str]) -> Triplets:
    """The Triplets of rows whose query is not taken."""
    taken = set(taken)
    kept = [row for row in rows if row[0] not in taken]
    return Triplets(*(list(side) for side in zip(*kept))) if kept else Triplets([], [], [])


def taxonomy_pairs(n: int = 2000, seed: int = 0, levels: Sequence[int] = (0, 1, 2, 3),
                   taken: Collection[str] = ()) -> GradedPairs:
    """Up to n pairs of different texts of the taxonomy, equally many for each of `levels`.

    levels: how many levels the two kinds share: 3, the same kind; 2, another kind of the family;
    1, of another family of the realm; 0, of another realm.
    taken: texts that must not be in a pair, such as those of the evaluation.
    """
    rng, taken, rows = np.random.default_rng([seed, 7]), set(taken), []
    for i in range(n):
        level = levels[i % len(levels)]
        path = pick(PATHS, rng)
        other = pick([p for p in PATHS if levels_shared(path, p) == level], rng)
        pair = describe(path, rng), describe(other, rng)
        if pair[0] != pair[1] and not taken & {*pair}:
            rows.append((*pair, level))
    first, second, shared = zip(*rows) if rows else ((), (), ())
    return GradedPairs(list(first), list(second), np.array(shared, int))
