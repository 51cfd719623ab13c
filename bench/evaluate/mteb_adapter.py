"""Compare mteb's runner and ours on the same encoders and local tasks, without a network.

    python bench/evaluate/mteb_adapter.py                   two encoders, one line per toy task
    python bench/evaluate/mteb_adapter.py "bag of words"    many equal cosines, and slower

In Python:

    mteb.evaluate(MtebModel(encoder), [local_task(task) for task in tasks])

MtebModel wraps any object with encode(texts) -> (N, D); local_task converts a task of
worlds/task_shapes.py to a task of mteb whose data are loaded.  These two compute no scores: both
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

SEED = 42                                              # mteb's default
DEFAULT_ENCODERS = ("random vectors", "mean of word vectors")
ROUNDING = 1e-6                                        # smaller differences are rounding
TREC = {"ndcg_cut": "ndcg", "map_cut": "map", "recall": "recall", "P": "precision",
        "success": "hit_rate"}                         # trec_eval's name: mteb's name


# ---- an encoder in mteb's form ------------------------------------------------------------------

class MtebModel:
    """An encoder in mteb's protocol; its similarity is the cosine, computed by mteb."""

    def __init__(self, encoder: Encoder, name: str = "scratch_embed/encoder",
                 revision: str = "local") -> None:
        self.encoder = encoder
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": revision})

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None,
               **encode_kwargs) -> np.ndarray:
        """inputs: batches with a list "text" -> (N, D).  mteb's other arguments are not used."""
        return self.encoder.encode([text for batch in inputs for text in batch["text"]])

    similarity = staticmethod(cos_sim)
    similarity_pairwise = staticmethod(pairwise_cos_sim)


# ---- a local task in mteb's form ----------------------------------------------------------------

def local_task(task: shapes.Task, seed: int = SEED) -> mteb.AbsTask:
    """Convert a task to mteb's type, with its data; all texts of a clustering task are embedded."""
    base, data, settings = CONVERSIONS[type(task)]
    metadata = TaskMetadata(
        name=task.name, type=type(task).__name__, main_score=task.measure,
        description=f"{task.name}, made locally", eval_splits=["test"], eval_langs=["eng-Latn"],
        dataset={"path": f"local/{task.name}", "revision": "local"})
    local = type(task.name, (base,), {"metadata": metadata, **settings(task)})(seed=seed)
    local.dataset, local.data_loaded = data(task), True
    return local


def table(*names):
    """A function that makes a test split of the task's fields of these names."""
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
    """mteb's hook for additional scores, here its means before they are rounded to 10⁻⁵."""
    def means(self, scores, qrels, results, hf_split, hf_subset):
        per_query, found = list(scores.values()), {}
        for name in per_query[0]:
            measure, k = name.rsplit("_", 1)
            found[f"{TREC[measure]}_at_{k}"] = statistics.fmean(query[name] for query in per_query)
        return found
    return {"task_specific_scores": means}


def rating_range(task):
    ratings = [rating for ratings in task.relevance for rating in ratings]
    return {"min_score": min(ratings), "max_score": max(ratings)}


# {our task type: (mteb's task type, its data from a task, its settings from a task)}
CONVERSIONS = {
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


# ---- the comparison -----------------------------------------------------------------------------

def mteb_scores(encoder: Encoder, task: shapes.Task, seed: int = SEED) -> dict:
    """All scores of mteb's own runner, under its names."""
    found = mteb.evaluate(MtebModel(encoder), local_task(task, seed), cache=None,
                          co2_tracker=False, show_progress_bar=False)
    return found.task_results[0].scores["test"][0]


def numbers(scores: Mapping, path: str = "") -> dict[str, float]:
    """{path: number} for every number in the scores, nested lists of draws and levels included."""
    flat = {}
    for key, value in scores.items() if isinstance(scores, Mapping) else enumerate(scores):
        if isinstance(value, (Mapping, list)):
            flat |= numbers(value, f"{path}{key}/")
        elif isinstance(value, (int, float)):
            flat[f"{path}{key}"] = float(value)
    return flat


def differences(ours: Mapping, theirs: Mapping) -> dict[str, float]:
    """{path: |difference|} of each number that both report; 0 if both are nan."""
    ours, theirs = numbers(ours), numbers(theirs)
    return {name: 0.0 if math.isnan(ours[name]) and math.isnan(theirs[name])
            else abs(ours[name] - theirs[name]) for name in ours.keys() & theirs.keys()}


def standard_error(ours: Mapping, theirs: Mapping, measure: str) -> float:
    """The standard error of the difference of the main scores, if the draws are independent.

    It is √(Σ (s² + t²)/n) / L: a sum over L levels of labels, with n draws at each level and the
    variances s² of our draws and t² of mteb's.  L = 1 except for clustering.  nan without draws.
    """
    pairs = []
    for scores in ours, theirs:
        levels = list(scores.get("v_measures", {}).values())
        if "scores_per_experiment" in scores:
            levels = [[draw[measure] for draw in scores["scores_per_experiment"]]]
        pairs.append([statistics.variance(draws) / len(draws) for draws in levels])
    return math.sqrt(sum(map(sum, pairs))) / len(pairs[0]) if pairs[0] else math.nan


def compare(name: str, encoder: Encoder, tasks: list) -> None:
    """Print a line per task: both main scores, their difference and its standard error.

    The column "numbers" is how many scores are compared; "farthest apart" is the largest difference
    of a score, with the name of the score if the difference is above 1e-6.
    """
    print(f"\n{name}\n{'task':17}{'type':26}{'ours':>10}{'mteb':>10}{'apart':>9}{'error':>9}"
          f"{'numbers':>9}{'farthest apart':>16}")
    for task, ours in zip(tasks, evaluate_tasks(encoder, tasks, SEED)):
        theirs = mteb_scores(encoder, task)
        gaps = differences(ours.scores, theirs)
        worst = max(gaps, key=gaps.get)
        print(f"{ours.task:17}{ours.type:26}{ours.main_score:10.6f}{theirs['main_score']:10.6f}"
              f"{abs(ours.main_score - theirs['main_score']):9.1e}"
              f"{standard_error(ours.scores, theirs, task.measure):9.1e}{len(gaps):9}"
              f"{gaps[worst]:9.1e} {worst if gaps[worst] > ROUNDING else ''}", flush=True)


def word_means(text):
    """An encoder: the mean of word vectors, which are trained on text first."""
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
    chosen = sys.argv[1:] or DEFAULT_ENCODERS
    if not set(chosen) <= set(encoders):
        raise SystemExit(f"encoders: expected {', '.join(encoders)}, got {', '.join(chosen)}")
    for name in chosen:
        compare(name, encoders[name](), tasks)


if __name__ == "__main__":
    main()
