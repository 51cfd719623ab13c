"""A small MTEB with known truth: tasks of all its text task types, made from the toy worlds.

Shapes    13 tasks of 10 types, about 16,000 short texts, and a text to train word vectors on
Cost      drawing the tasks takes 1 s; a mean of word vectors encodes all texts in about 1 s
Read next worlds/task_shapes.py (what a task is), worlds/facts.py (the reports), the other worlds

All tasks but two (ToyReviews, ToyTaxonomy) use the vocabulary of the reports, so a word means the
same in all of them: a sailor is a seaman in STS and in retrieval.  The two sides of such a task
(queries and documents, training and test, first and second sentence) share at most two of the four
synonyms of a value, so exact word matching does not solve it.

What could explain a score?  Each task has its chance level and its upper bound, and the docstring
of its function names a stronger baseline where there is one; `evaluate mteb --baselines` prints
random vectors and a bag of words beside the model.  Only ToyReviews has an upper bound below 1,
because some of its labels are wrong.
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
    """The tasks, and sentences (lists of words) with all words of the tasks except codes."""

    tasks: list[Task]
    text: list[list[str]]


def toy_mteb(seed: int = 0) -> ToyMteb:
    """All tasks of a seed; their worlds are facts(seed), bindings(seed) and so on."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))          # another stream than the worlds'
    world, tree = facts(seed), taxonomy(seed)
    prototypes = world.prototypes
    translations = bitext(seed, prototypes=prototypes)
    tasks = [
        retrieval(world), code_retrieval(world, seed), binding_retrieval(seed),
        instruction_retrieval(seed), reranking(world, rng),
        sts(draw_facts(600, prototypes, 0.25, rng), rng),
        pair_classification(draw_facts(600, prototypes, 0.25, rng), rng),
        place_classification(draw_facts(900, prototypes, 0.25, rng), rng),
        review_classification(seed), people_classification(rng), clustering(tree),
        bitext_mining(translations), summarization(rng)]
    return ToyMteb(tasks, training_text(world, translations, tree, seed))


def training_text(world: Facts, translations: Bitext, tree: Taxonomy, seed: int
                  ) -> list[list[str]]:
    """Sentences of every world: reports, translated pairs, texts of the taxonomy, reviews.

    It contains the reports of ToyFacts, the texts of ToyTaxonomy and the training texts of
    ToyReviews, but no labels, gains or codes of the tasks.
    """
    texts = [f"{english} {foreign}" for english, foreign in translations.pairs]
    texts += tree.texts + [line.split(" ", 1)[1] for line in reviews(seed, 1500).lines]
    return world.text + [line.split() for line in texts]


# ---- searching ----------------------------------------------------------------------------------

def retrieval(world: Facts) -> Retrieval:
    """Queries in other words (worlds/facts.py); a stronger baseline is BM25."""
    return Retrieval("ToyFacts", world.corpus, world.queries, world.qrels, 1.0,
                     chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def code_retrieval(world: Facts, seed: int) -> Retrieval:
    """Half of the queries in other words, half by a rare code (worlds/codes.py)."""
    coded = with_codes(world, seed)
    return Retrieval("ToyCodes", coded.corpus, coded.queries, coded.qrels, 1.0,
                     chance_ndcg(gain_table(coded.qrels, list(coded.corpus))))


def binding_retrieval(seed: int) -> Retrieval:
    """Documents with the same words; see bag_of_words_upper_bound of worlds/bindings.py."""
    world = bindings(seed)
    return Retrieval("ToyBindings", world.corpus, world.queries, world.qrels, 1.0,
                     chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def instruction_retrieval(seed: int) -> InstructionRetrieval:
    """Five instructions per text; see worlds/instructions.py, upper_bound_without_instruction."""
    world = instructions(seed)
    return InstructionRetrieval("ToyInstructions", world.corpus, world.queries, world.instructions,
                                world.qrels, 1.0,
                                chance_ndcg(gain_table(world.qrels, list(world.corpus))))


def reranking(world: Facts, rng: np.random.Generator, queries: int = 100, right: int = 4,
              wrong: int = 16) -> Reranking:
    """Candidates that match in all three slots, among hard negatives that match in two."""
    chosen, relevant, top = {}, {}, {}
    for query, gains in world.qrels.items():
        full, partial = ([d for d, g in gains.items() if g == gain] for gain in (2, 1))
        if len(full) >= right and len(partial) >= wrong and len(chosen) < queries:
            full = rng.permutation(full)[:right].tolist()
            chosen[query] = world.queries[query]
            relevant[query] = dict.fromkeys(full, 1)
            top[query] = rng.permutation(full + rng.permutation(partial)[:wrong].tolist()).tolist()
    corpus = {d: world.corpus[d] for d in sorted({d for some in top.values() for d in some})}
    return Reranking("ToyReranking", corpus, chosen, relevant, top, 1.0,
                     chance_average_precision(right, right + wrong))


# ---- pairs of sentences -------------------------------------------------------------------------

def change(fact: Fact, slots: Sequence[int], rng: np.random.Generator) -> Fact:
    """The fact with one of the seven other values in each of these slots."""
    return tuple((value + int(rng.integers(1, VALUES))) % VALUES if slot in slots else value
                 for slot, value in enumerate(fact))


def sts(drawn: list[Fact], rng: np.random.Generator) -> STS:
    """Pairs of reports; the score is the number of slots that agree, 0 to 5 equally often, ±1.

    Spearman's ρ of the scores with themselves is 1 in spite of ties, so the upper bound is 1.
    """
    rows = []
    for i, fact in enumerate(drawn):
        changed = rng.permutation(len(NAMES))[:i % (len(NAMES) + 1)]
        rows.append((report(fact, rng), report(change(fact, changed, rng), rng, IN_QUESTIONS),
                     float(len(NAMES) - len(changed))))
    return STS("ToySTS", *map(list, zip(*rows)), 1.0, 0.0)


def pair_classification(drawn: list[Fact], rng: np.random.Generator) -> PairClassification:
    """Half of the pairs state the same fact in other words; in the others one slot is changed.

    Chance is approximate: it is for one random order; max_ap is a maximum over several measures.
    """
    rows = []
    for i, fact in enumerate(drawn):
        same = i % 2
        other = fact if same else change(fact, [int(rng.integers(len(NAMES)))], rng)
        rows.append((report(fact, rng), report(other, rng, IN_QUESTIONS), same))
    positive = sum(same for *_, same in rows)
    return PairClassification("ToyParaphrases", *map(list, zip(*rows)), 1.0,
                              chance_average_precision(positive, len(rows)))


def bitext_mining(translations: Bitext) -> BitextMining:
    """Sentences and translations.  Chance is approximate: random accuracy is 1/N, F1 is lower."""
    return BitextMining("ToyBitext", translations.english, translations.foreign, 1.0,
                        1 / len(translations.english))


# ---- labels -------------------------------------------------------------------------------------

def most_frequent(labels: list) -> float:
    """The accuracy of predicting the most frequent label for all texts."""
    labels = [str(label) for label in labels]
    return max(map(labels.count, set(labels))) / len(labels)


def place_classification(drawn: list[Fact], rng: np.random.Generator) -> Classification:
    """Predict the place of a report.  8 labels; a third of the texts are for training."""
    third = len(drawn) // 3
    parts = [Labelled([report(fact, rng, synonyms) for fact in part],
                      [WORDS[PLACE][fact[PLACE]][0] for fact in part])
             for part, synonyms in ((drawn[:third], IN_REPORTS), (drawn[third:], IN_QUESTIONS))]
    return Classification("ToyPlaces", *parts, 1.0, most_frequent(parts[1].label))


def review_classification(seed: int) -> Classification:
    """The reviews of worlds/labelled.py; 5% of the labels are wrong, so the upper bound is below 1.

    A mean of word vectors ignores word order, so its expected accuracy is at most
    `upper_bound(sees_order=False)` of worlds/labelled.py.
    """
    sample = reviews(seed, 1900)
    labels = [line.split(" ", 1)[0].removeprefix("__label__") for line in sample.lines]
    texts = [line.split(" ", 1)[1] for line in sample.lines]
    parts = [Labelled(texts[part], labels[part]) for part in (slice(1500), slice(1500, None))]
    right = [label == true for label, true in zip(parts[1].label, sample.true_labels[1500:])]
    return Classification("ToyReviews", *parts, sum(right) / len(right),
                          most_frequent(parts[1].label))


def people_classification(rng: np.random.Generator, train: int = 400, test: int = 400
                          ) -> MultilabelClassification:
    """Predict the people of a story: one to three sentences, each about another person."""
    parts = []
    for n, synonyms in ((train, IN_REPORTS), (test, IN_QUESTIONS)):
        stories = [_story(int(rng.integers(1, 4)), rng) for _ in range(n)]
        parts.append(Labelled(
            [_tell(story, rng, synonyms) for story in stories],
            [sorted(WORDS[WHO][fact[WHO]][0] for fact in story) for story in stories]))
    return MultilabelClassification("ToyPeople", *parts, 1.0, most_frequent(parts[1].label))


def clustering(tree: Taxonomy) -> Clustering:
    """Realms and families of the taxonomy.  Chance is approximate, a mean over both levels."""
    labels = [list(path[:2]) for path in tree.labels]
    chance = [chance_v_measure(list(level)) for level in zip(*labels)]
    return Clustering("ToyTaxonomy", tree.texts, labels, 1.0, sum(chance) / len(chance))


# ---- summaries ----------------------------------------------------------------------------------

def summarization(rng: np.random.Generator, texts: int = 60, sentences: int = 4
                  ) -> Summarization:
    """Stories of 4 facts; the rating of a machine summary, 0 to 4, is how many it states correctly.

    The summary states the other facts with every slot changed.
    """
    rows = []
    for _ in range(texts):
        story = _story(sentences, rng)
        ratings = rng.permutation(sentences + 1).tolist()
        machine = []
        for right in ratings:
            kept = rng.permutation(sentences)[:right]
            stated = [fact if i in kept else change(fact, range(len(NAMES)), rng)
                    for i, fact in enumerate(story)]
            machine.append(_tell(stated, rng, IN_REPORTS))
        rows.append((_tell(story, rng, IN_REPORTS), [_tell(story, rng, IN_QUESTIONS)
                                                     for _ in range(2)], machine, ratings))
    return Summarization("ToySummaries", *map(list, zip(*rows)), 1.0, 0.0)


def _story(sentences, rng):
    """Draw facts that differ from each other in every slot."""
    return [tuple(fact) for fact in
            np.stack([rng.permutation(VALUES)[:sentences] for _ in NAMES], axis=1).tolist()]


def _tell(story, rng, synonyms):
    """The text of a story: one report for each of its facts."""
    return " . ".join(report(fact, rng, synonyms, STORY) for fact in story)
