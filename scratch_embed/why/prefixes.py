"""Short vectors: Matryoshka's prefixes, plain truncation, PCA, and a model trained at that size.

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 4.1.
Equation  nDCG@10 of cos(x_query[:m], x_document[:m]), for m = 64, 32, 16, 8, 4
Shapes    x (N, 64) -> scores in %: nDCG@10 and, on the taxonomy, three accuracies
Cost      a training takes a few seconds on one core
Read next losses/matryoshka.py (the loss), why/matryoshka.py (ablations), why/compression.py (how
          vectors are stored and searched)

Two worlds.  The taxonomy (worlds/taxonomy.py) is a tree: the realm of a text is a coarse
distinction that needs few numbers, its kind a fine one.  The collection has 2 texts per kind, so 8
per family and 32 per realm, and the gain of a document is the number of levels that it shares with
the query.  So the ten best documents are the 2 of the kind, the 6 others of the family and 2 more
of the realm, and nDCG@10 depends on all levels.  The facts (worlds/facts.py) are flat: a document
has five slots, none of them coarser than another.

Four ways to m numbers.  Truncation and PCA shorten the vectors of one model, whose loss is on whole
vectors; PCA is fitted to the vectors of the training texts.  Matryoshka is one model too.  "Trained
at that size" is another model for each m: the same network, with the loss on its first m numbers
alone.  It shows what is possible if m is known before the training.
"""
from collections import Counter
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

from scratch_embed.evaluate.baselines import BagOfWords
from scratch_embed.evaluate.ranking import ndcg, rank_ids
from scratch_embed.losses.cosent import cosent
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import Objective, matryoshka, objective, ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.geometry import pca
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Config
from scratch_embed.why.compression import (
    Stored,
    bits,
    floats,
    int8,
    prefix_then_all,
    project_pca,
    rescored_bits,
    three_stages,
    truncate_normalised,
)
from scratch_embed.why.contexts import untrained, whole_words
from scratch_embed.why.searches import K
from scratch_embed.worlds.facts import facts, gain_table
from scratch_embed.worlds.taxonomy import PATHS, levels_shared, taxonomy
from scratch_embed.worlds.training_pairs import fact_triplets, taxonomy_pairs

SIZES = dict(dim=64, layers=1, heads=2, ff=64, positions=48, types=1)
DIMS = (64, 32, 16, 8, 4)          # numbers of a vector: all, and prefixes
TRAINING = dict(dims=DIMS, weights=None, steps=300, batch_size=32, lr=5e-3, dropout=0.1)
PAIRS = 2000                       # to train on
QUERIES_PER_KIND = 4

MEASURES = "nDCG@10", "realm right", "family right", "kind right"

Path = tuple[str, str, str]        # realm, family, kind


class Encodes(Protocol):
    """A sentence encoder, or a baseline with its method."""

    def encode(self, texts: list[str]) -> np.ndarray:
        """N texts -> (N, D)."""


class Task(NamedTuple):
    """A collection with queries, and labelled pairs of other texts to train on."""

    queries: list[str]                           # Q of them
    documents: list[str]                         # N of them
    gains: np.ndarray                            # (Q, N)
    paths: tuple[list[Path], list[Path]] | None  # of queries and documents, on the taxonomy
    pairs: tuple[list[str], list[str]]           # two views
    targets: np.ndarray | None                   # of the objective
    objective: Objective                         # the loss of whole vectors
    start: SentenceEncoder                       # with initial weights
    seed: int


# ---- the worlds ---------------------------------------------------------------------------------

def tree(seed: int, per_kind: int = 2, pairs: int = PAIRS) -> Task:
    """The taxonomy; pairs scored by the levels that they share, and CoSENT.

    per_kind: documents of each of the 64 kinds
    """
    world, seen = taxonomy(seed, (per_kind + QUERIES_PER_KIND) * len(PATHS)), Counter()
    parts = [], []                                         # (text, path) of queries, of documents
    for text, path in zip(world.texts, world.labels):
        parts[seen[path] < per_kind].append((text, path))
        seen[path] += 1
    (queries, query_paths), (documents, paths) = (map(list, zip(*part)) for part in parts)
    shared = {(a, b): levels_shared(a, b) for a in PATHS for b in PATHS}
    gains = np.array([[shared[a, b] for b in paths] for a in query_paths], float)
    first, second, levels = taxonomy_pairs(pairs, seed, taken=world.texts)
    return Task(queries, documents, gains, (query_paths, paths), (first, second), levels,
                objective(cosent), start([*world.texts, *first, *second], seed), seed)


def flat(seed: int, documents: int = 2000, pairs: int = PAIRS) -> Task:
    """The facts; pairs of a query and a relevant report, and InfoNCE."""
    world = facts(seed, documents, documents * 3 // 20, sentences=1, pairs=0)
    queries, texts = [*world.queries.values()], [*world.corpus.values()]
    first, second, _ = fact_triplets(world, pairs, seed)
    return Task(queries, texts, gain_table(world.qrels, list(world.corpus)), None, (first, second),
                None, ranking(tau=0.05), start([*queries, *texts, *first, *second], seed), seed)


def start(texts: list[str], seed: int) -> SentenceEncoder:
    """An encoder with initial weights, whose tokens are the words of these texts."""
    tokenizer = whole_words(text.split() for text in texts)
    model = untrained(Config(len(tokenizer), **SIZES), seed).without_heads()
    return SentenceEncoder(tokenizer, model, Recipe(max_seq_length=SIZES["positions"]))


# ---- training and scores ------------------------------------------------------------------------

def train(task: Task, **changes) -> SentenceEncoder:
    """Train on the task's pairs with the loss on prefixes.  changes: to the settings TRAINING."""
    settings = TRAINING | changes
    dims, weights, lr = (settings.pop(name) for name in ("dims", "weights", "lr"))
    return sbert.train([sbert.tokenize(task.start, view) for view in task.pairs], task.start,
                       matryoshka(task.objective, dims, weights), task.targets,
                       optim=Optim(lr, weight_decay=0.0), **settings,
                       options=RunOptions(seed=task.seed)).encoder


def unit_vectors(task: Task, encoder: Encodes) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of queries and documents, scaled to norm 1."""
    return tuple(l2_normalize(encoder.encode(texts))[0] for texts in (task.queries, task.documents))


def score(task: Task, stored: Stored, Q: np.ndarray) -> np.ndarray:
    """The MEASURES: nDCG@10; on the taxonomy also whether the best document has the right path.

    stored: the documents, Q: the queries' vectors -> (1,) or (4,), in %
    """
    ids = stored.search(Q, K)
    found = rank_ids(ids, task.gains)
    right = [(found.gains[:, 0] >= level).mean() for level in (1, 2, 3)] if task.paths else []
    return 100 * np.array([ndcg(found, K).mean(), *right])


# ---- four ways to m numbers ---------------------------------------------------------------------

MATRYOSHKA, TRUNCATED, PROJECTED, OWN = "Matryoshka", "truncated", "PCA", "trained at that size"
UNTRAINED, WORDS = "untrained", "bag of words, PCA"


class Models(NamedTuple):
    """Three kinds of models for vectors of several sizes."""

    whole: SentenceEncoder                   # the loss on all numbers
    nested: SentenceEncoder                  # Matryoshka: on every size
    own: dict[int, SentenceEncoder]          # {m: on the first m numbers alone}


def train_models(task: Task, dims: Sequence[int] = DIMS, **changes) -> Models:
    """Train len(dims) + 1 models.  dims: the largest first; changes: to the settings TRAINING"""
    own = {m: train(task, dims=(m,), **changes) for m in dims}
    return Models(own[dims[0]], train(task, dims=dims, **changes), own)


def compare(task: Task, models: Models) -> dict[str, np.ndarray]:
    """{way: scores at each size}, (sizes, 1) or (sizes, 4), with two baselines."""
    words = BagOfWords(task.pairs[0])
    whole, nested, start, counts = (unit_vectors(task, encoder) for encoder in
                                    (models.whole, models.nested, task.start, words))
    by_pca, by_words = (partial(project_pca, fitted=pca(encoder.encode(task.pairs[0]),
                                                        max(models.own)))
                        for encoder in (models.whole, words))
    found = {name: [] for name in (MATRYOSHKA, TRUNCATED, PROJECTED, OWN, UNTRAINED, WORDS)}
    for m, own in models.own.items():
        ways = [(nested, truncate_normalised), (whole, truncate_normalised), (whole, by_pca),
                (unit_vectors(task, own), truncate_normalised), (start, truncate_normalised),
                (counts, by_words)]
        for scores, ((Q, X), form) in zip(found.values(), ways, strict=True):
            scores.append(score(task, form(X, dim=m), Q))
    return {name: np.stack(scores) for name, scores in found.items()}


# ---- dimensions and precision -------------------------------------------------------------------

PRECISIONS = {"float32": floats, "int8": int8, "bits, float x bits, int8": three_stages,
              "bits, float x bits": rescored_bits, "bits (Hamming)": bits}
LONGER = "float32, then all numbers"          # the first m find candidates, all numbers rank them
LARGE = dict(per_kind=128, pairs=2 * PAIRS)   # half are left out: a text is in the task


class Stage(NamedTuple):
    """A collection stored as prefixes in one precision."""

    bytes: int                     # per vector
    score: np.ndarray              # see score()
    rate: float                    # queries per second


def precisions(task: Task, encoder: SentenceEncoder, dims: Sequence[int] = DIMS, rounds: int = 3
               ) -> dict[tuple[int, str], Stage]:
    """{(m, precision): Stage}, all from the same vectors of the encoder.

    rounds: how often each search is timed, in turn; the rate is that of the fastest
    """
    Q, X = unit_vectors(task, encoder)
    stored = {}
    for m in dims:
        stored |= {(m, name): truncate_normalised(X, m, form) for name, form in PRECISIONS.items()}
        if m < X.shape[1]:
            stored[m, LONGER] = prefix_then_all(X, m)
    scores = {key: score(task, table, Q) for key, table in stored.items()}
    seconds = {key: [] for key in stored}
    for _ in range(rounds):
        for key, table in stored.items():
            begin = perf_counter()
            table.search(Q, K)
            seconds[key].append(perf_counter() - begin)
    return {key: Stage(table.bytes, scores[key], len(Q) / min(seconds[key]))
            for key, table in stored.items()}


def few(task: Task, per_kind: int = 2) -> Task:
    """The task with the first `per_kind` documents of each kind."""
    seen, kept = Counter(), []
    for n, path in enumerate(task.paths[1]):
        if seen[path] < per_kind:
            kept.append(n)
        seen[path] += 1
    return task._replace(documents=[task.documents[n] for n in kept], gains=task.gains[:, kept],
                         paths=(task.paths[0], [task.paths[1][n] for n in kept]))
