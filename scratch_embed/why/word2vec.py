"""What is each trick of word2vec worth?  Remove one at a time, and measure.

Paper     Mikolov et al. 2013b, which gives the tricks; Levy, Goldberg & Dagan 2015, "Improving
          Distributional Similarity with Lessons Learned from Word Embeddings", which counts them.
Shapes    a score is the % of analogies solved on a toy text (worlds/words.py, hard)
Cost      a run on 150,000 words takes about a second.
Read next why/ablations.py (the measuring), why/effects.py (the intervals), words/ppmi.py (the
          closed form)

A seed is another text as well as other starting weights, so what holds over the seeds holds for
texts of this kind, not for one of them.  A toy text of 290 words is not English: a trick made for
a vocabulary of a million, or for a text with topics, may have nothing to do here.  The predictions
are what the papers lead one to expect, not what was found: those that failed stay.

The training is short, as is usual for a long text, so whatever takes more or longer steps gains.
Therefore some tricks are removed again with as many steps in all, or from a longer training.
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
LONG = dict(SKIPGRAM, dim=32, epochs=15)           # fewer dimensions, or all would come near 100%
FIXED, CONSTANT = Details(fixed_window=True), Details(last_lr=1.0)

OTHER_NOISE = {"count^1": (dict(details=Details(power=1.0)), HELPS),
               "all words alike": (dict(details=Details(power=0.0)), HELPS)}
OTHER_RATES = {"the first rate": (dict(details=CONSTANT), HELPS),
               "the mean rate": (dict(details=CONSTANT, lr=0.0125), HELPS)}

ABLATIONS = [
    Ablation(
        "noise drawn by count^3/4",
        "Plain counts draw the same few words for ever, equal chances hardly ever a frequent "
        "one; 3/4 lies between and is better than both.",
        SKIPGRAM, OTHER_NOISE),
    Ablation(
        "the random window",
        "It makes near neighbours count for more, and those say more; against a fixed window "
        "of the same mean reach little is left of that.",
        SKIPGRAM, {"always 5": (dict(details=FIXED), HELPS),
                   "always 5, as many pairs": (dict(details=FIXED, epochs=3), HELPS),
                   "always 3": (dict(details=FIXED, window=3), NOT_SIGNIFICANT)}),
    Ablation(
        "sub-sampling",
        "Frequent words say little of their neighbours and take up the window: without them it "
        "reaches further.",
        SKIPGRAM, {"every word kept": (dict(sample=0), HELPS)}),
    Ablation(
        "5 noise words a pair",
        "More questions a pair are more to learn from, most of all in a small text; if it is "
        "read so often that there are as many in all, nothing is left.",
        SKIPGRAM, {"1": (dict(negatives=1), HELPS),
                   "1, as many questions": (dict(negatives=1, epochs=15), NOT_SIGNIFICANT),
                   "15": (dict(negatives=15), HURTS),
                   "15, as many questions": (dict(negatives=15, epochs=2), NOT_SIGNIFICANT)}),
    Ablation(
        "noise drawn anew for each pair",
        "Shared noise has the same mean and a little more variance.",
        SKIPGRAM, {"shared by a position": (dict(method=shared_chunk), NOT_SIGNIFICANT)}),
    Ablation(
        "CBOW: every word takes the whole error",
        "The equation's share is several times smaller, too small a step for a short training; "
        "with a larger learning rate it is as good.",
        CBOW, {"its share": (dict(method=corrected_cbow_chunk), HELPS),
               "its share, lr x 3": (dict(method=corrected_cbow_chunk, lr=0.15), NOT_SIGNIFICANT)}),
    Ablation(
        "a learning rate that falls",
        "Late small steps average out what the last pairs happened to be.",
        SKIPGRAM, OTHER_RATES),
    Ablation(
        "sentences in random order",
        "Nothing: this text has no order to begin with.  In a real one, sorted by topic or by "
        "date, the last pages would otherwise count for most.",
        SKIPGRAM, {"the text's order": (dict(details=Details(shuffle=False)), NOT_SIGNIFICANT)}),
    Ablation(
        "noise drawn by count^3/4, long training",
        "As for the short one.",
        LONG, OTHER_NOISE),
    Ablation(
        "the random window, long training",
        "As for the short one; that a fixed window has more pairs matters less.",
        LONG, {"always 5": (dict(details=FIXED), HELPS),
               "always 3": (dict(details=FIXED, window=3), NOT_SIGNIFICANT)}),
    Ablation(
        "a learning rate that falls, long training",
        "As for the short one; what larger steps gain in time matters less.",
        LONG, OTHER_RATES),
]


# ---- methods ----------------------------------------------------------------------------------

def trained(settings, text):
    """Word vectors (V, D) that word2vec learns with these settings of `train`."""
    return train(text.corpus, text.vocab, options=RunOptions(seed=text.seed), **settings).W


def counted(text):
    """The same without learning: PPMI, then its SVD."""
    counts = window_counts(text.corpus, len(text.vocab), SKIPGRAM["window"])
    return svd_vectors(ppmi(counts), min(SKIPGRAM["dim"], len(text.vocab)))[0]


def untrained(text):
    """What word2vec starts from: numbers from a cube, near 0."""
    return initial_weights(len(text.vocab), SKIPGRAM["dim"], text.seed)[0]


def random(text):
    """Normal numbers, every direction alike."""
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
    """A form held against trained vectors: correlations, and the root mean square difference.

    often: the correlation over the pairs that the text is expected to have OFTEN times or more.
    """

    correlation: float
    often: float
    rms_error: float


OFTEN = 5
WORLDS = {"tiny": (tiny, 48), "hard": (hard, 320)}       # dimensions: enough that u · v is free


def closed_form(name: str, seed: int, sentences: int = 20_000, window: int = 2, K: int = 5
                ) -> tuple[Closed, Closed]:
    """How near training comes to the optimum.  -> (Closed of sgns_optimum, of shifted_pmi).

    name: of WORLDS; the vectors have more dimensions than the world has words, 41 or 290.  P is
    exact, of the grammar and not of the text.  The correlations are over pairs of words alike;
    the difference is weighted by P, as the loss is.
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
    """closed_form for each seed, in their order, `workers` at a time."""
    done = dict(imap_unordered(lambda seed: (seed, closed_form(name, seed, sentences)), seeds,
                               workers))
    return [done[seed] for seed in seeds]
