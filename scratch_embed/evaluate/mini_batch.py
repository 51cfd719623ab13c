"""Mini-batch k-means: centres are updated after every few hundred points instead of after all N.

Paper     Sculley 2010, "Web-Scale K-Means Clustering", algorithm 1.
Equation  for each point x of a batch, k its nearest centre:   v_k ← v_k + 1
                                                 c_k ← (1 − 1/v_k) c_k + x / v_k
Shapes    X (N, D) -> centres (K, D), labels (N,)
Cost      O(B·D·K) per step for batches of B, and one pass over X for the labels at the end.  The
          kernel is the one in evaluate/kmeans.py (`assign`).
Differs   the rules around the equation are those of scikit-learn's MiniBatchKMeans, because MTEB
          uses it; the random numbers differ, so the two agree in distribution only:
            seeding      k-means++ on 3 batches of random points, or on 3K if those are fewer than K
            batches      drawn with replacement
            reassigning  every 10K points, or while a centre has no point yet: centres with under 1%
                         of the largest v_k (at most half a batch of them) are replaced by points
                         of the batch, and get the smallest v of the centres that are kept
            stopping     when the moving average of the batches' inertia has had no new minimum for
                         10 steps; at the latest after 100 N points
Read next evaluate/cluster.py

Why 1/v_k?  v_k counts the points that c_k has been updated with, so c_k is the mean of all points
that were nearest to it when they were drawn.  The step size 1/v_k decreases by itself: early
batches place a centre, late ones hardly move it.
"""
import numpy as np

from scratch_embed.evaluate.kmeans import Clusters, assign, centred, rescaled, seed_centres
from scratch_embed.numerics.checks import require_whole

MAX_EPOCHS = 100
PATIENCE = 10            # steps without a new minimum
LOW = 0.01               # a centre with less than this share of the largest v_k is reassigned


def mini_batch_kmeans(X: np.ndarray, K: int, batch_size: int = 1024, seed: int = 0) -> Clusters:
    """Run mini-batch k-means.  X: (N, D) -> Clusters; labels and inertia are those of all N points.

    Raises ValueError unless 1 ≤ K ≤ N and batch_size ≥ 1, and for nan or inf.
    """
    X, mean, e = centred(X, K)
    N, rng = len(X), np.random.default_rng(seed)
    batch_size = min(require_whole("batch_size", batch_size, 1), N)
    drawn = 3 * batch_size if 3 * batch_size >= K else 3 * K
    C = seed_centres(X if drawn >= N else X[rng.integers(N, size=drawn)], K, rng)
    seen, since, steps = np.zeros(K), 0, 0
    average, lowest, waited = None, np.inf, 0
    for steps in range(1, MAX_EPOCHS * N // batch_size + 1):
        points = X[rng.integers(N, size=batch_size)]
        _, distance, sums = assign(points, C)
        seen += sums.counts
        taken = sums.counts > 0
        C[taken] += ((sums.total - sums.counts[:, None] * C)[taken]) / seen[taken, None]
        since += batch_size
        if since >= 10 * K or not seen.all():
            since = 0
            _reassign(C, seen, points, rng)
        if steps == 1:                                   # the inertia of the initial centres
            continue
        average = _moved(average, distance.mean(), batch_size, N)
        lowest, waited = (average, 0) if average < lowest else (lowest, waited + 1)
        if waited >= PATIENCE:
            break
    labels, distance, _ = assign(X, C)
    return rescaled(Clusters(C + mean, labels, float(distance.sum()), steps), e)


def _reassign(C, seen, points, rng):
    """Replace centres with hardly any points by points of the batch; changes C and seen."""
    low = np.flatnonzero(seen < LOW * seen.max())
    low = low[np.argsort(seen[low], kind="stable")][:len(points) // 2]   # half a batch at most
    if len(low):
        C[low] = points[rng.choice(len(points), len(low), replace=False)]
        seen[low] = np.delete(seen, low).min()


def _moved(average, inertia, batch_size, N):
    """Update the moving average of the inertia, over about one pass through the points."""
    weight = min(1.0, 2 * batch_size / (N + 1))
    return inertia if average is None else (1 - weight) * average + weight * inertia
