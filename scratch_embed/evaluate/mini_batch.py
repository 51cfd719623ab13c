"""Mini-batch k-means: centres are updated after each batch of B points, not after all N.

Paper     Sculley 2010, "Web-Scale K-Means Clustering", algorithm 1.
Equation  for each point x of a batch, k its nearest centre:   v_k ← v_k + 1
                                                 c_k ← (1 − 1/v_k) c_k + x / v_k
Shapes    X (N, D) -> centres (K, D), labels (N,)
Cost      O(B·D·K) per step with a batch of B points, and one pass over X for the labels at the end.
          The kernel is that of `assign` in evaluate/kmeans.py.
Differs   the rules around the equation are those of scikit-learn's MiniBatchKMeans, because MTEB
          uses it; the random numbers differ, so the two agree in distribution only:
            seeding      k-means++ on 3B random points, or on 3K if 3B < K; if N is less, on all
            batches      drawn with replacement
            reassigning  every 10·K points, and after each step while a centre has had no point:
                         centres whose v_k is under 1% of the largest (at most B/2 of them) are
                         replaced by points of the batch, and their v_k by the smallest v_k of
                         the other centres
            stopping     when the moving average of the batches' mean squared distance has had no
                         new minimum for 10 steps; at the latest after 100·N points
Read next evaluate/cluster.py

Why 1/v_k?  v_k counts the points that have updated c_k, so c_k, until it is reassigned, is the
mean of all points that were nearest to it when they were drawn.  The step size 1/v_k decreases by
itself: early batches place a centre, late ones hardly move it.
"""
import numpy as np

from scratch_embed.evaluate.kmeans import Clusters, assign, centred, rescaled, seed_centres
from scratch_embed.numerics.checks import require_whole

MAX_EPOCHS = 100         # steps are limited to this many times N points
PATIENCE = 10            # steps without a new minimum
LOW = 0.01               # a centre whose v_k is less than this share of the largest is reassigned


def mini_batch_kmeans(X: np.ndarray, K: int, batch_size: int = 1024, seed: int = 0) -> Clusters:
    """Run mini-batch k-means.  X: (N, D) -> Clusters; labels and inertia are those of all N points.

    Raises ValueError unless 1 ≤ K ≤ N and batch_size ≥ 1, and for nan or inf.
    """
    X, mean, e = centred(X, K)
    N, rng = len(X), np.random.default_rng(seed)
    batch_size = min(require_whole("batch_size", batch_size, 1), N)
    seed_points = 3 * batch_size if 3 * batch_size >= K else 3 * K
    C = seed_centres(X if seed_points >= N else X[rng.integers(N, size=seed_points)], K, rng)
    v, since, steps = np.zeros(K), 0, 0                  # since: points since a reassignment
    average, lowest, stalled = None, np.inf, 0
    for steps in range(1, MAX_EPOCHS * N // batch_size + 1):
        points = X[rng.integers(N, size=batch_size)]
        _, distance, sums = assign(points, C)
        v += sums.counts
        updated = sums.counts > 0
        C[updated] += ((sums.total - sums.counts[:, None] * C)[updated]) / v[updated, None]
        since += batch_size
        if since >= 10 * K or not v.all():
            since = 0
            _reassign(C, v, points, rng)
        if steps == 1:                                   # distances to the initial centres
            continue
        average = _update_average(average, distance.mean(), batch_size, N)
        lowest, stalled = (average, 0) if average < lowest else (lowest, stalled + 1)
        if stalled >= PATIENCE:
            break
    labels, distance, _ = assign(X, C)
    return rescaled(Clusters(C + mean, labels, float(distance.sum()), steps), e)


def _reassign(C, v, points, rng):
    """Replace centres with a small v_k by random points of the batch; C and v are changed."""
    low = np.flatnonzero(v < LOW * v.max())
    low = low[np.argsort(v[low], kind="stable")][:len(points) // 2]   # half a batch at most
    if len(low):
        C[low] = points[rng.choice(len(points), len(low), replace=False)]
        v[low] = np.delete(v, low).min()


def _update_average(average, inertia, batch_size, N):
    """Update the moving average of a batch's mean squared distance, over about N points."""
    weight = min(1.0, 2 * batch_size / (N + 1))
    return inertia if average is None else (1 - weight) * average + weight * inertia
