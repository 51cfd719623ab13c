"""Ablations of GloVe: the effect of removing each part, one at a time.

Paper     Pennington, Socher & Manning 2014, sections 3.1 (the weight) and 4 (AdaGrad, the sum of
          both tables, x_max, alpha, the window).
Shapes    a score is the % of analogies solved on a toy text (worlds/words.py, hard)
Cost      a training run takes about a second.
Read next why/ablations.py (how effects are measured), why/effects.py (intervals), words/glove.py

What why/word2vec.py says about toy texts and predictions also applies here.  One property is unlike
English: because of the noise nine in ten pairs of the 290 words co-occur, about half of them with a
count below 2.  The counts are small, so x_max is 10; the paper has 100, for billions of words.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import pearson
from scratch_embed.text.vocab import index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, NOT_SIGNIFICANT
from scratch_embed.words.cooccurrence import count_cells, flat, harmonic
from scratch_embed.words.glove import (
    AdaGrad,
    Trained,
    c_adagrad,
    mirrored,
    paper_adagrad,
    shuffled,
    train,
)
from scratch_embed.worlds.words import tiny

HUGE_SUM = 1e12                    # a sum of squares so large that no gradient changes it


def both(trained: Trained) -> np.ndarray:
    """The sum W + U of both tables."""
    return trained.vectors


def words(trained: Trained) -> np.ndarray:
    """The word table W alone."""
    return trained.W


def contexts(trained: Trained) -> np.ndarray:
    """The context table U alone."""
    return trained.U


def constant(lr: float) -> AdaGrad:
    """AdaGrad with a constant learning rate lr: the sums of squares are too large to grow."""
    return AdaGrad(lr * np.sqrt(HUGE_SUM), HUGE_SUM, HUGE_SUM)


GLOVE = dict(dim=50, x_max=10, alpha=0.75, lr=0.05, epochs=15, adagrad=c_adagrad, order=shuffled,
             window=5, weights=harmonic, symmetric=True, take=both)

ABLATIONS = [
    Ablation(
        "the weight f(x): rare cells count less",
        "A pair that was seen once is mostly chance; if it has the weight of a pair seen a hundred "
        "times, the model learns the chance.",
        GLOVE, {"all cells alike": (dict(alpha=0), HELPS),
                "x below x_max": (dict(alpha=1.0), NOT_SIGNIFICANT)}),
    Ablation(
        "x_max: an upper limit for the weight",
        "Without the limit, only the few cells of frequent words count; the exact limit matters "
        "little.",
        GLOVE, {"1": (dict(x_max=1), HELPS),
                "100": (dict(x_max=100), NOT_SIGNIFICANT),
                "no limit (1,000,000)": (dict(x_max=1e6), HELPS)}),
    Ablation(
        "W + U",
        "Both tables learn the same, so their sum has half the noise: a small gain, as the "
        "paper says.",
        GLOVE, {"W alone": (dict(take=words), HELPS),
                "U alone": (dict(take=contexts), HELPS)}),
    Ablation(
        "AdaGrad, glove.c's",
        "Each parameter has a learning rate that falls with its past gradients, so rare words "
        "continue to learn.  The larger steps of glove.c should matter less in a longer run.",
        GLOVE, {"the paper's": (dict(adagrad=paper_adagrad), HELPS),
                "a constant rate, 0.05": (dict(adagrad=constant), HELPS),
                "a constant rate, 0.01": (dict(adagrad=constant, lr=0.01), HELPS)}),
    Ablation(
        "cells in random order",
        "If a cell and its mirror image follow each other, they move the same two words in the "
        "same direction twice, as if there were half as many steps.",
        GLOVE, {"mirror images in turn": (dict(order=mirrored), HELPS)}),
    Ablation(
        "counts fall with the distance",
        "Nearer words are more informative.",
        GLOVE, {"all distances alike": (dict(weights=flat), HELPS)}),
    Ablation(
        "both sides of a word",
        "Half of the information about a word is on its other side; but with one side the two "
        "tables learn different things, and W + U has both.",
        GLOVE, {"the left side alone": (dict(symmetric=False), NOT_SIGNIFICANT)}),
    Ablation(
        "the window, 5",
        "In sentences of about fifteen words a wider window adds only distant words, which weigh "
        "little.",
        GLOVE, {"2": (dict(window=2), NOT_SIGNIFICANT), "10": (dict(window=10), NOT_SIGNIFICANT)}),
]


def trained(settings: dict, text) -> np.ndarray:
    """The word vectors (V, D) of GloVe, trained on a Text with these settings."""
    settings = dict(settings)
    counting = {name: settings.pop(name) for name in ("window", "weights", "symmetric")}
    take = settings.pop("take")
    cells = count_cells(text.corpus, len(text.vocab), **counting)
    return take(train(cells, len(text.vocab), options=RunOptions(seed=text.seed), **settings))


# ---- the limit of training -----------------------------------------------------------------------

class Closed(NamedTuple):
    """Trained w·u + b + c compared with log X, over all cells."""

    correlation: float
    rms_error: float               # root mean square difference, weighted by f(x)
    spread: float                  # standard deviation of log X, with the same weights


def closed_form(seed: int, dim: int, sentences: int = 20_000) -> Closed:
    """Compare training on a tiny world of 41 words with log X.  dim: of the vectors."""
    vocab, corpus = index_sentences(tiny(seed, sentences).sentences, min_count=1)
    cells = count_cells(corpus, len(vocab), window=5)
    found = train(cells, len(vocab), dim=dim, x_max=10, epochs=200,
                  options=RunOptions(seed=seed))
    scores = ((found.W[cells.rows].astype(float) * found.U[cells.cols]).sum(1)
              + found.b[cells.rows] + found.c[cells.cols])
    log_x, f = np.log(cells.counts), np.minimum(1, (cells.counts / 10)**0.75)
    mean = (f * log_x).sum() / f.sum()
    return Closed(pearson(scores, log_x), float(np.sqrt((f * (scores - log_x)**2).sum() / f.sum())),
                  float(np.sqrt((f * (log_x - mean)**2).sum() / f.sum())))
