"""[CLS] and the mean of the tokens as sentence vectors: untrained, after masked LM, after SimCSE.

    python bench/sentences/pooling.py
    python bench/sentences/pooling.py --seeds 1 --sentences 2000

Each seed draws a world of reports (worlds/facts.py) and trains a small BERT on its text, first by
masked LM, then by SimCSE, once for each pooling.  The columns are measures of why/sentences.py:
nDCG@10 of questions about reports and, as STS, Spearman's rho of the cosine of two reports with the
number of slots in which they agree (both in %, more is better); and the mean cosine of any two
reports.  Means and standard deviations over seeds.  BM25 and random vectors are the baselines.
About half a minute per seed on one core.
"""
import argparse

import numpy as np

from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.why.searches import lexical, ndcg_percent
from scratch_embed.why.sentences import encode_by, pretrain, score, train_simcse, untrained

COLUMNS = {"nDCG@10": 0, "STS": 1, "mean cosine": 4}


def measure(seed, **sizes):
    """{name of the row: its columns, (3,)} for the world of one seed."""
    encoder, scores = pretrain(seed, **sizes), {}
    for name, pool in (("[CLS]", cls), ("mean", mean)):
        for stage, model in (("untrained", untrained(encoder)), ("masked LM", encoder.model),
                             ("SimCSE", train_simcse(encoder, pool=pool).model)):
            scores[f"{stage}, {name}"] = score(encoder, encode_by(encoder, model, pool))
    rng = np.random.default_rng(seed)
    scores["random vectors"] = score(encoder, lambda texts: rng.standard_normal((len(texts), 32)))
    rows = {name: np.array(row)[list(COLUMNS.values())] for name, row in scores.items()}
    return rows | {"BM25": np.array([ndcg_percent(encoder.search, lexical(encoder.search)),
                                     np.nan, np.nan])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--sentences", type=int, default=12_000, help="sentences of the text")
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    measured = [measure(seed, sentences=arguments.sentences) for seed in seeds]
    print(f"{'':20}" + "".join(f"{name:>18}" for name in COLUMNS))
    for name in measured[0]:
        rows = np.array([rows[name] for rows in measured])
        numbers = zip(rows.mean(0), rows.std(0))
        print(f"{name:20}" + "".join(f"{m:11.2f} ± {s:4.2f}" if m == m else f"{'':18}"
                                     for m, s in numbers))


if __name__ == "__main__":
    main()
