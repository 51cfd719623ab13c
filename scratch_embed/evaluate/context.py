"""Context recall: is the evidence that answers a question within what a reader reads?

Paper     Lewis et al. 2020, "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks"
          (the reader gets the first passages); Es et al. 2023, "RAGAS" (context recall).
Equation  tokens_needed(q) = ℓ_1 + … + ℓ_r,   r the rank of the first chunk with evidence for q, and
          ℓ_i the tokens of the chunk at rank i;  ∞ if no chunk has evidence
          recall at a budget B = the share of questions with tokens_needed ≤ B
Shapes    scores (Q, C) of C chunks for Q questions; lengths (C,); evidence (Q, C) bool -> (Q,)
Cost      O(Q C log C), a sort for each question; no kernel
Differs   RAGAS asks a language model which statements of the answer are in the context; here the
          evidence is known.  The context is the longest beginning of the ranking that fits into the
          budget; a reader could also skip a chunk that is too long, or read a part of it.
Read next text/chunks.py, evaluate/abstention.py, answers/rag.py

Why not Recall@k?  k counts results, but a reader pays by the token: ten results of 32 tokens cost
as much as two of 160.  With Recall@k longer chunks always look better, and a single chunk that
holds the whole collection has Recall@1 = 1.  At a budget of tokens sizes can be compared.

Equal scores are in the order of the input, the lowest index first.  So shuffle chunks, or sort them
by name, if the order could reveal the answer (evaluate/ranking.py: ties).
"""
import numpy as np


def tokens_needed(scores: np.ndarray, lengths: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """How many tokens a reader must read, in the order of the scores, to have evidence.  -> (Q,)

    scores: (Q, C), higher is better; lengths: (C,); evidence: (Q, C), True if the chunk answers the
    question by itself.  Raises ValueError for shapes that do not match, nan, or lengths below 0.

    >>> tokens_needed(np.array([[0.9, 0.5, 0.7]]), np.array([10, 20, 30]),
    ...               np.array([[False, True, False]]))                        # 10 + 30 + 20
    array([60.])
    """
    scores, lengths = np.asarray(scores, np.float64), np.asarray(lengths)
    evidence = np.asarray(evidence, bool)
    if scores.ndim != 2 or scores.shape != evidence.shape or lengths.shape != scores.shape[1:]:
        raise ValueError("expected scores (Q, C), lengths (C,) and evidence (Q, C), got shapes "
                         f"{scores.shape}, {lengths.shape} and {evidence.shape}")
    if np.isnan(scores).any():
        raise ValueError("scores: expected numbers that can be ranked, got nan")
    if (lengths < 0).any():
        raise ValueError(f"lengths: expected numbers of at least 0, got {lengths.min()}")
    order = np.argsort(-scores, axis=1, kind="stable")                         # (Q, C)
    read = np.cumsum(lengths[order], axis=1, dtype=np.float64)
    found = np.take_along_axis(evidence, order, axis=1)
    return np.where(found, read, np.inf).min(axis=1, initial=np.inf)


def context_recall(needed: np.ndarray, budget: float) -> float:
    """The share of questions whose evidence is in a context of `budget` tokens.

    needed: (Q,), of tokens_needed.

    >>> context_recall(np.array([60.0, 100.0, np.inf]), budget=64)
    0.3333333333333333
    """
    if not len(needed):
        raise ValueError("needed: expected at least 1 question, got none")
    return float((np.asarray(needed) <= budget).mean())
