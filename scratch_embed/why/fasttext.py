"""Ablations of FastText: the effect of removing each part, one at a time.

Paper     Bojanowski, Grave, Joulin & Mikolov 2017, section 5 (which n-grams, how much data).
Shapes    a score is the % of analogies solved on a toy text (worlds/words.py, hard)
Cost      a training run takes a second or two.
Read next why/ablations.py (how effects are measured), why/tour.py (out-of-vocabulary words),
          words/fasttext.py

What why/word2vec.py says about toy texts and predictions also applies here.  Spelling is
informative in this world: plurals, past tenses and comparatives are English.  But most words are
short and each occurs over a hundred times, so n-grams help less than in a text with rare words.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.text.vocab import Vocab
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.words.fasttext import DETAILS, corrected_skipgram_chunk, skipgram_chunk, train
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams, ngram_row, ngrams

BUCKETS = 20_000
NGRAMS = NGrams(3, 6, BUCKETS)
FASTTEXT = dict(dim=50, window=5, negatives=5, sample=1e-3, lr=0.025, epochs=5, ngrams=NGRAMS,
                details=DETAILS, method=skipgram_chunk)

ABLATIONS = [
    Ablation(
        "n-grams of 3 to 6 letters",
        "Words with the same n-grams share what they learn: the forms of one word, and one form "
        "of many words, so analogies of grammar gain most.  N-grams of 2 letters are shared by too "
        "many words.",
        FASTTEXT, {"none: words alone": (dict(ngrams=NGrams(3, 0, BUCKETS)), HELPS),
                   "2 to 3": (dict(ngrams=NGrams(2, 3, BUCKETS)), HELPS),
                   "3 alone": (dict(ngrams=NGrams(3, 3, BUCKETS)), NOT_SIGNIFICANT),
                   "5 to 6": (dict(ngrams=NGrams(5, 6, BUCKETS)), NOT_SIGNIFICANT)}),
    Ablation(
        "20,000 buckets: few collisions",
        "N-grams that share a row share what they learn, whether they are related or not; as long "
        "as a word has some rows of its own, this is noise that averages out.",
        FASTTEXT, {"2,000": (dict(ngrams=NGrams(3, 6, 2_000)), NOT_SIGNIFICANT),
                   "200": (dict(ngrams=NGrams(3, 6, 200)), HELPS),
                   "20": (dict(ngrams=NGrams(3, 6, 20)), HELPS)}),
    Ablation(
        "each row gets the whole gradient",
        "The share that the equation gives each subword row is about fifteen times smaller, too "
        "small a step for a short training run; with a larger learning rate it is as good.",
        FASTTEXT, {"its share": (dict(method=corrected_skipgram_chunk), HELPS),
                   "its share, lr x 10": (dict(method=corrected_skipgram_chunk, lr=0.25),
                                          NOT_SIGNIFICANT)}),
    Ablation(
        "negatives drawn by count^1/2",
        "word2vec has 3/4, and for word2vec the exponent hardly mattered.",
        FASTTEXT, {"count^3/4": (dict(details=DETAILS._replace(power=0.75)), NOT_SIGNIFICANT),
                   "uniform": (dict(details=DETAILS._replace(power=0.0)), NOT_SIGNIFICANT)}),
    Ablation(
        "a learning rate of 0.025, as word2vec's",
        "The original has 0.05: larger steps gain in a short training run.",
        FASTTEXT, {"0.05": (dict(lr=0.05), HURTS)}),
]


def trained(settings: dict, text) -> np.ndarray:
    """The word vectors (V, D) of FastText, trained on a Text with these settings."""
    W = train(text.corpus, text.vocab, options=RunOptions(seed=text.seed), **settings).W
    return FastTextVectors(text.vocab.words, W, *settings["ngrams"][:2]).vectors


# ---- collisions ---------------------------------------------------------------------------------

class Collisions(NamedTuple):
    """How many n-grams of a vocabulary share a row after hashing."""

    ngrams: int                    # distinct n-grams
    rows: int                      # distinct rows of these n-grams
    shared: float                  # the share of n-grams that share their row


def collisions(vocab: Vocab, buckets: int, min_n: int = 3, max_n: int = 6) -> Collisions:
    """The hash collisions of all n-grams of min_n to max_n letters of these words."""
    different = {ngram for word in vocab.words for ngram in ngrams(word, min_n, max_n)}
    rows = [ngram_row(ngram, 0, buckets) for ngram in different]
    taken = np.bincount(rows, minlength=1)
    return Collisions(len(different), int((taken > 0).sum()),
                      float(taken[taken > 1].sum() / max(1, len(different))))
