"""BGE-M3 on a toy world: which of its three scores finds what, and what self-distillation adds.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 4 (the three scores, the ablation of
          self-distillation).
Equation  nDCG@10 in % of the order of each score, on questions, on lookups of a code, and on
          questions that name a code
Shapes    Q queries, N documents; a score is four numbers
Cost      a training takes about fifteen seconds on one core
Read next sentences/bge_m3.py, losses/m3.py, worlds/codes.py (the world), why/effects.py (intervals)

The documents are reports with a rare code each ("kx-417").  Half of the queries are questions in
other words, half name a code.  The training pairs are of both kinds, about new facts and with other
codes, so no code of the evaluation has been seen.  The tokenizer splits a code into pieces ("kx",
"-", "41", "##7") that many codes share: only together do they name a report.

A second collection has the same reports, but 20 of them share a code, and each query is a question
that names one: synonyms and the code are needed at once.  No training pair has both.

Known truth: the gains of all reports for a question, and the one report of a code.  What could
explain a score?  BM25 finds every code and few synonyms.  The sparse score with random weights also
matches common tokens, and finds some codes.  Both are rows of the table.

A trial on seed 1 came before the predictions: it chose the steps and the learning rate, and had
already shown the order of the scores, also on questions that name a code.
"""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import ndcg, rank_table
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.sentences import bge_m3_training, sbert
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.bge_m3_index import M3Index
from scratch_embed.sentences.bge_m3_scores import M3Vectors, hybrid_scores
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import ranking
from scratch_embed.text.basic_tokenizer import UNCASED
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_training import learn_pieces
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.why.effects import HELPS, NOT_SIGNIFICANT, Interval, paired_difference
from scratch_embed.worlds.codes import with_codes, with_shared_codes
from scratch_embed.worlds.facts import facts, gain_table
from scratch_embed.worlds.training_pairs import coded_pairs

SIZES = dict(dim=32, layers=2, heads=2, ff=64, positions=32, types=1)
STD = 0.05                         # of the initial weights
PIECES = 900                       # in the vocabulary
M3 = dict(steps=400, batch_size=64, lr=3e-3, dropout=0.0, tau=0.02)
PAIRS = 4000
DOCUMENTS = 1000
K = 10                             # of nDCG@k
COLUMNS = ("questions", "codes", "mean", "composed")
DEPTHS = (10, 20, 50, 100)         # candidates of each search of an M3Index


class Collection(NamedTuple):
    """Documents, queries, and the gain of every document for every query."""

    corpus: dict[str, str]         # {document id: text}, N of them
    queries: dict[str, str]        # Q of them
    gains: np.ndarray              # (Q, N)


class Task(NamedTuple):
    """A world with codes, training pairs, and the model before training."""

    lookups: Collection            # of questions and of codes
    by_code: np.ndarray            # (Q,) whether a query of lookups names a code
    composed: Collection           # of questions that name a code
    pairs: tuple[list[str], list[str]]         # queries and reports to train on
    start: BgeM3
    seed: int


def draw_task(seed: int, documents: int = DOCUMENTS, pairs: int = PAIRS) -> Task:
    """Draw a world and its training pairs, learn the tokenizer from them, and make a new model."""
    world = facts(seed, documents, documents * 3 // 20, sentences=0, pairs=0)
    coded, shared = with_codes(world, seed), with_shared_codes(world, seed)
    queries, reports = coded_pairs(world, coded, pairs, seed)
    tokenizer = WordPiece(learn_pieces([*queries, *reports], PIECES, UNCASED), UNCASED)
    config = Config(len(tokenizer), **SIZES)
    model = Bert(config, init_params(tensors(config, STD), seed))
    lookups, composed = (Collection(each.corpus, each.queries,
                                    gain_table(each.qrels, list(each.corpus)))
                         for each in (coded, shared))
    return Task(lookups, np.array([*coded.by_code.values()]), composed, (queries, reports),
                BgeM3.new(SentenceEncoder(tokenizer, model), seed), seed)


# ---- training and measuring ----------------------------------------------------------------------

def train_m3(task: Task, distil_from: int | None = 0, **changes) -> BgeM3:
    """The model, trained on the pairs.  changes: to the settings M3"""
    settings = M3 | changes
    lr = settings.pop("lr")
    return bge_m3_training.train(
        [sbert.tokenize(task.start.encoder, texts) for texts in task.pairs], task.start,
        optim=Optim(lr, weight_decay=0.0), distil_from=distil_from, **settings,
        options=RunOptions(seed=task.seed)).model


def train_dense(task: Task, **changes) -> SentenceEncoder:
    """The same transformer, trained by InfoNCE of the [CLS] vectors alone, for as many steps."""
    settings = M3 | changes
    lr, tau = settings.pop("lr"), settings.pop("tau")
    return sbert.train(
        [sbert.tokenize(task.start.encoder, texts) for texts in task.pairs], task.start.encoder,
        ranking(tau), optim=Optim(lr, weight_decay=0.0), **settings,
        options=RunOptions(seed=task.seed)).encoder


def ndcgs(task: Task, scores: Sequence[np.ndarray]) -> list[float]:
    """nDCG@10 in % of the columns.  scores: (Q, N) of lookups and of composed"""
    lookups, composed = (
        100 * ndcg(rank_table(table, part.gains, list(part.corpus)), K)
        for table, part in zip(scores, (task.lookups, task.composed)))
    questions, codes = lookups[~task.by_code], lookups[task.by_code]
    return [float(part.mean()) for part in (questions, codes, lookups, composed)]


def encoded(part: Collection, m3: BgeM3) -> tuple[M3Vectors, M3Vectors]:
    """The vectors of the queries and of the documents."""
    queries, documents = (m3.encode(texts.values(), return_sparse=True, return_multi_vector=True)
                          for texts in (part.queries, part.corpus))
    return queries, documents


def of_m3(task: Task, m3: BgeM3) -> dict[str, list[float]]:
    """{kind of score: nDCG@10 of the columns}."""
    by_name: dict[str, list[np.ndarray]] = {}
    for part in task.lookups, task.composed:
        scores = hybrid_scores(*encoded(part, m3))
        tables = {"dense": scores.dense, "sparse": scores.sparse, "multi-vector": scores.multi,
                  "hybrid": scores.hybrid,
                  "hybrid, 1 : 0.3 : 1": scores.dense + 0.3 * scores.sparse + scores.multi,
                  "dense + sparse": scores.dense + scores.sparse,
                  "dense + 0.3 sparse": scores.dense + 0.3 * scores.sparse}
        for name, table in tables.items():
            by_name.setdefault(name, []).append(table)
    return {name: ndcgs(task, tables) for name, tables in by_name.items()}


def bm25(task: Task) -> list[float]:
    """nDCG@10 of BM25 on words; a code is one word."""
    tables = []
    for part in task.lookups, task.composed:
        index = BM25([text.split() for text in part.corpus.values()])
        tables.append(np.stack([index.scores(text.split()) for text in part.queries.values()]))
    return ndcgs(task, tables)


def of_dense(task: Task, encoder: SentenceEncoder) -> list[float]:
    """nDCG@10 of an encoder's vectors."""
    return ndcgs(task, [encoder.encode(part.queries.values()) @
                        encoder.encode(part.corpus.values()).T
                        for part in (task.lookups, task.composed)])


# ---- what explains the hybrid --------------------------------------------------------------------

def deviations(task: Task, m3: BgeM3) -> dict[str, list[float]]:
    """The standard deviation of a query's scores over the documents, mean over queries.

    {kind of queries: of the dense, the sparse and the multi-vector score}.  In a sum, the score
    that varies most decides most.
    """
    def of(part):
        scores = hybrid_scores(*encoded(part, m3))
        return np.stack([table.std(axis=1) for table in scores[:3]])         # (3, Q)
    lookups = of(task.lookups)
    return {name: part.mean(axis=1).tolist() for name, part in (
        ("questions", lookups[:, ~task.by_code]), ("codes", lookups[:, task.by_code]),
        ("composed", of(task.composed)))}


def candidate_recall(task: Task, m3: BgeM3, depths: Sequence[int] = DEPTHS) -> list[float]:
    """How many of the 10 best documents by the hybrid score M3Index.search finds, in %, by depth.

    The best are those of a comparison with all documents; a search compares its candidates.
    """
    queries, documents = encoded(task.lookups, m3)
    index = M3Index(documents)
    best, _ = index.search(queries, K, depth=len(index))
    found = (index.search(queries, K, depth=depth)[0] for depth in depths)
    return [100 * float((best[:, :, None] == ids[:, None]).any(axis=2).mean()) for ids in found]


class Measured(NamedTuple):
    """The rows of the table, and what explains them, of one seed."""

    rows: dict[str, list[float]]
    deviations: dict[str, list[float]]
    recall: list[float]


def compared(task: Task, **changes) -> Measured:
    """All that is measured.  changes: to the settings M3"""
    untrained = of_m3(task, task.start)
    without = of_m3(task, train_m3(task, None, **changes))
    trained = train_m3(task, **changes)
    rows = {"BM25": bm25(task), "dense, untrained": untrained["dense"],
            "sparse, untrained": untrained["sparse"],
            "dense, trained alone": of_dense(task, train_dense(task, **changes)),
            **of_m3(task, trained),
            **{name + WITHOUT: row for name, row in without.items() if name in KINDS}}
    return Measured(rows, deviations(task, trained), candidate_recall(task, trained))


WITHOUT = ", not distilled"
KINDS = ("dense", "sparse", "multi-vector", "hybrid")


# ---- the predictions -----------------------------------------------------------------------------

class Claim(NamedTuple):
    """A prediction about the difference of two rows in one column."""

    one: str
    other: str
    column: str
    predicted: str                 # HELPS: the first is higher
    why: str


CLAIMS = [
    Claim("sparse", "dense", "codes", HELPS,
          "An unseen code has no direction of its own in 32 dimensions, but its pieces match "
          "exactly."),
    Claim("dense", "sparse", "questions", HELPS,
          "Question and report share two words of nine; synonyms have near vectors, and no common "
          "token."),
    Claim("multi-vector", "dense", "mean", HELPS,
          "Token by token, both pieces of codes and synonyms can match."),
    Claim("hybrid", "dense", "mean", HELPS, "Its sparse and multi-vector parts find the codes."),
    Claim("hybrid", "sparse", "mean", HELPS,
          "Its dense and multi-vector parts find the synonyms."),
    Claim("hybrid", "multi-vector", "mean", HELPS,
          "In the paper the sum of all three beats each of them."),
    Claim("dense", "dense, trained alone", "mean", HELPS,
          "In the paper the ensemble is a better teacher than the labels."),
    Claim("dense", "dense" + WITHOUT, "mean", HELPS,
          "The ensemble also says which other reports are nearly right."),
    Claim("sparse", "sparse" + WITHOUT, "mean", HELPS,
          "In the paper the sparse score gains most: alone its loss has a weight of only 0.1."),
    Claim("multi-vector", "multi-vector" + WITHOUT, "mean", NOT_SIGNIFICANT,
          "The best of three students has the least to learn from their sum."),
    Claim("dense + sparse", "sparse", "composed", HELPS,
          "The sparse score must guess among the reports of a code; the dense one knows words."),
    Claim("hybrid, 1 : 0.3 : 1", "dense", "composed", HELPS,
          "Its sparse part knows the code, its dense part the words."),
    Claim("hybrid, 1 : 0.3 : 1", "multi-vector", "composed", HELPS,
          "A trial on seed 1: 89.0 and 85.9.  Here each part knows what the others do not."),
    Claim("hybrid, 1 : 0.3 : 1", "hybrid", "composed", HELPS,
          "With weight 1 the sparse score, which varies most, outvotes the others."),
]


def differences(rows: Mapping[str, np.ndarray], claims: Sequence[Claim] = CLAIMS
                ) -> list[Interval]:
    """The difference of each claim, paired by seed.  rows: {name: (seeds, columns)}"""
    return [paired_difference(*(rows[name][:, COLUMNS.index(claim.column)]
                                for name in (claim.one, claim.other))) for claim in claims]
