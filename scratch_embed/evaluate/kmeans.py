"""k-means: K centres, with each point assigned to the nearest of them.

Paper     Lloyd 1982, "Least Squares Quantization in PCM"; Arthur & Vassilvitskii 2007,
          "k-means++: The Advantages of Careful Seeding".
Equation  inertia J = Σ_i ‖x_i − c_{l_i}‖².   Assign: l_i = argmin_k ‖x_i − c_k‖²
                                              Update: c_k = mean of the x_i with l_i = k
          Seeding: the next centre is x_i with probability ∝ min_k ‖x_i − c_k‖²
Shapes    X (N, D) -> centres (K, D), labels (N,)
Types     X in float32 or float64 as given; sums in float64
Cost      O(NDK) per step for the products X Cᵀ, which BLAS computes; a kernel then labels and sums
          each block while it is in the cache.  Seeding costs as much as 2 + ln K steps.  Memory: a
          copy of X, a few blocks, and a few arrays of (2 + ln K) N numbers during seeding.
Differs   J sums the squared differences ‖x − c‖² themselves; ‖x‖² − 2x·c + ‖c‖² would lose digits
          by cancellation.  Otherwise as in scikit-learn: seeding draws 2 + ln K candidates for
          each centre and keeps the one with the smallest J (mentioned in the paper's section 7); an
          empty cluster gets the point that is farthest from its centre; the algorithm stops when
          Σ_k ‖move of c_k‖² ≤ tol · (mean variance of a column).
Read next evaluate/mini_batch.py, evaluate/cluster.py

Why does J never rise?  For fixed centres the nearest one is the best label; for fixed labels the
mean is the best centre; and a point moved to an empty cluster is its own centre, so its term of J
becomes 0.  So the algorithm stops, but in a local minimum that depends on the initial centres.
They are drawn by k-means++: with one candidate per centre, the paper proves that the expected J is
at most 8 (ln K + 2) times the global minimum.  Call kmeans with several seeds and keep the
result with the smallest inertia.

How is the nearest centre found?  argmin_k ‖x − c_k‖² = argmax_k x·c_k − ‖c_k‖²/2, because ‖x‖² is
the same for all k.  The mean of X is subtracted first: distances do not change, and less precision
is lost by cancellation.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel

BLOCK = 1 << 18          # most numbers in one block of X, or of the products X Cᵀ


class Clusters(NamedTuple):
    """K centres, the cluster of each point, and J, the sum of squared distances to the centres."""
    centres: np.ndarray      # (K, D) float64
    labels: np.ndarray       # (N,) int64
    inertia: float
    steps: int               # of Lloyd's algorithm, or mini-batches


class Sums(NamedTuple):
    """The sum and the number of the points in each cluster."""
    total: np.ndarray        # (K, D) float64
    counts: np.ndarray       # (K,) int64


def kmeans(X: np.ndarray, K: int, seed: int = 0, max_steps: int = 300, tol: float = 1e-4,
           start: np.ndarray | None = None) -> Clusters:
    """Run Lloyd's algorithm, from k-means++ centres or from `start` (K, D).  X: (N, D) -> Clusters.

    Each step fills empty clusters, but one can be empty at the end, for instance if X has fewer
    than K different rows.
    Raises ValueError unless 1 ≤ K ≤ N, for nan or inf, and for a `start` of another shape.
    """
    X, mean, e = centred(X, K)
    if start is None:
        C = seed_centres(X, K, np.random.default_rng(seed))
    else:
        C = np.ldexp(np.asarray(start, np.float64), -e) - mean
        if C.shape != (K, X.shape[1]):
            raise ValueError(f"start: expected ({K}, {X.shape[1]}), got {C.shape}")
    limit = tol * np.vdot(X, X) / X.size                 # the mean is 0, so this is a variance
    steps, shift = 0, np.inf
    while steps < max_steps and shift > limit:           # unchanged labels give a shift of 0
        labels, distance, sums = assign(X, C)
        sums = fill_empty(X, labels, distance, sums)
        means = sums.total / sums.counts[:, None]
        steps, shift, C = steps + 1, ((means - C) ** 2).sum(), means
    labels, distance, _ = assign(X, C)
    return rescaled(Clusters(C + mean, labels, float(distance.sum()), steps), e)


def centred(X: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray, int]:
    """X / 2^e − mean, that mean, and e, after the checks that every k-means needs.

    (N, D) -> (N, D), (D,), int.  The largest |number| of X / 2^e is in [½, 1) unless X = 0, so no
    square overflows.  A division by a power of two changes exponents, not digits; only numbers that
    are negligible beside the largest underflow.
    """
    X = np.asarray(X)
    X = X.astype(X.dtype if X.dtype in (np.float32, np.float64) else np.float64, order="C")
    if X.ndim != 2 or not 1 <= K <= len(X):
        raise ValueError(f"expected points (N, D) and 1 ≤ K ≤ N, got shape {X.shape} and K = {K}")
    if not np.isfinite(X).all():
        raise ValueError(f"expected finite points, got nan or inf in row "
                         f"{np.flatnonzero(~np.isfinite(X).all(axis=1))[0]}; leave such rows out")
    _, e = np.frexp(np.abs(X).max(initial=0))
    X = np.ldexp(X, -e, out=X)                           # astype above has made a copy
    mean = X.mean(axis=0, dtype=np.float64)
    X -= mean.astype(X.dtype)
    return X, mean.astype(X.dtype).astype(np.float64), int(e)


def rescaled(clusters: Clusters, e: int) -> Clusters:
    """The clusters of X from those of X / 2^e: the same labels; inf is an inertia over 1.8e308."""
    with np.errstate(over="ignore"):
        return clusters._replace(centres=np.ldexp(clusters.centres, e),
                                 inertia=float(np.ldexp(clusters.inertia, 2 * e)))


def seed_centres(X: np.ndarray, K: int, rng: np.random.Generator) -> np.ndarray:
    """Draw K rows of X by k-means++, each the best of 2 + ln K candidates.  -> (K, D) float64.

    X: (N, D), with a mean near 0.
    """
    squares, tries = np.einsum("nd,nd->n", X, X), 2 + int(np.log(K))
    chosen = [int(rng.integers(len(X)))]
    nearest = _squared_distances(X, squares, chosen)[0]                  # (N,): to the nearest
    for _ in range(1, K):
        sums = np.cumsum(nearest, dtype=np.float64)
        drawn = np.searchsorted(sums, rng.random(tries) * sums[-1], side="right")
        drawn = np.minimum(drawn, len(X) - 1)            # all distances 0: under K different rows
        closer = np.minimum(nearest, _squared_distances(X, squares, drawn))      # (tries, N)
        best = closer.sum(axis=1, dtype=np.float64).argmin()
        chosen.append(int(drawn[best]))
        nearest = closer[best]
    return X[chosen].astype(np.float64)


def assign(X: np.ndarray, C: np.ndarray, block: int = BLOCK
           ) -> tuple[np.ndarray, np.ndarray, Sums]:
    """The nearest centre of each point; ties go to the first.  X: (N, D), C: (K, D) float64.

    -> labels (N,) int64, squared distances (N,) float64, Sums over each cluster.
    """
    labels, distance = np.empty(len(X), np.int64), np.empty(len(X))
    sums = Sums(np.zeros(C.shape), np.zeros(len(C), np.int64))
    C = C.astype(X.dtype)
    half = np.einsum("kd,kd->k", C, C) / X.dtype.type(2)
    step = max(1, block // max(X.shape[1], len(C)))
    for i in range(0, len(X), step):
        part = X[i:i + step]                             # part @ C.T: (step, K)
        assign_block_kernel(part @ C.T, half, part, C, labels[i:i + step], distance[i:i + step],
                            sums)
    return labels, distance, sums


def assign_block(products, half, X, C, labels, distance, sums):
    """Write the label and ‖x − c‖² of each row, and add the row to the sums of its cluster.

    products: (B, K) x·c; half: (K,) ‖c‖²/2; X: (B, D); C: (K, D).
    Written in place: labels (B,), distance (B,), sums.
    """
    labels[:] = (products - half).argmax(axis=1)
    distance[:] = ((X - C[labels]) ** 2).sum(axis=1)
    np.add.at(sums.total, labels, X)
    sums.counts[:] += np.bincount(labels, minlength=len(C))


@kernel
def assign_block_kernel(products, half, X, C, labels, distance, sums):
    """assign_block, compiled: one pass over each row."""
    for i in range(len(X)):
        row, best, top = products[i], 0, products[i, 0] - half[0]
        for k in range(1, len(C)):
            if row[k] - half[k] > top:
                best, top = k, row[k] - half[k]
        x, c, total = X[i], C[best], sums.total[best]
        square = x.dtype.type(0)
        for d in range(len(x)):
            difference = x[d] - c[d]
            square += difference * difference
            total[d] += x[d]
        labels[i], distance[i] = best, square
        sums.counts[best] += 1


def fill_empty(X: np.ndarray, labels: np.ndarray, distance: np.ndarray, sums: Sums) -> Sums:
    """Move a point into each empty cluster: the farthest from its centre that is not alone there.

    X: (N, D), labels and distance: (N,) -> Sums; the arguments are not changed.
    """
    if sums.counts.all():
        return sums
    total, count = sums.total.copy(), sums.counts.copy()
    labels, distance = labels.copy(), distance.copy()
    for k in np.flatnonzero(count == 0):
        i = int(np.where(count[labels] > 1, distance, -1).argmax())
        total[labels[i]] -= X[i]
        count[labels[i]] -= 1
        total[k], count[k], labels[i], distance[i] = X[i], 1, k, 0
    return Sums(total, count)


def _squared_distances(X, squares, rows):
    """‖x − X[row]‖² for R row numbers and all N points x; 0 for the row itself.  -> (R, N)"""
    d2 = X[rows] @ X.T                                   # (R, N)
    d2 *= -2
    d2 += squares
    d2 += squares[rows][:, None]
    np.maximum(d2, 0, out=d2)
    d2[np.arange(len(d2)), rows] = 0
    return d2
