"""Ablations of word2vec: the effect of removing each part, one at a time.

Paper     Mikolov et al. 2013b, which introduces these parts; Levy, Goldberg & Dagan 2015,
          "Improving Distributional Similarity with Lessons Learned from Word Embeddings", which
          compares them.
Shapes    a score is the % of analogies solved on a toy text (worlds/words.py, hard)
Cost      a training run on 150,000 words takes about a second.
Read next why/ablations.py (how effects are measured), why/effects.py (intervals), words/ppmi.py
          (the closed form)

A seed determines the text as well as the initial weights, so the result is about texts of this
kind.  A toy text of 290 words is not English: a part that was made for a vocabulary of a million
words, or for a text with topics, may have no effect here.  The predictions follow from the papers.
They were written before the measurement, and failed predictions are kept.

Training takes only 5 epochs, as is usual for long texts.  This favours variants with more or larger
steps, so some ablations are repeated with the same total number of steps or with longer training.
Baselines: METHODS also has random and untrained vectors.
"""
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import pearson
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.vocab import index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.words.cbow import cbow_chunk, corrected_cbow_chunk
from scratch_embed.words.negative_sampling import noise_distribution
from scratch_embed.words.plan import Details
from scratch_embed.words.ppmi import ppmi, sgns_optimum, shifted_pmi, svd_vectors, window_counts
from scratch_embed.words.shared_negatives import shared_chunk
from scratch_embed.words.word2vec import initial_weights, train
from scratch_embed.worlds.grammar import pair_distribution
from scratch_embed.worlds.words import hard, tiny

SKIPGRAM = dict(dim=50, window=5, negatives=5, sample=1e-3, lr=0.025, epochs=5)
CBOW = dict(SKIPGRAM, method=cbow_chunk, lr=0.05)
LONG = dict(SKIPGRAM, dim=32, epochs=15)           # fewer dimensions, or all would be near 100%
FIXED, CONSTANT = Details(fixed_window=True), Details(min_lr_ratio=1.0)

OTHER_POWERS = {"count^1": (dict(details=Details(power=1.0)), HELPS),
                "uniform": (dict(details=Details(power=0.0)), HELPS)}
OTHER_RATES = {"the initial lr": (dict(details=CONSTANT), HELPS),
               "the mean lr": (dict(details=CONSTANT, lr=0.0125), HELPS)}

ABLATIONS = [
    Ablation(
        "negatives drawn by count^3/4",
        "Drawn by count, the negatives are always the same few words; drawn uniformly, they are "
        "hardly ever frequent words.  3/4 is a compromise, and better than both.",
        SKIPGRAM, OTHER_POWERS),
    Ablation(
        "a random window size",
        "A random size gives nearer words, which are more informative, a higher weight; compared "
        "with a fixed window of the same mean size, little of this gain is left.",
        SKIPGRAM, {"always 5": (dict(details=FIXED), HELPS),
                   "always 5, as many pairs": (dict(details=FIXED, epochs=3), HELPS),
                   "always 3": (dict(details=FIXED, window=3), NOT_SIGNIFICANT)}),
    Ablation(
        "subsampling",
        "Frequent words say little about the words near them, and they fill the window; without "
        "them the window reaches further.",
        SKIPGRAM, {"every word kept": (dict(sample=0), HELPS)}),
    Ablation(
        "5 negatives per pair",
        "More negatives per pair give more to learn from, most of all in a small text; if the "
        "epochs are changed so that the total number of targets is equal, no difference is left.",
        SKIPGRAM, {"1": (dict(negatives=1), HELPS),
                   "1, as many targets": (dict(negatives=1, epochs=15), NOT_SIGNIFICANT),
                   "15": (dict(negatives=15), HURTS),
                   "15, as many targets": (dict(negatives=15, epochs=2), NOT_SIGNIFICANT)}),
    Ablation(
        "new negatives for each pair",
        "Shared negatives give gradients with the same mean and a little more variance.",
        SKIPGRAM, {"shared by a position": (dict(method=shared_chunk), NOT_SIGNIFICANT)}),
    Ablation(
        "CBOW: each word gets the whole gradient",
        "The share that the equation gives each context word is several times smaller, too small "
        "a step for a short training run; with a larger learning rate it is as good.",
        CBOW, {"its share": (dict(method=corrected_cbow_chunk), HELPS),
               "its share, lr x 3": (dict(method=corrected_cbow_chunk, lr=0.15),
                                     NOT_SIGNIFICANT)}),
    Ablation(
        "a decaying learning rate",
        "Small steps at the end average out the randomness of the last pairs.",
        SKIPGRAM, OTHER_RATES),
    Ablation(
        "sentences in random order",
        "No effect: this text has no order to begin with.  In a real text, sorted by topic or by "
        "date, the last pages would otherwise have the most influence.",
        SKIPGRAM, {"the text's order": (dict(details=Details(shuffle=False)), NOT_SIGNIFICANT)}),
    Ablation(
        "negatives by count^3/4, long training",
        "As in the short run.",
        LONG, OTHER_POWERS),
    Ablation(
        "a random window size, long training",
        "As in the short run, but the larger number of pairs of a fixed window matters less.",
        LONG, {"always 5": (dict(details=FIXED), HELPS),
               "always 3": (dict(details=FIXED, window=3), NOT_SIGNIFICANT)}),
    Ablation(
        "a decaying learning rate, long training",
        "As in the short run, but the faster progress of larger steps matters less.",
        LONG, OTHER_RATES),
]


# ---- methods ----------------------------------------------------------------------------------

def trained(settings, text):
    """The word vectors (V, D) of word2vec, trained with these settings of `train`."""
    return train(text.corpus, text.vocab, options=RunOptions(seed=text.seed), **settings).W


def counted(text):
    """Word vectors (V, D) without training: PPMI of the co-occurrence counts, then its SVD."""
    counts = window_counts(text.corpus, len(text.vocab), SKIPGRAM["window"])
    return svd_vectors(ppmi(counts), min(SKIPGRAM["dim"], len(text.vocab)))[0]


def untrained(text):
    """The initial word vectors (V, D) of word2vec, uniform in a small cube around 0."""
    return initial_weights(len(text.vocab), SKIPGRAM["dim"], text.seed)[0]


def random(text):
    """Random vectors, normally distributed, so that all directions are equally likely."""
    shape = len(text.vocab), SKIPGRAM["dim"]
    return np.random.default_rng(text.seed).standard_normal(shape)


METHODS = {
    "skip-gram, negative sampling": partial(trained, SKIPGRAM),
    "skip-gram, shared negatives": partial(trained, dict(SKIPGRAM, method=shared_chunk)),
    "skip-gram, hierarchical softmax": partial(trained, dict(SKIPGRAM, negatives=0)),
    "CBOW, negative sampling": partial(trained, CBOW),
    "CBOW, hierarchical softmax": partial(trained, dict(CBOW, negatives=0)),
    "counted: PPMI and SVD": counted,
    "random": random,
    "untrained": untrained,
}


# ---- the closed form ----------------------------------------------------------------------------

class Closed(NamedTuple):
    """A closed form compared with trained vectors: correlations and root mean square difference.

    often: the correlation over the pairs that are expected at least OFTEN times in the text.
    """

    correlation: float
    often: float
    rms_error: float


OFTEN = 5
WORLDS = {"tiny": (tiny, 48), "hard": (hard, 320)}       # (world, D > V)


def closed_form(name: str, seed: int, sentences: int = 20_000, window: int = 2, K: int = 5
                ) -> tuple[Closed, Closed]:
    """Compare trained u · v with the closed form.  -> (Closed of sgns_optimum, of shifted_pmi)

    name: one of WORLDS; the vectors have more dimensions than the world has words, 41 or 290.  P is
    the exact pair distribution of the grammar, not that of the text.  The correlations weight all
    pairs of words equally; the root mean square difference is weighted by P, as the loss is.
    """
    make, dim = WORLDS[name]
    world = make(seed, sentences)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    W, U, _ = train(corpus, vocab, dim=dim, window=window, negatives=K, sample=0, lr=0.05,
                    epochs=10, options=RunOptions(seed=seed))
    order = [world.words.index(word) for word in vocab.words]
    P = pair_distribution(world.grammar, window)[np.ix_(order, order)]
    products = W.astype(np.float64) @ U.T
    noise = noise_distribution(vocab.counts)
    counts = window_counts(corpus, len(vocab), window)
    often = P * counts.sum() >= OFTEN
    return tuple(Closed(pearson(products.ravel(), form.ravel()),
                        pearson(products[often], form[often]),
                        float(np.sqrt((P * (products - form)**2).sum() / P.sum())))
                 for form in (sgns_optimum(P, noise, K), shifted_pmi(P, noise, K)))


def closed_forms(name: str, seeds: list[int], sentences: int, workers: int = 2) -> list:
    """closed_form for each seed, in the order of seeds; `workers` run at the same time."""
    done = dict(imap_unordered(lambda seed: (seed, closed_form(name, seed, sentences)), seeds,
                               workers))
    return [done[seed] for seed in seeds]
