"""The shapes of MTEB's task types, as plain data.

Paper     Muennighoff et al. 2022, "MTEB: Massive Text Embedding Benchmark", section 3.
Read next worlds/toy_mteb.py, which fills them

The fields are named as the columns of MTEB's own data sets (a task of sentence1, sentence2, score
is an STS task), and each task says the measure that it is judged by, and two numbers on its scale:

    upper_bound  the score of a model that knows what every text says
    chance       the expected score without reading: random scores, random order, random clusters;
                 for the classifiers, the most frequent label for all.  Where it is only near that,
                 the task's function in worlds/toy_mteb.py says so.
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
    """The same; what is relevant depends on the query's instruction too."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    instructions: dict[str, str]       # {query id: text}
    relevant_docs: Qrels
    upper_bound: float
    chance: float
    measure: str = "ndcg_at_10"


class Reranking(NamedTuple):
    """Put a query's few candidates in order.  A gain of 0 is not listed."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    relevant_docs: Qrels
    top_ranked: dict[str, list[str]]   # {query id: its candidates, in no meaningful order}
    upper_bound: float
    chance: float
    measure: str = "map_at_1000"


class STS(NamedTuple):
    """How alike in meaning are two sentences?  Row i is (sentence1[i], sentence2[i])."""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    score: list[float]                 # 0 to 5
    upper_bound: float
    chance: float
    measure: str = "cosine_spearman"


class PairClassification(NamedTuple):
    """Do two sentences mean the same (1) or not (0)?"""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    labels: list[int]
    upper_bound: float
    chance: float
    measure: str = "max_ap"


class Labelled(NamedTuple):
    """Texts, each with its label: a str; a list of them for several labels."""

    text: list[str]
    label: list


class Classification(NamedTuple):
    """Learn the labels of texts from few examples; each text has one."""

    name: str
    train: Labelled
    test: Labelled
    upper_bound: float
    chance: float
    measure: str = "accuracy"


class MultilabelClassification(NamedTuple):
    """The same, each text with one label or more.  Right is who finds all and no other."""

    name: str
    train: Labelled
    test: Labelled
    upper_bound: float
    chance: float
    measure: str = "accuracy"


class Clustering(NamedTuple):
    """Put texts into groups.  labels: for each text its label at every level, coarse to fine."""

    name: str
    sentences: list[str]
    labels: list[list[str]]
    upper_bound: float
    chance: float
    measure: str = "v_measure"


class BitextMining(NamedTuple):
    """Find each sentence's translation among sentence2; sentence2[i] is that of sentence1[i]."""

    name: str
    sentence1: list[str]
    sentence2: list[str]
    upper_bound: float
    chance: float
    measure: str = "f1"


class Summarization(NamedTuple):
    """Rate the machine summaries of a text by how near they are to the human ones.

    A measure of each text's own: ρ over its machine summaries, then the mean over texts.
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
