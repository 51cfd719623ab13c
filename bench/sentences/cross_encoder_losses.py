"""Train a cross-encoder on a query's candidates together, or on each pair alone.

    python bench/sentences/cross_encoder_losses.py [--seeds 3] [--steps 400] [--negatives 7]

Both trainings start from the same bi-encoder (sentences/sbert.py, 100 steps on the pairs) and read
the same pairs of questions and reports of the world facts, each question with the same random
negatives: cross-entropy of the positive among the candidates (Gao et al. 2021), or binary
cross-entropy whose positives have the weight of all negatives together.  MRR in %, of the positive
among 10 candidates, for questions that were not trained on: the mean over seeds, with the smallest
and the largest; and the difference with its 95 % interval.  Half a minute per seed.
"""
import argparse
import os
import sys

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, script, spread

from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import sbert
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_training import (
    CLASSES,
    pair_loss,
    random_negatives,
    train,
)
from scratch_embed.sentences.cross_encoder_verdict import of_candidates
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.why.contexts import whole_words
from scratch_embed.why.effects import paired_difference
from scratch_embed.worlds.facts import facts
from scratch_embed.worlds.training_pairs import fact_triplets

PAIRS, HELD_OUT = 2000, 400
OPTIM, BATCH = Optim(2e-3, weight_decay=0.0), 32


def bi_encoder(queries, keys, seed):
    """The start: a bi-encoder of 32 dimensions and two layers, trained for 100 steps."""
    tokenizer = whole_words([text.split() for text in (*queries, *keys)])
    config = Config(len(tokenizer), dim=32, layers=2, heads=2, ff=64, positions=48)
    start = SentenceEncoder(tokenizer, Bert(config, init_params(tensors(config), seed)),
                            Recipe(max_seq_length=48))
    views = [sbert.tokenize(start, side) for side in (queries, keys)]
    return sbert.train(views, start, steps=100, batch_size=128, optim=Optim(
        3e-3, weight_decay=0.0), options=RunOptions(seed=seed)).encoder


def measured(seed, steps, K):
    """{loss: MRR} of one seed, and of two baselines: before training, common tokens."""
    world = facts(seed)
    queries, keys, _ = fact_triplets(world, PAIRS, seed)
    asked, answers, _ = fact_triplets(world, HELD_OUT, 1000 + seed)
    start = CrossEncoder.warm_start(bi_encoder(queries, keys, seed), seed=seed)
    columns = [keys, *random_negatives(queries, keys, K, seed)]
    pairs = start.tokenize([(query, text) for query, *texts in zip(queries, *columns)
                            for text in texts])
    N = len(queries)
    place, labels = np.zeros(N, np.int64), np.tile(np.float32([1] + [0] * K), (N, 1))
    found = {}
    for name, targets, loss in (
            ("candidates together", place, CLASSES),
            ("each pair alone", labels, pair_loss(binary_cross_entropy, pos_weight=K))):
        trained = train(pairs, targets, start, loss, steps, BATCH, OPTIM, dropout=0.0,
                        options=RunOptions(seed=seed)).encoder
        verdict = of_candidates(trained, start, asked, [answers], seed)
        found[name] = 100 * verdict.trained
    return {**found, "before training": 100 * verdict.start,
            "common tokens": 100 * verdict.tokens, "chance": 100 * verdict.chance}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, what in (("seeds", 3, "worlds and trainings"), ("steps", 400, "of training"),
                                ("negatives", 7, "random negatives of a question")):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} (%(default)s)")
    arguments = choose(parser, ["mrr"])
    rows = [measured(seed, arguments.steps, arguments.negatives)
            for seed in range(1, arguments.seeds + 1)]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, values in columns.items():
        print(f"{name:<22}{values.mean():6.1f} ({spread(values)})")
    together, alone = (columns[name] for name in ("candidates together", "each pair alone"))
    difference = paired_difference(together, alone)
    print(f"together − alone      {difference.mean:+6.1f} ± {difference.half:.1f}")


if __name__ == "__main__":
    script(main, None)
