"""What a bi-encoder starts from: random weights, a masked LM, or word vectors at several scales.

    python bench/sentences/warm_start.py [--seeds 3] [--steps 100] [--pairs 100 1000 4000]

For each start and each number of training pairs: nDCG@10 in % of the world facts before and after
training (sentences/sbert.py, InfoNCE, batches of 128), the mean over seeds and the smallest and
largest.  Queries and pairs are of worlds/training_pairs.py, so no query of the evaluation is
trained on.  word2vec (why/searches.py) and the masked LM (why/sentences.py) have read the text of
the world, which has no pairs.  The column after the name: nDCG@10 before training.
"""
import argparse
import os
import sys

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, script, spread

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.sentences.warm_start import with_word_vectors
from scratch_embed.training.session import RunOptions
from scratch_embed.why.searches import word2vec_words
from scratch_embed.why.sentences import SIZES, pretrain, score, untrained
from scratch_embed.worlds.training_pairs import fact_triplets

STDS = 0.02, 0.2, 2.0              # of sentences/warm_start.py; the other weights have 0.02


def starts(world):
    """{name: model before training}, of the same sizes and tokenizer."""
    scratch = untrained(world)
    words = word2vec_words(world.search.vocab, world.search.text, world.seed, dim=SIZES["dim"])
    return {"random weights": scratch, "masked LM": world.model.without_heads(),
            **{f"word vectors, std {std:g}": with_word_vectors(
                scratch, world.tokenizer, words, std)[0] for std in STDS}}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="worlds (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="of training (%(default)s)")
    parser.add_argument("--pairs", type=int, nargs="+", default=[100, 1000, 4000],
                        help="numbers of training pairs (%(default)s)")
    arguments = choose(parser, ["ndcg"])
    found = {}                                             # (start, pairs): nDCG of each seed
    for seed in range(1, arguments.seeds + 1):
        world = pretrain(seed)
        for name, model in starts(world).items():
            start = SentenceEncoder(world.tokenizer, model,
                                    Recipe(max_seq_length=SIZES["positions"]))
            found.setdefault((name, 0), []).append(score(world, start.encode).ndcg)
            for n in arguments.pairs:
                texts = fact_triplets(world.world, n, seed)[:2]
                trained = sbert.train([sbert.tokenize(start, side) for side in texts], start,
                                      steps=arguments.steps, batch_size=128,
                                      optim=Optim(3e-3, weight_decay=0.0),
                                      options=RunOptions(seed=seed)).encoder
                found.setdefault((name, n), []).append(score(world, trained.encode).ndcg)
    columns = [0, *arguments.pairs]
    print(f"{'nDCG@10, pairs':<24}" + "".join(f"{n or 'before':>22}" for n in columns))
    for name in dict.fromkeys(name for name, _ in found):
        cells = (found[name, n] for n in columns)
        print(f"{name:<24}" + "".join(f"{np.mean(cell):7.1f} {'(' + spread(cell) + ')':>14}"
                                      for cell in cells))


if __name__ == "__main__":
    script(main, None)
