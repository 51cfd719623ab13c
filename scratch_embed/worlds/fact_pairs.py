"""Labelled pairs of facts for ablations: with scores, with repeated texts, without some words.

Shapes    N pairs of a query and a report; numbers of a pair (N,)
Read next worlds/training_pairs.py (the usual pairs), worlds/facts.py (the world), why/sbert.py
          (what is trained on these pairs)

Known truth: which values a text names (values_named of worlds/facts.py), and so for any two texts
whether one answers the other, also for pairs that nobody has labelled.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.facts import (
    WORDS,
    Facts,
    draw_facts,
    name_three,
    question,
    report,
)
from scratch_embed.worlds.toy_mteb import change


class ScoredPairs(NamedTuple):
    """N queries, a report for each, and how many of the query's three slots it matches."""

    queries: list[str]
    reports: list[str]
    matches: np.ndarray            # (N,) int: 0, 1, 2 or 3


def scored_pairs(world: Facts, n: int = 4000, seed: int = 0) -> ScoredPairs:
    """Pairs about n new facts of the world's prototypes; 0 to 3 matches are equally frequent, ±1.

    Pairs whose query is one of the world's queries are left out.
    """
    rng, taken, rows = np.random.default_rng([seed, 8]), set(world.queries.values()), []
    for i, fact in enumerate(draw_facts(n, world.prototypes, 0.25, rng)):
        slots = name_three(fact, rng)
        wrong = rng.permutation(list(slots))[:i % 4].tolist()
        row = question(slots, rng), report(change(fact, wrong, rng), rng), 3 - len(wrong)
        rows += [row] * (row[0] not in taken)
    queries, reports, matches = zip(*rows)
    return ScoredPairs(list(queries), list(reports), np.array(matches))


def repeated_answers(world: Facts, answers: int = 100, n: int = 4000, seed: int = 0
                     ) -> tuple[list[str], list[str]]:
    """n queries whose relevant report is one of `answers` texts, as in a FAQ.

    Pairs whose query is one of the world's queries are left out.
    """
    rng, taken = np.random.default_rng([seed, 9]), set(world.queries.values())
    facts = draw_facts(answers, world.prototypes, 0.25, rng)
    reports = [report(fact, rng) for fact in facts]
    rows = [(question(name_three(facts[i], rng), rng), reports[i])
            for i in rng.integers(answers, size=n).tolist()]
    queries, positives = zip(*(row for row in rows if row[0] not in taken))
    return list(queries), list(positives)


# ---- words that no training pair has -------------------------------------------------------------

def held_out_synonyms(seed: int = 0) -> dict[str, str]:
    """{word: another word for the same value}: one word of each value, drawn at random."""
    rng = np.random.default_rng([seed, 10])
    drawn = {}
    for words in (words for slot in WORDS for words in slot):       # the synonyms of a value
        at = int(rng.integers(len(words)))
        drawn[words[at]] = words[(at + 1) % len(words)]
    return drawn


def replace_words(texts: Sequence[str], replacement: dict[str, str]) -> list[str]:
    """The texts with each word that is a key of `replacement` replaced by its value."""
    return [" ".join(replacement.get(word, word) for word in text.split()) for text in texts]
