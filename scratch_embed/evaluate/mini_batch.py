"""Mini-batch k-means: a few hundred points at a time move the centres, so large tables are quick.

Paper     Sculley 2010, "Web-Scale K-Means Clustering", algorithm 1.
Equation  for each point x of a batch, k its nearest centre:   v_k ← v_k + 1
                                                 c_k ← (1 − 1/v_k) c_k + x / v_k
Shapes    X (N, D) -> centres (K, D), labels (N,)
Cost      B·D·K a step for batches of B, and one pass over X for the labels at the end.
          The kernel is that of evaluate/kmeans.py, `assign`.
Differs   the rules around the equation are scikit-learn's MiniBatchKMeans, since MTEB's numbers
          come from it; the draws are other ones, so the two agree in distribution only:
            seeds        k-means++ on max(3 batches, or 3K where that is less than K) drawn points
            batches      drawn with replacement
            reassign     every 10K points, or while a centre has no point yet: centres with under
                         1% of the largest v_k (half a batch of them at most) jump to points of the
                         batch, and get the smallest v of the others
            stop         when the moving average of a batch's inertia has not reached a new low
                         for 10 steps; at the latest after 100 times N points
Read next evaluate/cluster.py

v_k counts the points that c_k has ever taken, so c_k is their mean, of each as it was labelled when
it came.  The rate 1/v_k falls by itself: early batches place a centre, late ones only settle it.
"""
import numpy as np

from scratch_embed.evaluate.kmeans import Clusters, assign, centred, seed_centres
from scratch_embed.numerics.checks import require_whole

MAX_EPOCHS = 100
PATIENCE = 10            # steps without a new low
LOW = 0.01               # of the largest count: a centre with less jumps


def mini_batch_kmeans(X: np.ndarray, K: int, batch_size: int = 1024, seed: int = 0) -> Clusters:
    """Cluster by batches of points.  X: (N, D) -> Clusters; inertia is that of all points.

    Raises ValueError unless 1 ≤ K ≤ N and batch_size ≥ 1, and for nan or inf.
    """
    X, mean = centred(X, K)
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
        if steps == 1:                                   # its inertia is that of the seeds
            continue
        average = _moved(average, distance.mean(), batch_size, N)
        lowest, waited = (average, 0) if average < lowest else (lowest, waited + 1)
        if waited >= PATIENCE:
            break
    labels, distance, _ = assign(X, C)
    return Clusters(C + mean, labels, float(distance.sum()), steps)


def _reassign(C, seen, points, rng):
    """Centres that took hardly any points jump to points of the batch; C and seen are written."""
    low = np.flatnonzero(seen < LOW * seen.max())
    low = low[np.argsort(seen[low], kind="stable")][:len(points) // 2]   # half a batch at most
    if len(low):
        C[low] = points[rng.choice(len(points), len(low), replace=False)]
        seen[low] = np.delete(seen, low).min()


def _moved(average, inertia, batch_size, N):
    """The moving average over about one pass through the points."""
    weight = min(1.0, 2 * batch_size / (N + 1))
    return inertia if average is None else (1 - weight) * average + weight * inertia
