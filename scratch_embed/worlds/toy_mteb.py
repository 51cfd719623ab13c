"""A small MTEB whose truth is known: every task type, made from the toy worlds.

Shapes    13 tasks of 10 types, about 16,000 short texts, and a text to learn their words from
Cost      1 s to make; a mean of word vectors encodes all of it in about as long
Read next worlds/task_shapes.py (what a task is), worlds/facts.py and its neighbours (the worlds)

Words mean the same in all tasks, for all but two are about the same reports: a sailor is a seaman
in STS, in retrieval and in its translation.  Two sides of a task (queries and documents, training
and test, text and summary) have two of a value's four synonyms in common, so that comparing words
does not solve it.  `best` is below 1 for the reviews alone: some of their labels are wrong.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.bindings import bindings
from scratch_embed.worlds.bounds import (
    chance_average_precision,
    chance_ndcg,
    chance_v_measure,
)
from scratch_embed.worlds.codes import with_codes
from scratch_embed.worlds.facts import (
    IN_QUESTIONS,
    IN_REPORTS,
    NAMES,
    VALUES,
    WORDS,
    Fact,
    Facts,
    draw_facts,
    facts,
    gain_table,
    report,
)
from scratch_embed.worlds.instructions import instructions
from scratch_embed.worlds.labelled import reviews
from scratch_embed.worlds.second_language import Bitext, bitext
from scratch_embed.worlds.task_shapes import (
    STS,
    BitextMining,
    Classification,
    Clustering,
    InstructionRetrieval,
    Labelled,
    MultilabelClassification,
    PairClassification,
    Reranking,
    Retrieval,
    Summarization,
    Task,
)
from scratch_embed.worlds.taxonomy import Taxonomy, taxonomy

WHO, PLACE = NAMES.index("who"), NAMES.index("place")
STORY = ["the MOOD WHO ACT the THING near the PLACE"]


class ToyMteb(NamedTuple):
    """The tasks, and sentences in which all their words are found, as lists of words."""

    tasks: list[Task]
    text: list[list[str]]


def toy_mteb(seed: int = 0) -> ToyMteb:
    """All tasks, from one seed.  Those of a world are facts(seed), bindings(seed) and so on."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))          # not the stream of the worlds
    world, tree = facts(seed), taxonomy(seed)
    prototypes = world.prototypes
    other = bitext(seed, prototypes=prototypes)
    tasks = [
        retrieval(world), code_retrieval(world, seed), binding_retrieval(seed),
        instruction_retrieval(seed), reranking(world, rng),
        sts(draw_facts(600, prototypes, 0.25, rng), rng),
        pair_classification(draw_facts(600, prototypes, 0.25, rng), rng),
        place_classification(draw_facts(900, prototypes, 0.25, rng), rng),
        review_classification(seed), people_classification(rng), clustering(tree),
        bitext_mining(other), summarization(rng)]
    return ToyMteb(tasks, training_text(world, other, tree, seed))


def training_text(world: Facts, other: Bitext, tree: Taxonomy, seed: int) -> list[list[str]]:
    """Sentences of every world: reports, sentences beside their translations, kinds, reviews.

    The corpora of ToyFacts and ToyTaxonomy are in it, as texts; no task's label, gain or code is.
    """
    more = [f"{english} {foreign}" for english, foreign in other.pairs]
    more += tree.texts + [line.split(" ", 1)[1] for line in reviews(seed, 1500).lines]
    return world.text + [line.split() for line in more]


# ---- searching ----------------------------------------------------------------------------------

def retrieval(world: Facts) -> Retrieval:
    """Questions in other words."""
    return Retrieval("ToyFacts", world.corpus, world.queries, world.qrels, 1.0,
                     chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def code_retrieval(world: Facts, seed: int) -> Retrieval:
    """Half of the queries in other words, half by a rare code."""
    coded = with_codes(world, seed)
    return Retrieval("ToyCodes", coded.corpus, coded.queries, coded.qrels, 1.0,
                     chance_ndcg(gain_table(coded.qrels, list(coded.corpus))))


def binding_retrieval(seed: int) -> Retrieval:
    """Documents of the same words that say who did what to what (worlds/bindings.py)."""
    world = bindings(seed)
    return Retrieval("ToyBindings", world.corpus, world.queries, world.qrels, 1.0,
                     chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def instruction_retrieval(seed: int) -> InstructionRetrieval:
    """One text, five instructions: `upper_bound_without_instruction` of worlds/instructions."""
    world = instructions(seed)
    return InstructionRetrieval("ToyInstructions", world.corpus, world.queries, world.instructions,
                                world.qrels, 1.0,
                                chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def reranking(world: Facts, rng: np.random.Generator, queries: int = 100, right: int = 4,
              wrong: int = 16) -> Reranking:
    """Candidates that match in all three slots, among as near ones as there are: two slots."""
    chosen, relevant, top = {}, {}, {}
    for query, gains in world.qrels.items():
        full, half = ([d for d, g in gains.items() if g == want] for want in (2, 1))
        if len(full) >= right and len(half) >= wrong and len(chosen) < queries:
            full = rng.permutation(full)[:right].tolist()
            chosen[query] = world.queries[query]
            relevant[query] = dict.fromkeys(full, 1)
            top[query] = rng.permutation(full + rng.permutation(half)[:wrong].tolist()).tolist()
    corpus = {d: world.corpus[d] for d in sorted({d for some in top.values() for d in some})}
    return Reranking("ToyReranking", corpus, chosen, relevant, top, 1.0,
                     chance_average_precision(right, right + wrong))


# ---- pairs of sentences -------------------------------------------------------------------------

def change(fact: Fact, slots: Sequence[int], rng: np.random.Generator) -> Fact:
    """The fact with another value in each of these slots, any of the seven others."""
    return tuple((value + int(rng.integers(1, VALUES))) % VALUES if slot in slots else value
                 for slot, value in enumerate(fact))


def sts(of: list[Fact], rng: np.random.Generator) -> STS:
    """The score is the number of slots in which two reports agree, 0 to 5, each as often.

    Ties in the truth are ties of who knows it: the best ρ is 1.
    """
    rows = []
    for i, fact in enumerate(of):
        changed = rng.permutation(len(NAMES))[:i % (len(NAMES) + 1)]
        rows.append((report(fact, rng), report(change(fact, changed, rng), rng, IN_QUESTIONS),
                     float(len(NAMES) - len(changed))))
    return STS("ToySTS", *map(list, zip(*rows)), 1.0, 0.0)


def pair_classification(of: list[Fact], rng: np.random.Generator) -> PairClassification:
    """The same fact in other words, or one slot of it changed: each half of the pairs.

    Guessing is for one order of the pairs; MTEB's max_ap takes the best of several.
    """
    rows = []
    for i, fact in enumerate(of):
        same = i % 2
        other = fact if same else change(fact, [int(rng.integers(len(NAMES)))], rng)
        rows.append((report(fact, rng), report(other, rng, IN_QUESTIONS), same))
    positive = sum(same for *_, same in rows)
    return PairClassification("ToyParaphrases", *map(list, zip(*rows)), 1.0,
                              chance_average_precision(positive, len(rows)))


def bitext_mining(other: Bitext) -> BitextMining:
    """Sentences and their translations.  Guessing: the accuracy of random matches, 1/N; F1 less."""
    return BitextMining("ToyBitext", other.english, other.foreign, 1.0, 1 / len(other.english))


# ---- labels -------------------------------------------------------------------------------------

def most_frequent(labels: list) -> float:
    """The share of the label that is most frequent."""
    labels = [str(label) for label in labels]
    return max(map(labels.count, set(labels))) / len(labels)


def place_classification(of: list[Fact], rng: np.random.Generator) -> Classification:
    """Where did it happen?  8 labels; a third of the texts to learn from."""
    third = len(of) // 3
    parts = [Labelled([report(fact, rng, synonyms) for fact in some],
                      [WORDS[PLACE][fact[PLACE]][0] for fact in some])
             for some, synonyms in ((of[:third], IN_REPORTS), (of[third:], IN_QUESTIONS))]
    return Classification("ToyPlaces", *parts, 1.0, most_frequent(parts[1].label))


def review_classification(seed: int) -> Classification:
    """The reviews of worlds/labelled.py, 5% of the labels wrong: the best is the share of right.

    A mean of word vectors does not see their order, so it can reach at most
    `upper_bound(sees_order=False)` of worlds/labelled.py.
    """
    sample = reviews(seed, 1900)
    labels = [line.split(" ", 1)[0].removeprefix("__label__") for line in sample.lines]
    texts = [line.split(" ", 1)[1] for line in sample.lines]
    parts = [Labelled(texts[of], labels[of]) for of in (slice(1500), slice(1500, None))]
    right = [label == told for label, told in zip(parts[1].label, sample.true_labels[1500:])]
    return Classification("ToyReviews", *parts, sum(right) / len(right),
                          most_frequent(parts[1].label))


def people_classification(rng: np.random.Generator, train: int = 400, test: int = 400
                          ) -> MultilabelClassification:
    """Who is in the story?  One to three kinds of people, in as many sentences."""
    parts = []
    for n, synonyms in ((train, IN_REPORTS), (test, IN_QUESTIONS)):
        stories = [_story(int(rng.integers(1, 4)), rng) for _ in range(n)]
        parts.append(Labelled(
            [_tell(story, rng, synonyms) for story in stories],
            [sorted(WORDS[WHO][fact[WHO]][0] for fact in story) for story in stories]))
    return MultilabelClassification("ToyPeople", *parts, 1.0, most_frequent(parts[1].label))


def clustering(tree: Taxonomy) -> Clustering:
    """Realms, and the families in them.  Guessing: about, and the mean over both levels."""
    labels = [list(path[:2]) for path in tree.labels]
    chance = [chance_v_measure(list(level)) for level in zip(*labels)]
    return Clustering("ToyTaxonomy", tree.texts, labels, 1.0, sum(chance) / len(chance))


# ---- summaries ----------------------------------------------------------------------------------

def summarization(rng: np.random.Generator, texts: int = 60, sentences: int = 4
                  ) -> Summarization:
    """Stories of 4 facts; a machine's summary tells 0 to 4 of them right, and is rated by that.

    In the others each slot is changed.
    """
    rows = []
    for _ in range(texts):
        story = _story(sentences, rng)
        ratings = rng.permutation(sentences + 1).tolist()
        machine = []
        for right in ratings:
            kept = rng.permutation(sentences)[:right]
            told = [fact if i in kept else change(fact, range(len(NAMES)), rng)
                    for i, fact in enumerate(story)]
            machine.append(_tell(told, rng, IN_REPORTS))
        rows.append((_tell(story, rng, IN_REPORTS), [_tell(story, rng, IN_QUESTIONS)
                                                     for _ in range(2)], machine, ratings))
    return Summarization("ToySummaries", *map(list, zip(*rows)), 1.0, 0.0)


def _story(sentences, rng):
    """Facts that differ in every slot."""
    return [tuple(fact) for fact in
            np.stack([rng.permutation(VALUES)[:sentences] for _ in NAMES], axis=1).tolist()]


def _tell(story, rng, synonyms):
    return " . ".join(report(fact, rng, synonyms, STORY) for fact in story)
