"""The shapes of MTEB's task types, as plain data.

Paper     Muennighoff et al. 2022, "MTEB: Massive Text Embedding Benchmark", section 3.
Read next worlds/toy_mteb.py (the tasks)

The fields have the names of the columns of MTEB's own data sets (a task of sentence1, sentence2,
score is an STS task).  Each task also names its measure, and gives two values of that measure:

    upper_bound  the score of a model that knows what every text says
    chance       the expected score without reading: random scores, random order, random clusters;
                 for classification, the most frequent label for all texts.  If it is approximate,
                 the docstring of the task's function in worlds/toy_mteb.py says so.
"""
from typing import NamedTuple

from scratch_embed.worlds.facts import Qrels


class Retrieval(NamedTuple):
    """Find the documents of the corpus that answer a query."""

    name: str
    corpus: dict[str, str]             # {document id: text}
    queries: dict[str, str]            # {query id: text}
    relevant_docs: Qrels               # {query id: {document id: gain}}
    upper_bound: float
    chance: float
    measure: str = "ndcg_at_10"


class InstructionRetrieval(NamedTuple):
    """Find the relevant documents, which depend on the query and its instruction."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    instructions: dict[str, str]       # {query id: text}
    relevant_docs: Qrels
    upper_bound: float
    chance: float
    measure: str = "ndcg_at_10"


class Reranking(NamedTuple):
    """Rank a query's few candidates.  Documents of gain 0 are not in relevant_docs."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    relevant_docs: Qrels
    top_ranked: dict[str, list[str]]   # {query id: its candidates, in no meaningful order}
    upper_bound: float
    chance: float
    measure: str = "map_at_1000"


class STS(NamedTuple):
    """Score how similar in meaning sentence1[i] and sentence2[i] are, for each i."""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    score: list[float]                 # 0 to 5
    upper_bound: float
    chance: float
    measure: str = "cosine_spearman"


class PairClassification(NamedTuple):
    """Decide whether two sentences mean the same (1) or not (0)."""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    labels: list[int]
    upper_bound: float
    chance: float
    measure: str = "max_ap"


class Labelled(NamedTuple):
    """Texts and their labels: a str for each text, or a list of them if it has several."""

    text: list[str]
    label: list


class Classification(NamedTuple):
    """Learn the labels of texts from few examples; each text has one label."""

    name: str
    train: Labelled
    test: Labelled
    upper_bound: float
    chance: float
    measure: str = "accuracy"


class MultilabelClassification(NamedTuple):
    """Learn one or more labels per text.  A prediction is correct if the set is equal."""

    name: str
    train: Labelled
    test: Labelled
    upper_bound: float
    chance: float
    measure: str = "accuracy"


class Clustering(NamedTuple):
    """Cluster texts.  labels: for each text its label at every level, from coarse to fine."""

    name: str
    sentences: list[str]
    labels: list[list[str]]
    upper_bound: float
    chance: float
    measure: str = "v_measure"


class BitextMining(NamedTuple):
    """Find the translation of each sentence1[i] among all sentence2; it is sentence2[i]."""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    upper_bound: float
    chance: float
    measure: str = "f1"


class Summarization(NamedTuple):
    """Rate the machine summaries of a text by their similarity to the human ones.

    The measure is Spearman's ρ over the machine summaries of one text, averaged over texts.
    """

    name: str
    text: list[str]
    human_summaries: list[list[str]]
    machine_summaries: list[list[str]]
    relevance: list[list[int]]         # of each machine summary
    upper_bound: float
    chance: float
    measure: str = "cosine_spearman"


Task = (Retrieval | InstructionRetrieval | Reranking | STS | PairClassification | Classification
        | MultilabelClassification | Clustering | BitextMining | Summarization)
