"""Input types: one encoder for several purposes, each with its own prompt, as in Cohere's embed-v3.

Paper     Su et al. 2023, "One Embedder, Any Task: Instruction-Finetuned Text Embeddings"; the four
          names are those of Cohere's `input_type` (its weights and training are not published).
Shapes    texts -> vectors (N, D) for each type; scores in %
Cost      a training takes about eight seconds on one core
Read next sentences/recipe.py (prompts), sentences/e5.py (query and passage), worlds/facts.py

What should be near depends on the purpose.  For a search, a report is near a query that names three
of its slots.  To classify reports by their mood, all reports of one mood should be near each other;
to cluster them by the thing that they mention, all reports of one thing.  One vector cannot serve
all three, so a prompt before the text, such as "classification: ", tells the encoder the purpose.
The training pairs of each purpose have its prompt; the loss, InfoNCE, is the same for all.

The baseline is the same training without prompts: then a text has one vector for all purposes.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.baselines import BagOfWords
from scratch_embed.evaluate.cluster import v_measure_of_set
from scratch_embed.evaluate.probe import knn_probe
from scratch_embed.evaluate.ranking import ndcg, rank_table
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Config
from scratch_embed.why.contexts import untrained, whole_words
from scratch_embed.why.searches import K
from scratch_embed.worlds.facts import NAMES, VALUES, Facts, facts, gain_table, report
from scratch_embed.worlds.training_pairs import fact_triplets

QUERY, DOCUMENT, CLASSIFICATION, CLUSTERING = TYPES = (
    "search_query", "search_document", "classification", "clustering")
CLASS, CLUSTER = NAMES.index("mood"), NAMES.index("thing")     # the slots of two purposes
SIZES = dict(dim=32, layers=2, heads=2, ff=64, positions=40, types=1)
TRAINING = dict(steps=400, batch_size=96, dropout=0.0)
LR, TAU, PAIRS = 5e-3, 0.05, 3000                              # pairs of each purpose

MEASURES = "nDCG@10", f"class: {NAMES[CLASS]}", f"clusters: {NAMES[CLUSTER]}"


class Data(NamedTuple):
    """A world to search, reports with labels, and the training pairs of three purposes."""

    world: Facts
    reports: list[str]
    labels: np.ndarray             # (N, 5), the value of each slot
    pairs: list[tuple[str, str, list[str], list[str]]]         # (type, type, texts, texts)


def draw(seed: int, documents: int = 600, pairs: int = PAIRS) -> Data:
    """Draw the data.  `documents` reports are searched, as many others are labelled."""
    rng = np.random.default_rng([seed, 9])
    world = facts(seed, documents, documents * 3 // 20, sentences=1, pairs=0)
    queries, relevant, _ = fact_triplets(world, pairs, seed)
    labels = rng.integers(VALUES, size=(documents, len(NAMES)))
    return Data(world, [report(tuple(fact), rng) for fact in labels.tolist()], labels, [
        (QUERY, DOCUMENT, queries, relevant),
        (CLASSIFICATION, CLASSIFICATION, *alike(CLASS, pairs, rng)),
        (CLUSTERING, CLUSTERING, *alike(CLUSTER, pairs, rng))])


def alike(slot: int, n: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """n pairs of reports that agree in this slot and in no other."""
    first = rng.integers(VALUES, size=(n, len(NAMES)))
    second = (first + rng.integers(1, VALUES, size=first.shape)) % VALUES
    second[:, slot] = first[:, slot]
    return tuple([report(tuple(fact), rng) for fact in side.tolist()] for side in (first, second))


def prompt(name: str) -> str:
    """The text that an input type puts before every text."""
    return f"{name}: "


def train(data: Data, seed: int, prompts: bool = True, **changes) -> SentenceEncoder:
    """Train one encoder on the pairs of all purposes.  changes: to the settings TRAINING"""
    before = {name: prompt(name) if prompts else "" for name in TYPES}
    views = [before[one] + text for one, _, texts, _ in data.pairs for text in texts], [
        before[other] + text for _, other, _, texts in data.pairs for text in texts]
    world = [*data.world.queries.values(), *data.world.corpus.values(), *data.reports]
    parts = "search _ query document classification clustering :"          # of the prompts
    tokenizer = whole_words(text.split() for text in [*world, *views[0], *views[1], parts])
    model = untrained(Config(len(tokenizer), **SIZES), seed).without_heads()
    start = SentenceEncoder(tokenizer, model, Recipe(max_seq_length=SIZES["positions"],
                                                     prompts=before))
    return sbert.train([sbert.tokenize(start, view) for view in views], start, ranking(TAU),
                       optim=Optim(LR, weight_decay=0.0), **TRAINING | changes,
                       options=RunOptions(seed=seed)).encoder


def score(data: Data, encode_queries: Callable, encode: Callable) -> np.ndarray:
    """MEASURES in %: nDCG@10 of the search; accuracy of the nearest report's class; V-measure.

    encode_queries, encode: texts -> (N, D).  The first half of the reports is searched for the
    nearest one of the others; clusters are found among all reports.
    """
    Q, X = encode_queries([*data.world.queries.values()]), encode([*data.world.corpus.values()])
    documents = list(data.world.corpus)
    found = rank_table(cosine_matrix(Q, X), gain_table(data.world.qrels, documents), documents)
    R, half = encode(data.reports), len(data.reports) // 2
    classes = data.labels[:, CLASS]
    right = knn_probe(R[:half], classes[:half], R[half:], k=1) == classes[half:]
    return 100 * np.array([ndcg(found, K).mean(), right.mean(),
                           v_measure_of_set(R, data.labels[:, CLUSTER])])


def compare(seed: int, documents: int = 600, pairs: int = PAIRS, **changes
            ) -> dict[str, np.ndarray]:
    """{input type, or baseline: MEASURES}.  changes: to the settings TRAINING"""
    data = draw(seed, documents, pairs)
    encoder = train(data, seed, **changes)

    def of(name):
        return lambda texts: encoder.encode(texts, prompt_name=name)
    plain = train(data, seed, prompts=False, **changes)
    words = BagOfWords([*data.pairs[0][2], *data.pairs[0][3]])
    return {"search_query, search_document": score(data, of(QUERY), of(DOCUMENT)),
            CLASSIFICATION: score(data, of(CLASSIFICATION), of(CLASSIFICATION)),
            CLUSTERING: score(data, of(CLUSTERING), of(CLUSTERING)),
            "no type in training": score(data, plain.encode, plain.encode),
            "bag of words": score(data, words.encode, words.encode)}
