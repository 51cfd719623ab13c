"""The questions that this package answers, and the sizes at which each answer takes about a minute.

Read next answers/answer.py (the form of an answer), answers/README.md (the answers)
"""
from typing import NamedTuple


class Question(NamedTuple):
    """A question, and the default sizes of the toy world and of each training."""

    text: str
    documents: int                 # of the collection that is searched
    steps: int                     # of each training


CONTRASTIVE = Question("How does contrastive learning train embedding models?", 2000, 100)
CROSS_OR_BI = Question("Cross-encoder vs bi-encoder — when to use each?", 300, 400)
RAG = Question("How would you evaluate embedding quality for a RAG system?", 300, 300)
MATRYOSHKA = Question("What are Matryoshka embeddings and why are they useful?", 2048, 300)
