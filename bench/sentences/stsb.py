"""STS-B with sentence vectors trained on an English text: word2vec, a small BERT, and SimCSE.

    python bench/sentences/stsb.py english.txt.gz stsb-en-dev.csv
    python bench/sentences/stsb.py english.txt.gz stsb-en-dev.csv --steps 20 --simcse-steps 10

The text has one sentence per line, words separated by spaces (.gz or not).  The pairs are CSV rows
of sentence, sentence, score 0 to 5.  All models are trained on the text alone: WordPiece, a BERT by
masked LM, unsupervised SimCSE (with the mean and with [CLS]), and word2vec.  The pairs are
normalised to lower-case words without punctuation; the text should have this form, too.

The table has Spearman's rho x 100 of the cosines with the scores, and, for the first sentences of
the pairs, uniformity (lower is better) and the mean cosine.  With the defaults it takes about
ten minutes on two cores.
"""
import argparse
import csv
import gzip
import re
import time

import numpy as np

from scratch_embed.evaluate.correlation import spearman
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences import simcse
from scratch_embed.sentences.static import StaticEncoder, frequencies, sif_weights
from scratch_embed.space.geometry import mean_cosine, uniformity
from scratch_embed.space.similarity import cosine
from scratch_embed.text.packed import Packed
from scratch_embed.text.vocab import index_sentences
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_training import learn_pieces
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import Bert, Config, head_tensors, tensors
from scratch_embed.transformer.pooling import cls, mean
from scratch_embed.words import word2vec
from scratch_embed.words.vectors import WordVectors

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def read_text(path, min_words=4):
    """The distinct sentences of at least min_words words, in order."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        distinct = dict.fromkeys(line.strip() for line in lines)
    return [line for line in distinct if line.count(" ") >= min_words - 1]


def read_pairs(path):
    """The first sentences, the second sentences, and the scores (N,) of the pairs."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [(a, b, float(score)) for a, b, score in csv.reader(file)]
    first, second, scores = zip(*rows)
    return *([" ".join(WORD.findall(text.lower())) for text in side] for side in (first, second)
             ), np.array(scores)


def train_words(lines, arguments):
    """Train word2vec.  -> the word vectors, {word: frequency}"""
    vocab, corpus = index_sentences([line.split() for line in lines], min_count=5)
    W = word2vec.train(corpus, vocab, dim=arguments.dim, window=5, negatives=5, sample=1e-3,
                       epochs=arguments.epochs, options=RunOptions(
                           arguments.workers, arguments.seed, progress=True)).W
    return WordVectors(vocab.words, W), frequencies(vocab)


def train_masked_lm(texts, tokenizer, arguments):
    """Train a small BERT.  -> the untrained and the trained model, the mean of the last losses"""
    config = Config(len(tokenizer), arguments.dim, arguments.layers, 2, 4 * arguments.dim,
                    arguments.max_length, 1)
    initial = init_params(tensors(config) | head_tensors(config), arguments.seed)
    ids = tokenizer.index
    masking = masked_lm.Masking(ids["[MASK]"], (ids["[CLS]"], ids["[SEP]"]))
    trained = masked_lm.train(texts, config, masking, steps=arguments.steps,
                              batch_size=arguments.batch_size, optim=Optim(arguments.lr), p=initial,
                              options=options_of(arguments))
    return Bert(config, initial), trained.model, float(np.mean(trained.losses[-100:]))


def options_of(arguments):
    return RunOptions(arguments.workers, arguments.seed, progress=True)


def compare(lines, texts, tokenizer, words, word_frequencies, pairs, arguments):
    """Print one row per kind of sentence vectors.  word_frequencies: {word: frequency}"""
    *sides, scores = pairs
    packed = [Packed(*tokenizer.encode_batch(side, max_length=arguments.max_length))
              for side in sides]

    def row(name, A, B):
        rho = 100 * spearman(cosine(A, B), scores)
        X = l2_normalize(A.astype(np.float64))[0]
        print(f"{name:28}{rho:8.1f}{uniformity(X):12.2f}{mean_cosine(X):14.2f}", flush=True)

    start = time.perf_counter()
    untrained, trained, loss = train_masked_lm(texts, tokenizer, arguments)
    print(f"\nmasked LM: {arguments.steps:,} steps of {arguments.batch_size}, "
          f"{time.perf_counter() - start:.0f} s, loss {loss:.2f} (chance: "
          f"{np.log(len(tokenizer)):.2f})")
    print(f"\n{'':28}{'STS-B':>8}{'uniformity':>12}{'mean cosine':>14}")
    mean_of_words = StaticEncoder(words)
    weighted = StaticEncoder(words, sif_weights(word_frequencies)).without_common(lines[:10_000])
    for name, encoder in (("word2vec, mean", mean_of_words), ("word2vec, SIF", weighted)):
        row(name, *(encoder.encode(side) for side in sides))
    models = [("untrained, mean", untrained, mean), ("masked LM, mean", trained, mean),
              ("masked LM, [CLS]", trained, cls)]
    for name, model, pool in models:
        row(name, *(simcse.vectors(side, model, pool) for side in packed))
    for name, pool in (("SimCSE, mean", mean), ("SimCSE, [CLS]", cls)):
        optim = Optim(arguments.simcse_lr, weight_decay=0.0)
        model = simcse.train([texts], trained, pool, arguments.tau, arguments.simcse_steps,
                             arguments.batch_size, optim, options=options_of(arguments)).model
        row(name, *(simcse.vectors(side, model, pool) for side in packed))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="text to train on, one sentence per line")
    parser.add_argument("pairs", help="CSV file of sentence,sentence,score")
    parser.add_argument("--pieces", type=int, default=8000,
                        help="size of the WordPiece vocabulary")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=48,
                        help="most tokens of a sentence")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3000, help="training steps of masked LM")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--simcse-steps", type=int, default=500,
                        help="training steps of each SimCSE model")
    parser.add_argument("--simcse-lr", type=float, default=3e-4)
    parser.add_argument("--tau", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=3, help="training epochs of word2vec")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    start = time.perf_counter()
    lines, pairs = read_text(arguments.text), read_pairs(arguments.pairs)
    tokenizer = WordPiece(learn_pieces(lines, arguments.pieces))
    texts = Packed(*tokenizer.encode_batch(lines, max_length=arguments.max_length))
    print(f"{len(lines):,} distinct sentences, {len(tokenizer):,} pieces, "
          f"{len(texts.ids) / len(lines):.1f} tokens per sentence; {len(pairs[2]):,} pairs "
          f"({time.perf_counter() - start:.0f} s)", flush=True)
    start = time.perf_counter()
    words, word_frequencies = train_words(lines, arguments)
    print(f"word2vec: {len(words.index_to_key):,} words, {arguments.epochs} epochs "
          f"({time.perf_counter() - start:.0f} s)", flush=True)
    compare(lines, texts, tokenizer, words, word_frequencies, pairs, arguments)


if __name__ == "__main__":
    main()
