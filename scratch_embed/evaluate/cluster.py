"""V-measure: the agreement of clusters with labels, and MTEB's clustering protocol.

Paper     Rosenberg & Hirschberg 2007, "V-Measure: A Conditional Entropy-Based External Cluster
          Evaluation Measure"; Muennighoff et al. 2022, "MTEB" and Enevoldsen et al. 2025,
          "MMTEB: Massive Multilingual Text Embedding Benchmark", section 2.3 (the faster protocol).
Equation  homogeneity h = 1 − H(label | cluster) / H(label)        1 if each cluster has one label
          completeness c = 1 − H(cluster | label) / H(cluster)     1 if each label is in one cluster
          V = 2 h c / (h + c)
Shapes    labels, clusters: (N,) -> numbers in [0, 1]
Cost      O(N log N) to sort: only the pairs (label, cluster) that occur are counted, not a table of
          all; no kernel
Protocol  bootstrapped_v_measures is MTEB's present, faster protocol: 10 times, 16,384 points are
          drawn WITH replacement, also from a smaller set, and clustered in mini-batches of 512,
          with K = the number of different labels of all points.  The main score is the mean V over
          the 10 draws and over all levels of nested labels.
          v_measure_of_set is the older protocol: each given set of points is clustered once, in
          batches of 500, and the main score is the mean over the sets.
          The samples equal mteb's if the generator is in the same state.  The random numbers inside
          k-means differ from scikit-learn's, so scores agree with mteb's only up to the random
          variation of the draws.
Differs   mteb also reports adjusted mutual information.  If the nested labels of the texts differ
          in depth, mteb gives the label "-1" to a text without a label on a level, although its
          code is written to leave such texts out; here the caller passes the labels of one level.
Read next evaluate/mini_batch.py, evaluate/kmeans.py

Why a harmonic mean?  A single cluster has completeness 1, one cluster per point has homogeneity 1,
and both are useless.  V is the mutual information divided by the mean of the two entropies.  It is
not corrected for chance: with many small clusters, random labels score well above 0, so report the
score of random vectors (evaluate/baselines.py) in the same table row.
"""
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.mini_batch import mini_batch_kmeans


class VMeasure(NamedTuple):
    """All in [0, 1]; 1 is best."""
    v: float
    homogeneity: float
    completeness: float


def v_measure(labels: Sequence | np.ndarray, clusters: Sequence | np.ndarray) -> VMeasure:
    """Compare a clustering with the labels.  labels, clusters: (N,), integers or strings.

    If all labels are equal, homogeneity is 1; if all clusters are equal, completeness is 1.
    Raises ValueError for empty lists or lists of different lengths.
    """
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    if labels.ndim != 1 or labels.shape != clusters.shape or not len(labels):
        raise ValueError(f"expected as many clusters as labels, one or more, got shapes "
                         f"{labels.shape} and {clusters.shape}")
    _, a = np.unique(labels, return_inverse=True)
    _, b = np.unique(clusters, return_inverse=True)
    H_ab = _entropy(a * (b.max() + 1) + b)           # H(label, cluster)
    H_a, H_b = _entropy(a), _entropy(b)
    h = 1 - (H_ab - H_b) / H_a if H_a else 1.0       # H(a | b) = H(a, b) − H(b)
    c = 1 - (H_ab - H_a) / H_b if H_b else 1.0
    h, c = (float(np.clip(x, 0, 1)) for x in (h, c))
    return VMeasure(2 * h * c / (h + c) if h + c else 0.0, h, c)


def v_measure_of_set(X: np.ndarray, labels: Sequence | np.ndarray, batch_size: int = 500,
                     seed: int = 42) -> float:
    """MTEB's older protocol: V of one clustering of all points.  X: (N, D), labels: (N,)."""
    K = len(np.unique(np.asarray(labels)))
    if K == 1:
        return 1.0
    return v_measure(labels, mini_batch_kmeans(X, K, batch_size, seed).labels).v


def bootstrapped_v_measures(X: np.ndarray, labels: Sequence | np.ndarray, rng: random.Random,
                            draws: int = 10, size: int = 16_384, batch_size: int = 512,
                            seed: int = 42) -> list[float]:
    """MTEB's present protocol: the V of each of `draws` samples.  X: (N, D), labels: (N,).

    rng: mteb makes one generator per task, random.Random(seed).  It first draws the documents to
    embed, and then uses the same generator for the samples of every level of nested labels.
    """
    X, labels = np.asarray(X), np.asarray(labels)
    K, scores = len(np.unique(labels)), []
    for _ in range(draws):
        rows = rng.choices(range(len(X)), k=size)
        found = mini_batch_kmeans(X[rows], K, batch_size, seed)
        scores.append(v_measure(labels[rows], found.labels).v)
    return scores


def _entropy(code):
    """The entropy of the values of an integer array, in nats."""
    _, count = np.unique(code, return_counts=True)
    p = count / len(code)
    return float(-(p * np.log(p)).sum()) if len(count) > 1 else 0.0
