"""[CLS] and the mean of the tokens as sentence vectors: untrained, after masked LM, after SimCSE.

    python bench/sentences/pooling.py
    python bench/sentences/pooling.py --seeds 1 --sentences 2000

Each seed draws a world of reports (worlds/facts.py) and trains a small BERT on its text by masked
LM.  From this BERT two models are trained by SimCSE, one for each pooling.  The columns:

nDCG@10       of a search for the reports that answer a question, in %; higher is better
STS           Spearman's rho, in %, of the cosine of two reports with the number of slots in which
              they agree; higher is better
mean cosine   over all pairs of reports

The table has means and standard deviations over the seeds.  BM25 and random vectors are the
baselines.  About half a minute per seed on one core.
"""
import argparse

import numpy as np

from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.why.searches import lexical, ndcg_percent
from scratch_embed.why.sentences import encode_by, pretrain, score, train_simcse, untrained

COLUMNS = {"nDCG@10": "ndcg", "STS": "sts", "mean cosine": "cosine"}  # fields of Scores


def measure(seed, **sizes):
    """{name of the row: its three numbers, (3,)} for the world of one seed."""
    experiment, scores = pretrain(seed, **sizes), {}
    for name, pool in (("[CLS]", cls), ("mean", mean)):
        for stage, model in (("untrained", untrained(experiment)), ("masked LM", experiment.model),
                             ("SimCSE", train_simcse(experiment, pool=pool).model)):
            scores[f"{stage}, {name}"] = score(experiment, encode_by(experiment, model, pool))
    rng = np.random.default_rng(seed)
    scores["random vectors"] = score(experiment,
                                     lambda texts: rng.standard_normal((len(texts), 32)))
    rows = {name: np.array([getattr(found, field) for field in COLUMNS.values()])
            for name, found in scores.items()}
    bm25 = ndcg_percent(experiment.search, lexical(experiment.search))
    return rows | {"BM25": np.array([bm25, np.nan, np.nan])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--sentences", type=int, default=12_000,
                        help="generated training sentences, in addition to the reports")
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    tables = [measure(seed, sentences=arguments.sentences) for seed in seeds]
    print(f"{'':20}" + "".join(f"{name:>18}" for name in COLUMNS))
    for name in tables[0]:
        values = np.array([table[name] for table in tables])         # (seeds, 3)
        cells = zip(values.mean(0), values.std(0))
        print(f"{name:20}" + "".join(f"{'':18}" if np.isnan(average) else
                                     f"{average:11.2f} ± {deviation:4.2f}"
                                     for average, deviation in cells))


if __name__ == "__main__":
    main()
