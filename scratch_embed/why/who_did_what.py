"""Who did what: a bi-encoder, and a cross-encoder that reranks its candidates.

Papers    Reimers & Gurevych 2019, "Sentence-BERT"; Nogueira & Cho 2019, "Passage Re-ranking with
          BERT"; Trockman & Kolter 2023, "Mimetic Initialization of Self-Attention Layers".
Equation  candidates of q   the `depth` documents d with the highest cos(x_q, x_d)
          the ranking       the candidates by the cross-encoder's s(q, d), then the others by cosine
Shapes    Q queries, N documents, gains (Q, N); a Point for each depth
Cost      per seed on one core: the bi-encoder 8 seconds, the cross-encoder 45
Read next worlds/bindings.py (the task), why/rerank.py (ablations), retrieve/rerank.py,
          sentences/cross_encoder_training.py

The documents of a group have the same words.  A model that knows every synonym, but no word order,
ranks the documents with all words of the query first, in random order (synonyms_alone).  Which of
them is right depends on which words are in one sentence.

Why does the cross-encoder start from the bi-encoder?  It has to match words of the query with words
of the document that mean the same, and then to see whether the matches are in one sentence.  The
bi-encoder has learned the first part: words that mean the same have similar vectors.  But its
attention has never compared two texts.

Why new queries and keys?  with_matching() draws those of the first layer anew, with one matrix for
both, W_q = W_k = W.  The score of tokens i and j is then (W x_i)·(W x_j), on average in proportion
to x_i·x_j.  So from the first step each token attends to tokens of similar vectors: a word of the
query to its synonym in the document, of which it reads the position, too.  What remains to be
learned is to compare these positions.
"""
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking, ndcg, rank_ids, rank_table, recall
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.rerank import rerank
from scratch_embed.sentences import cross_encoder_training, sbert
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_training import CLASSES, PairLoss
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.hard_negatives import (
    Mining,
    at_random,
    cosines,
    mine_hard_negatives,
)
from scratch_embed.sentences.objectives import ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.neighbours import top_k
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.why.contexts import whole_words
from scratch_embed.why.searches import K
from scratch_embed.worlds.bindings import (
    Bindings,
    bag_of_words_upper_bound,
    bindings,
    synonyms_alone,
)
from scratch_embed.worlds.facts import gain_table
from scratch_embed.worlds.training_pairs import binding_groups

SIZES = dict(dim=32, layers=3, heads=2, ff=64, positions=32, types=2)
STD, ATTENTION_STD = 0.08, 0.2     # of initial weights, see initial() and with_matching()
POOLER = 10                        # the pooler's weights times 10: 0.2, about 1/√32
BI_ENCODER = dict(tau=0.05, steps=400, batch_size=64, lr=3e-3)
CROSS_ENCODER = dict(steps=6000, batch_size=12, lr=1e-3)
GROUPS = 8000                      # to train on: a query, and the documents of a group
DEPTHS = (1, 3, 10, 20, 50, 100)


class Task(NamedTuple):
    """A world with known relevance, the training texts, and the tokenizer of both."""

    world: Bindings
    queries: list[str]             # Q of them
    documents: list[str]           # N of them
    gains: np.ndarray              # (Q, N)
    training: list[list[str]]      # queries, their documents, and the two others of its group
    tokenizer: WordPiece
    seed: int


def draw_task(seed: int, groups: int = 100, queries: int = 100, training: int = GROUPS) -> Task:
    """Draw a world, and `training` other groups to train on, none with a query of the world."""
    world = bindings(seed, groups, queries)
    texts, documents = list(world.queries.values()), list(world.corpus.values())
    columns = binding_groups(training, seed, taken=texts)
    tokenizer = whole_words(text.split() for part in (texts, documents, *columns) for text in part)
    return Task(world, texts, documents, gain_table(world.qrels, list(world.corpus)), columns,
                tokenizer, seed)


# ---- the start ----------------------------------------------------------------------------------

def initial(task: Task) -> SentenceEncoder:
    """The bi-encoder with its initial weights; it pools by [CLS] and by the mean, side by side.

    By the mean, so that it learns the words; by [CLS], so that [CLS] learns to attend to them: the
    cross-encoder reads its score there.

    BERT's standard deviation of 0.02 suits its 768 dimensions.  With 32 the sums in a layer are
    five times smaller, and attention and MLP hardly change what they add to.  So the weights of the
    layers get STD; the embeddings, which a norm follows, keep 0.02.
    """
    config = Config(len(task.tokenizer), **SIZES)
    layers = {name: tensor for name, tensor in tensors(config, STD).items()
              if name.startswith("layers.")}
    return SentenceEncoder(task.tokenizer,
                           Bert(config, init_params(tensors(config) | layers, task.seed)),
                           Recipe((cls, mean), max_seq_length=SIZES["positions"]))


def with_matching(encoder: SentenceEncoder, seed: int) -> SentenceEncoder:
    """The encoder with new queries and keys in the first layer, equal to each other."""
    p = encoder.model.p.copy()
    W = np.random.default_rng([seed, 7]).normal(0, ATTENTION_STD, (SIZES["dim"], SIZES["dim"]))
    for part in ("q", "k"):
        p[f"layers.0.attn.{part}.weight"][...] = W
        p[f"layers.0.attn.{part}.bias"][...] = 0
    return SentenceEncoder(encoder.tokenizer, encoder.model.with_params(p), encoder.recipe)


# ---- training -----------------------------------------------------------------------------------

def train_bi(task: Task, before: SentenceEncoder | None = None, hard: bool = False,
             workers: int = 1, **changes) -> SentenceEncoder:
    """Train a bi-encoder on queries and documents; hard: and on other documents of the group.

    before: the start, by default initial(task); changes: to the settings BI_ENCODER
    """
    before = initial(task) if before is None else before
    settings = BI_ENCODER | changes
    tau, lr = settings.pop("tau"), settings.pop("lr")
    views = task.training if hard else task.training[:2]
    return sbert.train([sbert.tokenize(before, view) for view in views], before, ranking(tau),
                       optim=Optim(lr, weight_decay=0.0), dropout=0.0, **settings,
                       options=RunOptions(workers, task.seed)).encoder


def train_cross(task: Task, before: SentenceEncoder, candidates: Sequence[Sequence[str]],
                loss: PairLoss = CLASSES, workers: int = 1, **changes) -> CrossEncoder:
    """Train a cross-encoder to find each query's positive among its candidates.

    before: the start, such as with_matching(train_bi(task), task.seed)
    candidates: C texts for each training query, such as candidates(task, bi); the positive first
    loss: CLASSES, of all candidates together; or LABELS, of each pair alone
    changes: to the settings CROSS_ENCODER
    """
    start = CrossEncoder.warm_start(before, seed=task.seed)
    start.model.p["pooler.weight"][...] *= POOLER
    settings = CROSS_ENCODER | changes
    lr = settings.pop("lr")
    pairs = [(query, text) for query, texts in zip(task.training[0], candidates)
             for text in texts]
    N, C = len(candidates), len(candidates[0])             # the positive is candidate 0
    targets = np.zeros(N, int) if loss is CLASSES else np.eye(1, C).repeat(N, axis=0)
    return cross_encoder_training.train(
        start.tokenize(pairs), targets, start, loss,
        optim=Optim(lr, weight_decay=0.0), dropout=0.0, **settings,
        options=RunOptions(workers, task.seed)).encoder


def candidates(task: Task, bi: SentenceEncoder, group: int = 2, mined: int = 1, random: int = 1
               ) -> list[list[str]]:
    """The positive of each training query, and negatives of three kinds; each argument is a number.

    group   the other documents of the positive's group, up to 2
    mined   of the eighth of all positives that are nearest to the query by the bi-encoder; about
            one in twenty states the query's fact, too, in other words
    random  of all positives

    A text is a negative as often as it is a positive.  If the negatives came from a few texts of
    their own, the cross-encoder would learn these texts instead of the task.
    """
    queries, positives, *others = task.training
    rng, columns = np.random.default_rng([task.seed, 8]), [positives, *others[:group]]
    if mined:
        mining = Mining(mined, range_max=len(positives) // 8,
                        sampling_strategy=at_random(task.seed))
        found = mine_hard_negatives(queries, positives, cosines(bi.encode), mining=mining)
        columns += [[found.documents[i] for i in column] for column in found.ids.T]
    columns += [[positives[i] for i in rng.permutation(len(positives))] for _ in range(random)]
    return [list(row) for row in zip(*columns)]


# ---- quality and cost ---------------------------------------------------------------------------

class Point(NamedTuple):
    """One depth of reranking, means over the queries.  Depth 0: the bi-encoder alone."""

    recall: float                  # in %, of the first `depth`; at depth 0, of the first K
    ndcg: float                    # nDCG@10 in %
    passes: int                    # of a transformer, per query
    milliseconds: float            # per query; the documents' vectors are there


def curve(task: Task, bi: SentenceEncoder, cross: CrossEncoder, depths: Sequence[int] = DEPTHS,
          timed: int = 10) -> dict[int, Point]:
    """{depth: Point}: 0 is the bi-encoder alone; else its first `depth` documents are reranked.

    timed: how many queries are timed, one by one
    """
    ids, X = order_by(task, bi)
    found = ranking_of(task, ids)
    times = median_times(task, bi, cross, X, ids, [0, *depths], timed)
    points = {0: Point(*at_10(found), 1, times[0])}
    for depth, time in zip(depths, times[1:]):
        first, _ = rerank(task.queries, task.documents, ids[:, :depth], cross.predict, depth,
                          batch_size=1024)
        again = ranking_of(task, np.concatenate([first, ids[:, depth:]], axis=1))
        points[depth] = Point(percent(recall(found, depth)), percent(ndcg(again, K)), 1 + depth,
                              time)
    return points


MEASURES = ("recall, %", "nDCG@10, %", "ms")


def compared(task: Task, bi: SentenceEncoder, cross: CrossEncoder,
             others: Mapping[str, SentenceEncoder] | None = None) -> dict[str, np.ndarray]:
    """{search: MEASURES (3,)}: of the curve, and of what could explain it.  nan: does not apply.

    others: {name: bi-encoder} that are not reranked; their recall is that of the first K
    """
    bm25 = BM25([text.split() for text in task.documents])
    words = rank_table(np.stack([bm25.scores(query.split()) for query in task.queries]), task.gains,
                       list(task.world.corpus))
    rows = {"BM25": at_10(words),
            "bag of words, upper bound": (np.nan, 100 * bag_of_words_upper_bound(task.world)),
            "synonyms, no word order": (np.nan, 100 * synonyms_alone(task.world)),
            **{name: at_10(ranking_of(task, order_by(task, encoder)[0]))
               for name, encoder in (others or {}).items()}}
    rows = {name: (*row, np.nan) for name, row in rows.items()}
    for depth, (found, quality, passes, time) in curve(task, bi, cross).items():
        name = f"depth {depth}: {passes} passes" if depth else "bi-encoder: 1 pass"
        rows[name] = found, quality, time
    return {name: np.array(row) for name, row in rows.items()}


def at_10(found: Ranking) -> tuple[float, float]:
    """Recall@10 and nDCG@10 in %."""
    return percent(recall(found, K)), percent(ndcg(found, K))


def order_by(task: Task, bi: SentenceEncoder) -> tuple[np.ndarray, np.ndarray]:
    """All documents in the order of a bi-encoder: ids (Q, N), and the documents' vectors (N, E)."""
    X = bi.encode(task.documents)
    return top_k(cosine_matrix(bi.encode(task.queries), X), len(task.documents))[0], X


def ranking_of(task: Task, ids: np.ndarray) -> Ranking:
    """The Ranking of all documents in the order of ids (Q, N)."""
    return rank_ids(ids, task.gains)


def percent(scores: np.ndarray) -> float:
    """The mean of scores of queries, in %."""
    return 100 * float(scores.mean())


def median_times(task, bi, cross, X, ids, depths, queries):
    """Milliseconds to encode one query, search X and rerank, the median of some queries."""
    times = []
    for depth in depths:
        taken = []
        for query, row in zip(task.queries[:queries], ids):
            start = perf_counter()
            top_k(cosine_matrix(bi.encode([query]), X), K)
            if depth:
                cross.predict([(query, task.documents[i]) for i in row[:depth]])
            taken.append(1000 * (perf_counter() - start))
        times.append(float(np.median(taken)))
    return times
