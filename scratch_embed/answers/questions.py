"""The questions that this package answers, and the sizes at which each answer takes about a minute.

Read next answers/answer.py (the form of an answer), answers/README.md (the answers)
"""
from typing import NamedTuple


class Question(NamedTuple):
    """A question, what it is about in short, and the default sizes of the world and of training."""

    text: str
    about: str
    documents: int                 # of the collection that is searched
    steps: int                     # of training; a model that needs others has them in proportion


CONTRASTIVE = Question("How does contrastive learning train embedding models?",
                       "how contrastive learning trains embedding models", 2000, 100)
CROSS_OR_BI = Question("Cross-encoder vs bi-encoder — when to use each?",
                       "when to use a cross-encoder, a bi-encoder, or both", 300, 6000)
RAG = Question("How would you evaluate embedding quality for a RAG system?",
               "how to evaluate embedding quality for a RAG system", 300, 300)
MATRYOSHKA = Question("What are Matryoshka embeddings and why are they useful?",
                      "what Matryoshka embeddings are, and their use", 2048, 300)
CLIP = Question("How does CLIP create a shared image-text embedding space?",
                "how CLIP creates one space for images and texts", 1000, 1200)
