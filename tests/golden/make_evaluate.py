"""How evaluate.json was made: by scikit-learn 1.9.1 and SciPy 1.17.1, from the data in it.

    python tests/golden/make_evaluate.py

The data are random numbers with at most two decimals, and the file contains them with the results.
Iterative methods of scikit-learn run with a tight tolerance.
"""
import json
from pathlib import Path

import numpy as np

rng = np.random.default_rng(5)


def table(N, D, scale=1.0):
    return (scale * rng.standard_normal((N, D))).round(2)


def correlations():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics.pairwise import (
        paired_cosine_distances,
        paired_euclidean_distances,
        paired_manhattan_distances,
    )
    A = table(15, 4)
    B = (A + table(15, 4)).round(2)
    human = rng.integers(0, 6, 15)
    found = {"cosine": 1 - paired_cosine_distances(A, B), "dot": (A * B).sum(axis=1),
             "euclidean": -paired_euclidean_distances(A, B),
             "manhattan": -paired_manhattan_distances(A, B)}
    return dict(A=A, B=B, human=human,
                scores={name: [spearmanr(human, s)[0], pearsonr(human, s)[0]]
                        for name, s in found.items()})


def precision():
    from sklearn.metrics import average_precision_score
    scores, positive = rng.integers(0, 9, 40) / 4, rng.integers(0, 2, 40)
    return dict(scores=scores, positive=positive, ap=average_precision_score(positive, scores))


def classes():
    from sklearn import metrics
    true, found = rng.integers(0, 5, 50), rng.integers(0, 6, 50)
    found = np.where(rng.random(50) < 0.5, true, found)
    want = {}
    for average in "macro", "weighted":
        p, r, f1, _ = metrics.precision_recall_fscore_support(true, found, average=average,
                                                              zero_division=0)
        want[average] = [f1, p, r]
    sets, found_sets = rng.integers(0, 2, (30, 4)), rng.integers(0, 2, (30, 4))
    sets[:3], found_sets[2:5] = 0, 0
    several = [metrics.accuracy_score(sets, found_sets),
               metrics.f1_score(sets, found_sets, average="macro"),
               metrics.label_ranking_average_precision_score(sets, found_sets),
               metrics.jaccard_score(sets, found_sets, average="samples", zero_division=1)]
    return dict(true=true, found=found, accuracy=metrics.accuracy_score(true, found), **want,
                sets=sets, found_sets=found_sets, several=several)


def clusterings():
    from sklearn.metrics import homogeneity_completeness_v_measure
    cases = [(rng.integers(0, a, 40), rng.integers(0, b, 40)) for a, b in ((4, 3), (7, 2), (2, 20))]
    cases.append((cases[0][0], (cases[0][0] + 1) // 2))
    return [dict(labels=a, clusters=b, hcv=homogeneity_completeness_v_measure(a, b))
            for a, b in cases]


def logistic():
    from sklearn.linear_model import LogisticRegression
    cases = []
    for K, C in ((3, 1.0), (2, 1.0), (4, 0.1)):
        X = table(40, 3)
        y = (X @ table(3, K) + table(40, K)).argmax(axis=1)
        model = LogisticRegression(C=C, tol=1e-12, max_iter=100_000).fit(X, y)
        cases.append(dict(X=X, y=y, C=C, W=model.coef_, b=model.intercept_))
    return cases


def neighbours():
    from sklearn.neighbors import KNeighborsClassifier
    X, Q = table(60, 4), table(25, 4)
    y, sets = rng.integers(0, 4, 60), rng.integers(0, 2, (60, 3))
    return dict(X=X, Q=Q, y=y, sets=sets, one=KNeighborsClassifier(5).fit(X, y).predict(Q),
                several=KNeighborsClassifier(5).fit(X, sets).predict(Q))


def lloyd():
    from sklearn.cluster import KMeans
    X = (table(80, 3) + 2 * table(4, 3)[rng.integers(0, 4, 80)]).round(2)
    start = X[:5]
    model = KMeans(5, init=start, n_init=1, tol=0).fit(X)
    return dict(X=X, start=start, centres=model.cluster_centers_, labels=model.labels_,
                inertia=model.inertia_)


def main():
    golden = dict(sts=correlations(), precision=precision(), classes=classes(),
                  clusterings=clusterings(), logistic=logistic(), neighbours=neighbours(),
                  kmeans=lloyd())
    text = json.dumps(golden, default=lambda x: x.tolist(), separators=(",", ":"))
    Path(__file__).with_name("evaluate.json").write_text(text.replace(',"', ',\n"') + "\n")


if __name__ == "__main__":
    main()
