"""Labelled training data for the retrieval worlds: queries, relevant documents, hard negatives.

Shapes    N triplets of texts: a query, a relevant document, a hard negative; or N pairs of texts,
          with a score each or without
Read next worlds/facts.py, worlds/bindings.py, worlds/instructions.py, worlds/taxonomy.py (the
          evaluation data), sentences/sbert.py (which trains on them)

Queries and documents are drawn anew, and queries of the evaluation are left out.  So a model that
does well has learned which words and which arrangements of words mean the same.  It need not handle
new combinations of values: 7 of 10 evaluation queries of the facts, and all of the bindings, name
the same values as some training query, in other words.  why/generalisation.py trains without some
words.

What is a hard negative?  A document that is wrong in one respect: a report in which one of the
query's slots has another value; another document of the same group of bindings; a report that
agrees with the query in one slot, but not in the one that the instruction names; or one that agrees
in all others.

A pair of texts of the taxonomy has a score: the number of levels of the tree on which they agree.
"""
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.bindings import ACT, FACTS, THING, WHO, draw_group
from scratch_embed.worlds.codes import Coded, draw_codes, lookup, report_of
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

ANSWER = "find the report that answers the question"       # the instruction of a search


class Triplets(NamedTuple):
    """N queries, each with a relevant document and a hard negative."""

    queries: list[str]
    positives: list[str]
    negatives: list[str]


class GradedPairs(NamedTuple):
    """N pairs of texts about kinds of the taxonomy, and how many levels each pair shares."""

    first: list[str]
    second: list[str]
    levels: np.ndarray             # (N,) int: 0 to 3, see levels_shared of worlds/taxonomy.py


def fact_triplets(world: Facts, n: int = 4000, seed: int = 0) -> Triplets:
    """Up to n triplets about new copies of the world's prototypes.

    The negative has another value in one of the slots that the query names.  Triplets whose query
    is a query of the world are left out.
    """
    rng, rows = np.random.default_rng([seed, 4]), []
    for fact in draw_facts(n, world.prototypes, 0.25, rng):
        slots = name_three(fact, rng)
        wrong = change(fact, [int(rng.choice(list(slots)))], rng)
        rows.append((question(slots, rng), report(fact, rng), report(wrong, rng)))
    return Triplets(*columns(rows, 3, world.queries.values()))


def coded_pairs(world: Facts, coded: Coded, n: int = 4000, seed: int = 0
                ) -> tuple[list[str], list[str]]:
    """Up to n queries, each with a report that has a code; every second query names the code.

    The other queries are those of fact_triplets.  No code is one of the world's own, so a model
    cannot know them: it can only learn that codes must be equal.
    """
    rng, (queries, reports, _) = np.random.default_rng([seed, 21]), fact_triplets(world, n, seed)
    taken = {*coded.code.values()}
    codes = [code for code in draw_codes(len(queries) + len(taken), rng) if code not in taken]
    return ([lookup(code, rng) if i % 2 else query
             for i, (query, code) in enumerate(zip(queries, codes))],
            [report_of(text, code) for text, code in zip(reports, codes)])


def binding_triplets(n: int = 4000, seed: int = 0, taken: Collection[str] = ()) -> Triplets:
    """Up to n triplets, each of a new group of three documents with the same words.

    The negative is another document of the group, so it has all words of the positive.
    taken: queries to leave out, such as those of the evaluation.
    """
    return Triplets(*binding_groups(n, seed, taken)[:3])


def binding_groups(n: int = 4000, seed: int = 0, taken: Collection[str] = ()) -> list[list[str]]:
    """The same with both other documents of the group: queries, positives, and two negatives."""
    rng, rows = np.random.default_rng([seed, 5]), []
    for _ in range(n):
        group = draw_group(rng)
        group = [group[i] for i in rng.permutation(FACTS)]
        _, facts = group[0]
        fact = facts[rng.integers(FACTS)]
        query = question({slot: fact[slot] for slot in (WHO, ACT, THING)}, rng)
        rows.append((query, *(text for text, _ in group)))
    return columns(rows, 4, taken)


def instruction_triplets(n: int = 4000, seed: int = 0, taken: Collection[str] = ()
                         ) -> tuple[list[str], Triplets]:
    """Up to n triplets, and the instruction of each query.  -> instructions, triplets

    The positive agrees with the query only in the slot that the instruction names, the negative
    only in another slot.
    taken: queries to leave out, such as those of the evaluation.
    """
    rng, rows = np.random.default_rng([seed, 6]), []
    for _ in range(n):
        fact = rng.integers(VALUES, size=len(NAMES))
        slot, other = rng.permutation(len(NAMES))[:2]
        positive, negative = ((fact + rng.integers(1, VALUES, size=len(NAMES))) % VALUES
                              for _ in range(2))
        positive[slot], negative[other] = fact[slot], fact[other]
        rows.append((report(tuple(fact.tolist()), rng, IN_QUESTIONS),
                     report(tuple(positive.tolist()), rng), report(tuple(negative.tolist()), rng),
                     INSTRUCTIONS[NAMES[slot]]))
    *triplets, given = columns(rows, 4, taken)
    return given, Triplets(*triplets)


def task_triplets(world: Facts, slots: Sequence[str], n: int = 3000, seed: int = 0
                  ) -> tuple[list[str], Triplets]:
    """n triplets of each of several tasks, in random order.  -> instructions, triplets

    The first task is to find the report that answers a question, see fact_triplets().  In the
    others the query is a report; the positive agrees with it in the slot that the instruction
    names, and in others by chance; the negative agrees in all other slots.  All facts are copies
    of the world's prototypes.
    """
    rng = np.random.default_rng([seed, 11])
    rows = [(ANSWER, *texts) for texts in zip(*fact_triplets(world, n, seed))]
    copies = np.array(draw_facts(2 * n, world.prototypes, 0.25, rng))
    for name in slots:
        slot = NAMES.index(name)
        for fact in copies[rng.integers(len(copies), size=n)]:
            same = pick(copies[copies[:, slot] == fact[slot]], rng)
            wrong = change(tuple(fact.tolist()), [slot], rng)
            rows.append((INSTRUCTIONS[name], report(tuple(fact.tolist()), rng, IN_QUESTIONS),
                         report(tuple(same.tolist()), rng), report(wrong, rng)))
    given, *triplets = (list(column) for column in zip(*(rows[i] for i in
                                                         rng.permutation(len(rows)))))
    return given, Triplets(*triplets)


def paraphrases(n: int = 4000, seed: int = 0) -> tuple[list[str], list[str]]:
    """n reports in the words of queries, and the same facts in the words of documents.

    All facts are equally likely: the slots are independent, as in worlds/instructions.py.
    """
    rng = np.random.default_rng([seed, 7])
    facts = [tuple(fact) for fact in rng.integers(VALUES, size=(n, len(NAMES))).tolist()]
    first, second = ([report(fact, rng, words) for fact in facts]
                     for words in (IN_QUESTIONS, IN_REPORTS))
    return first, second


def columns(rows: list[tuple[str, ...]], count: int, taken: Collection[str]) -> list[list[str]]:
    """The columns, `count` of them, of the rows whose first text, the query, is not taken."""
    left_out = set(taken)
    kept = [row for row in rows if row[0] not in left_out]
    return [list(column) for column in zip(*kept)] or [[] for _ in range(count)]


def taxonomy_pairs(n: int = 2000, seed: int = 0, levels: Sequence[int] = (0, 1, 2, 3),
                   taken: Collection[str] = ()) -> GradedPairs:
    """Up to n pairs of different texts of the taxonomy, drawn for each of `levels` in turn.

    levels: how many levels the kinds of a pair share: 3, all; 2, realm and family; 1, only the
    realm; 0, none.
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
