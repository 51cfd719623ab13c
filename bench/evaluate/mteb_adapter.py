"""mteb's own runner and ours on the same encoders and local tasks, without a network.

    python bench/evaluate/mteb_adapter.py              both runners on the toy tasks, a line a task
    python bench/evaluate/mteb_adapter.py "bag of words"            with ties, and slower

    mteb.evaluate(MtebModel(encoder), [local_task(task) for task in toy_mteb().tasks])

MtebModel wraps any object with encode(texts) -> (N, D); local_task turns a task of
worlds/task_shapes.py into one of mteb's that holds its data already.  Neither computes scores: both
runners get the same texts and the same vectors, and their scores are compared.
Needs the extra: python -m pip install -e '.[bench]'
"""
import math
import os
import statistics
import sys
from collections.abc import Mapping

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")           # before mteb and datasets are imported

import mteb
from datasets import Dataset
from mteb.abstasks import (
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskMultilabelClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
    AbsTaskSummarization,
)
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta
from mteb.similarity_functions import cos_sim, pairwise_cos_sim

from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
from scratch_embed.evaluate.mteb import Encoder, evaluate_tasks
from scratch_embed.worlds import task_shapes as shapes

SEED = 42                                              # of mteb's tasks
ENCODERS = ("random vectors", "mean of word vectors")  # what is compared if none is named
SAME = 1e-6
TREC = {"ndcg_cut": "ndcg", "map_cut": "map", "recall": "recall", "P": "precision",
        "success": "hit_rate"}                         # trec_eval's names and mteb's


# ---- an encoder, as mteb takes it ---------------------------------------------------------------

class MtebModel:
    """An encoder in mteb's protocol; its similarity is the cosine, computed by mteb."""

    def __init__(self, encoder: Encoder, name: str = "scratch_embed/encoder",
                 revision: str = "local") -> None:
        self.encoder = encoder
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": revision})

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None,
               **encode_kwargs) -> np.ndarray:
        """inputs: batches with a list "text" -> (N, D).  What mteb tells beside is not used."""
        return self.encoder.encode([text for batch in inputs for text in batch["text"]])

    similarity = staticmethod(cos_sim)
    similarity_pairwise = staticmethod(pairwise_cos_sim)


# ---- a local task, as mteb takes it -------------------------------------------------------------

def local_task(task: shapes.Task, seed: int = SEED) -> mteb.AbsTask:
    """mteb's object for a task whose data are at hand; all of a clustering task is embedded."""
    base, data, settings = SHAPES[type(task)]
    metadata = TaskMetadata(
        name=task.name, type=type(task).__name__, main_score=task.measure,
        description=f"{task.name}, made locally", eval_splits=["test"], eval_langs=["eng-Latn"],
        dataset={"path": f"local/{task.name}", "revision": "local"})
    local = type(task.name, (base,), {"metadata": metadata, **settings(task)})(seed=seed)
    local.dataset, local.data_loaded = data(task), True
    return local


def table(*names):
    """The task's fields of these names as the columns of its test split."""
    def data(task):
        return {"test": Dataset.from_dict({name: getattr(task, name) for name in names})}
    return data


def train_and_test(task):
    return {"train": Dataset.from_dict(task.train._asdict()),
            "test": Dataset.from_dict(task.test._asdict())}


def collection(task):
    queries = {"id": list(task.queries), "text": list(task.queries.values())}
    if isinstance(task, shapes.InstructionRetrieval):
        queries["instruction"] = [task.instructions[query] for query in task.queries]
    return {"default": {"test": {
        "corpus": Dataset.from_dict({"id": list(task.corpus), "text": list(task.corpus.values())}),
        "queries": Dataset.from_dict(queries),
        "relevant_docs": {query: dict(gains) for query, gains in task.relevant_docs.items()},
        "top_ranked": getattr(task, "top_ranked", None)}}}


def no_settings(task):
    return {}


def unrounded_means(task):
    """Through mteb's hook for more scores: its means as they are before it rounds them to 10⁻⁵."""
    def means(self, scores, qrels, results, hf_split, hf_subset):
        of_queries, found = list(scores.values()), {}
        for name in of_queries[0]:
            measure, k = name.rsplit("_", 1)
            found[f"{TREC[measure]}_at_{k}"] = statistics.fmean(one[name] for one in of_queries)
        return found
    return {"task_specific_scores": means}


def rating_range(task):
    ratings = [rating for of_text in task.relevance for rating in of_text]
    return {"min_score": min(ratings), "max_score": max(ratings)}


SHAPES = {
    shapes.Retrieval: (AbsTaskRetrieval, collection, unrounded_means),
    shapes.InstructionRetrieval: (AbsTaskRetrieval, collection, unrounded_means),
    shapes.Reranking: (AbsTaskRetrieval, collection, unrounded_means),
    shapes.STS: (AbsTaskSTS, table("sentence1", "sentence2", "score"), no_settings),
    shapes.PairClassification: (AbsTaskPairClassification,
                                table("sentence1", "sentence2", "labels"), no_settings),
    shapes.Classification: (AbsTaskClassification, train_and_test, no_settings),
    shapes.MultilabelClassification: (AbsTaskMultilabelClassification, train_and_test,
                                      no_settings),
    shapes.Clustering: (AbsTaskClustering, table("sentences", "labels"),
                        lambda task: {"max_fraction_of_documents_to_embed": None}),
    shapes.BitextMining: (AbsTaskBitextMining, table("sentence1", "sentence2"), no_settings),
    shapes.Summarization: (AbsTaskSummarization,
                           table("text", "human_summaries", "machine_summaries", "relevance"),
                           rating_range)}


# ---- side by side -------------------------------------------------------------------------------

def mteb_scores(encoder: Encoder, task: shapes.Task, seed: int = SEED) -> dict:
    """All that mteb's own runner finds, under its names."""
    found = mteb.evaluate(MtebModel(encoder), local_task(task, seed), cache=None,
                          co2_tracker=False, show_progress_bar=False)
    return found.task_results[0].scores["test"][0]


def numbers(scores: Mapping, path: str = "") -> dict[str, float]:
    """Every number of the scores by its path: lists of draws and levels of labels are entered."""
    flat = {}
    for key, value in scores.items() if isinstance(scores, Mapping) else enumerate(scores):
        if isinstance(value, (Mapping, list)):
            flat |= numbers(value, f"{path}{key}/")
        elif isinstance(value, (int, float)):
            flat[f"{path}{key}"] = float(value)
    return flat


def apart(ours: Mapping, theirs: Mapping) -> dict[str, float]:
    """|difference| of each number that both have; nan and nan are 0 apart."""
    ours, theirs = numbers(ours), numbers(theirs)
    return {name: 0.0 if math.isnan(ours[name]) and math.isnan(theirs[name])
            else abs(ours[name] - theirs[name]) for name in ours.keys() & theirs.keys()}


def spread(ours: Mapping, theirs: Mapping, measure: str) -> float:
    """The standard error of the main scores' difference, if each draw is one of its own.

    nan where nothing is drawn.  √(Σ (s² + t²)/n) / L, of n draws at each of L levels, with
    variances s² and t²; only clusterings have more levels than one.
    """
    pairs = []
    for scores in ours, theirs:
        levels = list(scores.get("v_measures", {}).values())
        if "scores_per_experiment" in scores:
            levels = [[draw[measure] for draw in scores["scores_per_experiment"]]]
        pairs.append([statistics.variance(draws) / len(draws) for draws in levels])
    return math.sqrt(sum(map(sum, pairs))) / len(pairs[0]) if pairs[0] else math.nan


def compare(name: str, encoder: Encoder, tasks: list) -> None:
    """A line a task: main scores, the draws' spread, and the numbers farthest apart."""
    print(f"\n{name}\n{'task':17}{'type':26}{'ours':>10}{'mteb':>10}{'apart':>9}{'spread':>9}"
          f"{'numbers':>9}{'farthest apart':>16}")
    for task, ours in zip(tasks, evaluate_tasks(encoder, tasks, SEED)):
        theirs = mteb_scores(encoder, task)
        gaps = apart(ours.scores, theirs)
        worst = max(gaps, key=gaps.get)
        print(f"{ours.task:17}{ours.type:26}{ours.main_score:10.6f}{theirs['main_score']:10.6f}"
              f"{abs(ours.main_score - theirs['main_score']):9.1e}"
              f"{spread(ours.scores, theirs, task.measure):9.1e}{len(gaps):9}"
              f"{gaps[worst]:9.1e} {worst if gaps[worst] > SAME else ''}", flush=True)


def word_means(text):
    """The mean of word vectors that are trained in a few seconds."""
    from scratch_embed.sentences.static import StaticEncoder
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import train
    vocab, corpus = index_sentences(text, 1)
    return StaticEncoder(WordVectors(vocab.words, train(corpus, vocab, dim=50).W))


def main():
    from scratch_embed.worlds.toy_mteb import toy_mteb
    tasks, text = toy_mteb(0)
    encoders = {"random vectors": lambda: RandomVectors(32),
                "mean of word vectors": lambda: word_means(text),
                "bag of words": lambda: BagOfWords([" ".join(line) for line in text])}
    chosen = sys.argv[1:] or ENCODERS
    if not set(chosen) <= set(encoders):
        raise SystemExit(f"encoders are {', '.join(encoders)}; found {', '.join(chosen)}")
    for name in chosen:
        compare(name, encoders[name](), tasks)


if __name__ == "__main__":
    main()
