"""MTEB's task types on local data: encode a task's texts and compute its scores under mteb's names.

Paper     Muennighoff et al. 2022, "MTEB: Massive Text Embedding Benchmark"; Enevoldsen et al. 2025,
          "MMTEB: Massive Multilingual Text Embedding Benchmark".
Protocol  type                      file              MTEB's main score
          Retrieval                 ranking.py        nDCG@10 of the 1,000 nearest by cosine
          InstructionRetrieval      ranking.py        the same, with an instruction per query
          Reranking                 ranking.py        MAP@1000 of the query's candidates
          STS                       sts.py            Spearman's ρ of cosine and human score
          PairClassification        pairs.py          the largest AP of four similarities
          Classification            probe.py          accuracy: 10 draws of 8 texts per label
          MultilabelClassification  probe.py          accuracy: 10 draws, 5 nearest neighbours
          Clustering                cluster.py        V-measure: 10 draws, mini-batch k-means
          BitextMining              bitext.py         F1 of the nearest by cosine
          Summarization             summarisation.py  mean of ρ within each text
          A task's field `measure` can name another of its scores as the main score.
Shapes    encode: a list of N texts -> (N, D).  Scores have mteb's names.
Cost      mostly the encoder's; of the scores, clustering takes nearly all the time.  No kernel.
Differs   mteb computes similarities in float32.  Here they are computed in float64, and cosines are
          rounded to float32 before ranking: texts whose vectors differ only by rounding tie and
          are ordered by name, while in mteb rounding decides their order.  So if many cosines are
          equal, like those of bags of words, scores differ by a few thousandths; otherwise scores
          without random draws agree to a few 10⁻⁶ (bench/evaluate/mteb_adapter.py prints both).
          Clustering and the probe's solver differ as described in cluster.py and logistic.py.
          mteb also rounds the means of ranking measures, except MRR, to five decimals.  It embeds a
          part of a large clustering task (4% by default) and tests on at most 2,000 texts of a
          multilabel task; here all are used.  One encoder is used for queries and documents: for
          prefixes, pass an encoder that adds them.
Read next evaluate/results.py (the table and the JSON), evaluate/baselines.py, worlds/toy_mteb.py

An instruction is appended to its query, after a space, as in mteb: the encoder reads one text.
"""
import hashlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from scratch_embed.evaluate import ranking
from scratch_embed.evaluate.bitext import bitext_scores, mine
from scratch_embed.evaluate.cluster import bootstrapped_v_measures
from scratch_embed.evaluate.pairs import pair_classification
from scratch_embed.evaluate.probe import (
    draw_multilabel,
    draw_per_label,
    multilabel_probe,
    probe,
)
from scratch_embed.evaluate.results import TaskResult
from scratch_embed.evaluate.sts import sts_scores
from scratch_embed.evaluate.summarisation import summarisation_scores
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.worlds import task_shapes as shapes

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
MEASURES: dict[str, Callable[..., np.ndarray]] = {
    "ndcg": ranking.ndcg, "map": ranking.average_precision, "recall": ranking.recall,
    "precision": ranking.precision, "mrr": ranking.reciprocal_rank, "hit_rate": ranking.hit_rate}
RANKING = {f"{name}_at_{k}": partial(measure, k=k) for k in CUTOFFS
           for name, measure in MEASURES.items()}

# digest() uses two fields' former names, so that old and new digests of the same data are equal
DIGESTED_AS = {"upper_bound": "best", "chance": "guessing"}

# {mteb's name of the score: a number}; with random draws, also the scores of each draw
Scores = dict[str, Any]


class Encoder(Protocol):
    """Any object with encode(); the same text must always get the same vector."""

    def encode(self, texts: list[str]) -> np.ndarray:
        """N texts -> (N, D), one row per text."""


def evaluate_tasks(encoder: Encoder, tasks: Iterable[shapes.Task], seed: int = 42
                   ) -> list[TaskResult]:
    """Evaluate an encoder on each task.  seed: of all random draws; mteb uses 42.

    Raises ValueError if an element is not a task, before anything is encoded; if the encoder does
    not return a finite row for each text; if a score cannot be computed from the data; or if
    task.measure is not one of the scores.
    """
    tasks = list(tasks)
    for number, task in enumerate(tasks):
        if type(task) not in EXACT and type(task) not in DRAWN:
            known = ", ".join(task_type.__name__ for task_type in (*EXACT, *DRAWN))
            raise ValueError(f"tasks[{number}]: expected one of worlds/task_shapes.py ({known}), "
                             f"got {type(task).__name__}; put a single task into a list")
    return [evaluate_task(encoder, task, seed) for task in tasks]


def evaluate_task(encoder: Encoder, task: shapes.Task, seed: int = 42) -> TaskResult:
    """Evaluate an encoder on one task.  Raises ValueError as evaluate_tasks does."""
    start, task_type = time.perf_counter(), type(task)
    scores = (EXACT[task_type](encoder, task) if task_type in EXACT
              else DRAWN[task_type](encoder, task, seed))
    if task.measure not in scores:
        raise ValueError(f"{task.name}: expected a measure of its type, one of "
                         f"{', '.join(scores)}; got {task.measure!r}")
    return TaskResult(task.name, task_type.__name__, task.measure, scores, task.chance,
                      task.upper_bound, time.perf_counter() - start, digest(task))


def embed(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Encode N texts, and check that the result is a finite table of N rows.  -> (N, D)"""
    name = f"{type(encoder).__name__}.encode"
    X = np.asarray(encoder.encode(list(texts)))
    if X.ndim != 2 or len(X) != len(texts) or not X.size or X.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected numbers of shape ({len(texts)}, D), a row for each "
                         f"text, got {X.dtype} of shape {X.shape}")
    broken = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(broken):
        raise ValueError(f"{name}: expected finite vectors, got nan or inf in {len(broken)} of "
                         f"{len(X)}, the first for the text {texts[broken[0]]!r}")
    return X


def digest(task: shapes.Task) -> str:
    """A hash of the task's data, twelve hexadecimal digits."""
    fields = ", ".join(f"{DIGESTED_AS.get(name, name)}={value!r}"
                       for name, value in task._asdict().items())
    text = f"{type(task).__name__}({fields})"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


# ---- ranking ------------------------------------------------------------------------------------

def retrieval(encoder: Encoder, task: shapes.Retrieval) -> Scores:
    """Rank the whole corpus for each query, by cosine."""
    return _search(encoder, task, task.queries)


def instruction_retrieval(encoder: Encoder, task: shapes.InstructionRetrieval) -> Scores:
    """Rank the whole corpus for each query with its instruction appended."""
    return _search(encoder, task, {query: f"{text} {task.instructions[query]}"
                                   for query, text in task.queries.items()})


def _search(encoder, task, queries: Mapping[str, str]) -> Scores:
    names = list(task.corpus)
    Q = l2_normalize(embed(encoder, list(queries.values())).astype(np.float64))[0]
    X = l2_normalize(embed(encoder, list(task.corpus.values())).astype(np.float64))[0]
    ids, cosines = nearest(Q, X, CUTOFFS[-1])                            # (Q, 1000), or all
    found = {query: {names[i]: score for i, score in zip(row, scores)}
             for query, row, scores in zip(queries, ids.tolist(), cosines.tolist())}
    return _ranking_scores(task, found)


def reranking(encoder: Encoder, task: shapes.Reranking) -> Scores:
    """Rank each query's own candidates, by cosine."""
    Q = embed(encoder, list(task.queries.values()))
    X = embed(encoder, list(task.corpus.values()))
    row, found = {name: i for i, name in enumerate(task.corpus)}, {}
    for q, query in zip(Q, task.queries):
        candidates = task.top_ranked[query]
        missing = next((name for name in candidates if name not in row), None)
        if missing is not None:
            raise ValueError(f"{task.name}: expected every candidate in the corpus, got "
                             f"{missing!r} of query {query!r}, which is not; add its text, or "
                             "leave it out")
        cosines = cosine_matrix(q[None], X[[row[name] for name in candidates]])[0]
        found[query] = dict(zip(candidates, cosines.tolist()))
    return _ranking_scores(task, found)


def _ranking_scores(task, found):
    return ranking.evaluate(task.relevant_docs, ranking.in_float32(found), RANKING).mean


# ---- pairs --------------------------------------------------------------------------------------

def sts(encoder: Encoder, task: shapes.STS) -> Scores:
    """Correlate similarity with human scores."""
    scores = sts_scores(embed(encoder, task.sentence1), embed(encoder, task.sentence2), task.score)
    return _flat(**scores._asdict())


def pairs(encoder: Encoder, task: shapes.PairClassification) -> Scores:
    """Separate paraphrases from other pairs by their similarity."""
    scores = pair_classification(embed(encoder, task.sentence1), embed(encoder, task.sentence2),
                                 task.labels)
    named = {}
    for name, found in scores._asdict().items():
        named |= {f"{name}_ap": found.ap, f"{name}_accuracy": found.accuracy.accuracy,
                  f"{name}_f1": found.f1.f1, f"{name}_precision": found.f1.precision,
                  f"{name}_recall": found.f1.recall}
    return named | {"max_ap": scores.max_ap, "max_accuracy": scores.max_accuracy,
                    "max_f1": scores.max_f1}


def bitext_mining(encoder: Encoder, task: shapes.BitextMining) -> Scores:
    """Find each sentence's translation, from the first language to the second."""
    found, _ = mine(embed(encoder, task.sentence1), embed(encoder, task.sentence2))
    return bitext_scores(found)._asdict()


def summarization(encoder: Encoder, task: shapes.Summarization) -> Scores:
    """Correlate each summary's similarity to the human summaries with its rating, text by text."""
    machine, human = (_embed_lists(encoder, lists)
                      for lists in (task.machine_summaries, task.human_summaries))
    scores = summarisation_scores(machine, human, task.relevance)
    return _flat(cosine=scores.cosine, dot=scores.dot)


# ---- labels, with random draws ------------------------------------------------------------------

def classification(encoder: Encoder, task: shapes.Classification, seed: int) -> Scores:
    """Predict labels by logistic regression, trained on eight texts of each label."""
    found = probe(embed(encoder, task.train.text), task.train.label,
                  embed(encoder, task.test.text), task.test.label,
                  draw_per_label(task.train.label, seed=seed))
    return {**found.mean._asdict(), "ap": found.ap,
            "scores_per_experiment": [draw._asdict() for draw in found.draws]}


def multilabel_classification(encoder: Encoder, task: shapes.MultilabelClassification, seed: int
                              ) -> Scores:
    """Predict labels by five nearest neighbours, with a separate vote for each label."""
    draws = draw_multilabel(task.train.label, np.random.default_rng(seed))
    found = multilabel_probe(embed(encoder, task.train.text), task.train.label,
                             embed(encoder, task.test.text), task.test.label, draws)
    return {**found.mean._asdict(),
            "scores_per_experiment": [draw._asdict() for draw in found.draws]}


def clustering(encoder: Encoder, task: shapes.Clustering, seed: int) -> Scores:
    """Cluster random samples of the texts by mini-batch k-means, at each level of the labels."""
    for i, path in enumerate(task.labels):
        if len(path) != len(task.labels[0]):
            raise ValueError(f"{task.name}: expected labels of {len(task.labels[0])} levels for "
                             f"every text, as the first has, got {path} for text {i}")
    X, rng = embed(encoder, task.sentences), random.Random(seed)
    levels = {f"Level {i}": bootstrapped_v_measures(X, labels, rng, seed=seed)
              for i, labels in enumerate(zip(*task.labels))}
    all_draws = np.concatenate(list(levels.values()))
    return {"v_measure": float(all_draws.mean()), "v_measure_std": float(all_draws.std()),
            "v_measures": levels}


# ---- helpers ------------------------------------------------------------------------------------

def _embed_lists(encoder, lists):
    """The vectors of each list of texts, encoded in one call -> a list of (n, D)."""
    X = embed(encoder, [text for texts in lists for text in texts])
    return np.split(X, np.cumsum([len(texts) for texts in lists])[:-1])


def _flat(**correlations):
    """{"cosine_spearman": ..., ...} from named Correlations."""
    return {f"{similarity}_{r}": value for similarity, pair in correlations.items()
            for r, value in pair._asdict().items()}


EXACT: dict[type, Callable[[Encoder, Any], Scores]] = {
    shapes.Retrieval: retrieval, shapes.InstructionRetrieval: instruction_retrieval,
    shapes.Reranking: reranking, shapes.STS: sts, shapes.PairClassification: pairs,
    shapes.BitextMining: bitext_mining, shapes.Summarization: summarization}
DRAWN: dict[type, Callable[[Encoder, Any, int], Scores]] = {
    shapes.Classification: classification,
    shapes.MultilabelClassification: multilabel_classification, shapes.Clustering: clustering}
