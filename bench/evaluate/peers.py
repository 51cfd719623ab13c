"""Compare the speed of k-means, logistic regression and kNN with that of scikit-learn.

    python bench/evaluate/peers.py
    python bench/evaluate/peers.py lloyd knn --rounds 5 --threads 2

Every run is a separate process, because waiting threads of one library would slow the other.  Both
sides get the same data, drawn from a seed.  Compilation and imports are not timed.  A run's time is
the best of 3 calls.  The two sides take turns, A B A B ...; the table has the median time of each
side, and the median ratio of consecutive runs.
Needs the extra: python -m pip install -e '.[bench]'
"""
import argparse
import os
import statistics
import sys
import time

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, in_a_process, median, ratios, script, spread, threads_of

SIDES = ("scikit-learn", "ours")


# ---- data ----------------------------------------------------------------------------------------

def points(N, D, K, dtype="float32", apart=0.5):
    """N points around K centres, in overlapping clusters, and the number of each point's centre."""
    import numpy as np
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    X = apart * rng.standard_normal((K, D))[truth] + rng.standard_normal((N, D))
    return X.astype(dtype), truth


# ---- the jobs: each returns the function to time, which returns figures to compare ---------------

def lloyd(side):
    """20,000 x 128 float32, K = 32, from the same start, 30 steps"""
    X, _ = points(20_000, 128, 32)
    return kmeans_job(side, X, dict(start=X[:32], tol=0, max_steps=30),
                      dict(init=X[:32], tol=0, max_iter=30))


def whole(side):
    """20,000 x 128 float32, K = 32, k-means++, then Lloyd to the same default tolerance"""
    X, _ = points(20_000, 128, 32)
    return kmeans_job(side, X, dict(seed=1), dict(random_state=1))


def kmeans_job(side, X, ours, theirs):
    """One fit with K = 32.  ours, theirs: the settings of each side."""
    if side == "ours":
        from scratch_embed.evaluate.kmeans import kmeans

        def run():
            found = kmeans(X, 32, **ours)
            return dict(steps=found.steps, inertia=found.inertia)
        return run
    from sklearn.cluster import KMeans

    def run():
        model = KMeans(32, n_init=1, **theirs).fit(X)
        return dict(steps=int(model.n_iter_), inertia=float(model.inertia_))
    return run


def mini_batch(side):
    """16,384 x 128 float32, K = 32, batches of 512, as in MTEB; mean figures of 5 seeds"""
    X, _ = points(16_384, 128, 32)
    if side == "ours":
        from scratch_embed.evaluate.mini_batch import mini_batch_kmeans

        def run():
            found = [mini_batch_kmeans(X, 32, 512, seed) for seed in range(5)]
            return dict(steps=statistics.mean(f.steps for f in found),
                        inertia=statistics.mean(f.inertia for f in found))
        return run
    from sklearn.cluster import MiniBatchKMeans

    def run():
        found = [MiniBatchKMeans(32, batch_size=512, n_init=1, random_state=seed).fit(X)
                 for seed in range(5)]
        return dict(steps=statistics.mean(int(f.n_steps_) for f in found),
                    inertia=statistics.mean(float(f.inertia_) for f in found))
    return run


def logistic_job(side, N, D, K, tol, draws=1):
    """`draws` fits, each to N items with K labels, to the tolerance max|gradient| / N ≤ tol."""
    import numpy as np
    X, y = points(N * draws, D, K, "float64", apart=0.2)
    parts = [(X[i::draws], y[i::draws]) for i in range(draws)]

    def gradient(W, b, X, y):                                # max|gradient| / N of either side
        from scratch_embed.evaluate.logistic import loss_and_gradient
        X1 = np.column_stack([X, np.ones(len(X))])
        code = np.unique(y, return_inverse=True)[1]
        return float(np.abs(loss_and_gradient(np.column_stack([W, b]), X1, code)[1]).max() / N)
    if side == "ours":
        from scratch_embed.evaluate.logistic import fit_logistic

        def run():
            models = [fit_logistic(*part, tol=tol, max_steps=10_000) for part in parts]
            run.check = lambda: gradient(models[0].W, models[0].b, *parts[0])
            return dict(steps=models[0].steps)
        return run
    from sklearn.linear_model import LogisticRegression

    def run():
        models = [LogisticRegression(tol=tol, max_iter=10_000).fit(*part) for part in parts]
        run.check = lambda: gradient(models[0].coef_, models[0].intercept_, *parts[0])
        return dict(steps=int(models[0].n_iter_[0]))
    return run


def logistic(side):
    """5,000 x 128, 10 labels, both to scikit-learn's default tolerance 1e-4"""
    return logistic_job(side, 5_000, 128, 10, 1e-4)


def logistic_tight(side):
    """5,000 x 128, 10 labels, both to our default tolerance 1e-7"""
    return logistic_job(side, 5_000, 128, 10, 1e-7)


def logistic_draws(side):
    """10 samples of 80 x 384 with 10 labels, the size of MTEB's classification, both to 1e-7"""
    return logistic_job(side, 80, 384, 10, 1e-7, draws=10)


def knn(side):
    """2,000 queries among 20,000 x 128 float32, k = 5"""
    X, y = points(22_000, 128, 10)
    X, Q, y = X[:20_000], X[20_000:], y[:20_000]
    if side == "ours":
        from scratch_embed.evaluate.probe import knn_probe
        return lambda: dict(sum_of_labels=int(knn_probe(X, y, Q).sum()))
    from sklearn.neighbors import KNeighborsClassifier
    return lambda: dict(sum_of_labels=int(KNeighborsClassifier(5).fit(X, y).predict(Q).sum()))


JOBS = dict(lloyd=lloyd, whole=whole, mini_batch=mini_batch, logistic=logistic,
            logistic_tight=logistic_tight, logistic_draws=logistic_draws, knn=knn)


# ---- runs ---------------------------------------------------------------------------------------

def worker(job):
    """Time a job (name, side) after one warm-up call -> seconds and figures."""
    name, side = job
    run = JOBS[name](side)
    times = []
    for _ in range(4):                                       # the first call compiles
        start = time.perf_counter()
        figures = run()
        times.append(time.perf_counter() - start)
    if hasattr(run, "check"):
        figures["gradient"] = run.check()
    return dict(seconds=min(times[1:]), figures=figures)


def compare(job, rounds, threads):
    """Run both sides in turn; print a line for each, and the ratio of their times."""
    print(f"\n{job}: {JOBS[job].__doc__}; {threads} thread(s)")
    seconds = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            result = in_a_process([job, side], threads_of(threads))
            seconds[side].append(result["seconds"])
            if len(seconds[side]) == rounds:                 # the last round: print the line
                shown = "  ".join(f"{name} {value:.6g}"
                                  for name, value in result["figures"].items())
                ms = [1e3 * s for s in seconds[side]]
                print(f"  {side:13} {median(ms):8.1f} ms  ({spread(ms)})  {shown}")
    print(f"  scikit-learn / ours: {ratios(*seconds.values())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="per side (%(default)s)")
    arguments = choose(parser, JOBS)
    for job in arguments.sections:
        compare(job, arguments.rounds, arguments.threads)


if __name__ == "__main__":
    script(main, worker)
