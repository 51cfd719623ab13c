"""Upper bounds and chance: the highest expected score of a model with limited knowledge.

Equation  nDCG@k = Σ_{i≤k} g_i d_i / Σ_{i≤k} g*_i d_i,  d_i = 1/log₂(i + 1),  where g_i is the gain
          of the document at rank i, and g* are all gains in descending order
          upper bound = Σ_{i≤k} e*_i d_i,  where e is, for each document, the expected value of
          gain / Σ_{i≤k} g*_i d_i, and e* is e in descending order
Shapes    gains: (M, N), M cases of N documents; kind: (N,)
Read next worlds/facts.py (gain_table makes the gains)

A score of 0.7 says little without the score of chance and the highest possible score.  In the toy
worlds both are computed exactly, without simulation (chance_v_measure is an approximation).

Derivation.  A model may be unable to distinguish some documents: all of them (chance), those that
it has not read, or those with the same words.  Or it may not know which of M queries it is given,
because it does not read the instruction.  Then all that it can know about a document is the
expected value e of its gain / ideal sum.  nDCG is linear in these, so the expected nDCG of a
ranking is Σ e_i d_i.  The discounts d fall with the rank, so by the rearrangement inequality the
sum is largest if e is in descending order.
"""
import numpy as np


def discounts(k: int) -> np.ndarray:
    """The discounts d_1 .. d_k of nDCG.  -> (k,)"""
    return 1 / np.log2(np.arange(2, k + 2))


def ndcg_upper_bound(gains: np.ndarray, kind: np.ndarray | None = None, k: int = 10) -> float:
    """The highest expected nDCG@k of a ranker that cannot distinguish some cases or documents.

    gains: (M, N), 0 or more, for M equally likely cases that the ranker cannot distinguish; (N,)
    for one case.  Each case needs a gain above 0.
    kind: (N,) integers; the ranker cannot distinguish documents of the same kind.  By default each
    document is a kind of its own.
    Raises ValueError for a negative gain or a case without a gain above 0.
    """
    gains = np.atleast_2d(np.asarray(gains, np.float64))
    if (gains < 0).any() or not gains.any(axis=1).all():
        raise ValueError("gains: expected numbers of 0 or more, and one above 0 in each case; "
                         f"got {gains.min():g} to {gains.max():g}")
    d = discounts(min(k, gains.shape[1]))
    ideal = -np.sort(-gains, axis=1)[:, :len(d)] @ d                      # (M,)
    expected = (gains / ideal[:, None]).mean(axis=0)                      # (N,)
    if kind is not None:
        _, kind, size = np.unique(kind, return_inverse=True, return_counts=True)
        expected = (np.bincount(kind, expected) / size)[kind]
    return float(-np.sort(-expected)[:len(d)] @ d)


def chance_ndcg(gains: np.ndarray, k: int = 10) -> float:
    """The expected nDCG@k of a random order, averaged over queries.  gains: (Q, N)."""
    same = np.zeros(gains.shape[1], int)
    return float(np.mean([ndcg_upper_bound(row, same, k) for row in gains]))


def chance_average_precision(relevant: int, documents: int) -> float:
    """The expected average precision of N documents, R of them relevant, in random order.

    relevant: R.  documents: N.  Raises ValueError unless 1 ≤ R ≤ N.

    The precision at a relevant document of rank i is (1 + the relevant ones before it)/i, and the
    i − 1 ranks before it hold (i − 1)(R − 1)/(N − 1) relevant ones on average.  The rank i is
    uniform in 1..N, so the mean is
        1/N Σ_i (1 + (i − 1)(R − 1)/(N − 1)) / i = (H_N + (R − 1)/(N − 1) · (N − H_N)) / N.
    """
    if not 1 <= relevant <= documents:
        raise ValueError(f"relevant: expected 1 to {documents} (documents), got {relevant}")
    harmonic = (1 / np.arange(1, documents + 1)).sum()
    others = (relevant - 1) / max(1, documents - 1)
    return float((harmonic + others * (documents - harmonic)) / documents)


def chance_reciprocal_rank(relevant: int, documents: int, k: int) -> float:
    """The expected reciprocal rank, cut at k, of R relevant documents among N in random order.

    relevant: R.  documents: N.  Raises ValueError unless 1 ≤ R ≤ N.

    With probability q_i = Π_{j<i} (N − R − j)/(N − j) the first i documents are all irrelevant, so
    the first relevant one has rank i with probability q_{i−1} − q_i.
    """
    if not 1 <= relevant <= documents:
        raise ValueError(f"relevant: expected 1 to {documents} (documents), got {relevant}")
    j = np.arange(min(k, documents))
    irrelevant = np.cumprod(np.append(1, (documents - relevant - j).clip(0) / (documents - j)))
    return float((irrelevant[:-1] - irrelevant[1:]) @ (1 / (j + 1)))     # q_{i−1} − q_i


def chance_v_measure(labels: list) -> float:
    """Approximately the expected V-measure of N texts in L random clusters, L the number of labels.

    V = 2 I / (H + H'), with the mutual information I of labels and clusters and their entropies H
    and H'.  For random clusters 2N·I (I in nats) is approximately χ²-distributed with (L − 1)²
    degrees of freedom, so the mean of I is about (L − 1)²/2N.  H' is about log L.  The
    approximation is good if N is many times L.
    """
    _, count = np.unique(labels, return_counts=True)
    p = count / count.sum()
    L, entropy = len(count), -(p @ np.log(p))
    return 1.0 if L == 1 else float((L - 1) ** 2 / count.sum() / (entropy + np.log(L)))
