"""What can be scored, at best, by who knows only so much: the oracle, the guesser, and between.

Equation  nDCG@k = Σ_{i≤k} g_i d_i / Σ_{i≤k} g*_i d_i,  d_i = 1/log₂(i + 1);  g_i the gain of the
          document at rank i, g* the gains in falling order
          best = Σ_{i≤k} e*_i d_i,  e the expected gain of each document, as a share of the ideal
          sum Σ g* d;  e* in falling order
Shapes    gains: (M, N), M cases of N documents; kind: (N,)
Read next worlds/facts.py (gain_table makes the gains)

Let a ranker be unable to tell some documents apart (all of them: it guesses; those it has not
read; those with the same words), or not to tell which of M questions is asked (it does not read
the instruction).  Then all it can know of a document is its expected gain.  The score is a sum of
gains with weights d that fall, so its expectation is that sum with expected gains; and by the
rearrangement inequality the largest is had by sorting.  Nothing is simulated.
"""
import numpy as np


def discounts(k: int) -> np.ndarray:
    """d_1 .. d_k."""
    return 1 / np.log2(np.arange(2, k + 2))


def ndcg_upper_bound(gains: np.ndarray, kind: np.ndarray | None = None, k: int = 10) -> float:
    """The best expected nDCG@k of who knows the gains, but not which case and which document.

    gains: (M, N) of 0 or more: M equally likely cases that the ranker cannot tell apart; (N,) for
    one.  Each has a gain above 0.
    kind: (N,) numbers; documents of the same number it cannot tell apart.  By default it can.
    """
    gains = np.atleast_2d(np.asarray(gains, np.float64))
    if (gains < 0).any() or not gains.any(axis=1).all():
        raise ValueError("gains: expected numbers of 0 or more, and one above 0 in each case")
    d = discounts(min(k, gains.shape[1]))
    ideal = -np.sort(-gains, axis=1)[:, :len(d)] @ d                      # (M,)
    expected = (gains / ideal[:, None]).mean(axis=0)                      # (N,)
    if kind is not None:
        _, kind, size = np.unique(kind, return_inverse=True, return_counts=True)
        expected = (np.bincount(kind, expected) / size)[kind]
    return float(-np.sort(-expected)[:len(d)] @ d)


def chance_ndcg(gains: np.ndarray, k: int = 10) -> float:
    """The expected nDCG@k of documents in random order, averaged over queries.  gains: (Q, N)."""
    same = np.zeros(gains.shape[1], int)
    return float(np.mean([ndcg_upper_bound(row, same, k) for row in gains]))


def chance_average_precision(relevant: int, documents: int) -> float:
    """The expected average precision of N documents, R of them relevant, in random order.

    At the rank i of a relevant document the precision is (1 + those before it)/i, and (i − 1) ranks
    before it hold (i − 1)(R − 1)/(N − 1) relevant ones on average.  Over i, uniform in 1..N:
        1/N Σ_i (1 + (i − 1)(R − 1)/(N − 1)) / i = (H_N + (R − 1)/(N − 1) · (N − H_N)) / N.
    """
    if not 1 <= relevant <= documents:
        raise ValueError(f"relevant={relevant}: expected 1 to {documents}, the documents")
    harmonic = (1 / np.arange(1, documents + 1)).sum()
    others = (relevant - 1) / max(1, documents - 1)
    return float((harmonic + others * (documents - harmonic)) / documents)


def chance_reciprocal_rank(relevant: int, documents: int, k: int) -> float:
    """The expected 1/(place of the first of R relevant documents), 0 beyond k, in random order.

    None of the first i is relevant with chance q_i = Π_{j<i} (N − R − j)/(N − j), so the first is
    at place i with chance q_{i−1} − q_i.
    """
    if not 1 <= relevant <= documents:
        raise ValueError(f"relevant={relevant}: expected 1 to {documents}, the documents")
    j = np.arange(min(k, documents))
    none = np.cumprod(np.append(1, (documents - relevant - j).clip(0) / (documents - j)))
    return float((none[:-1] - none[1:]) @ (1 / (j + 1)))


def chance_v_measure(labels: list) -> float:
    """About the expected V-measure of N texts put into as many random clusters as there are labels.

    V = 2 I / (H + H'), and for independent labels 2N·I is about χ² with (L − 1)² degrees of freedom
    (I in nats): E I ≈ (L − 1)²/2N.  H' is taken as log L.  Good where N is many times L.
    """
    _, count = np.unique(labels, return_counts=True)
    p = count / count.sum()
    L, entropy = len(count), -(p @ np.log(p))
    return 1.0 if L == 1 else float((L - 1) ** 2 / count.sum() / (entropy + np.log(L)))
