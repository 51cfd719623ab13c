"""Plan: what a word vector kernel needs besides text and weights; and checks of the settings.

Read next words/word2vec.py, words/cbow.py, words/fasttext.py, which use it

A Plan is made once per training run, from the word counts and the settings.  It has only arrays and
numbers, since compiled kernels read it.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.text.vocab import Corpus, Vocab, keep_probability
from scratch_embed.words.huffman import NO_TREE, Tree, huffman_tree
from scratch_embed.words.negative_sampling import AliasTable, alias_table, noise_distribution

CHUNK_WORK = 30_000_000            # multiply-adds in one kernel call: about 20 ms
SHORTEST_CHUNK = 100               # words; in a shorter one, the call would cost more than the work
MOST_NEGATIVES = 10_000            # per pair: each costs as much as a pair; 5 to 20 are usual
MIN_LR_RATIO = 1e-4                # word2vec.c: the final learning rate ÷ the first


class Details(NamedTuple):
    """Settings that are rarely changed; `scratch-embed why word2vec` measures their effects.

    power         exponent of the counts in the noise distribution, from which negatives are drawn
    fixed_window  use the whole window at every position; if False, draw its size from 1..window
    min_lr_ratio  the final learning rate, as a fraction of the initial one
    shuffle       read the sentences in random order
    """

    power: float = 0.75
    fixed_window: bool = False
    min_lr_ratio: float = MIN_LR_RATIO
    shuffle: bool = True


class Plan(NamedTuple):
    """What a kernel needs besides the text and the weights."""

    keep: np.ndarray               # (V,) float32: the probability that subsampling keeps a word
    noise: AliasTable              # alias table of the noise distribution, for negatives
    tree: Tree                     # for hierarchical softmax, else NO_TREE
    window: int
    fixed_window: bool
    negatives: int                 # K; 0 for hierarchical softmax
    max_targets: int               # K + 1, or the longest path in the tree


class Trained(NamedTuple):
    """The result of train(): W (V, D) the word vectors, U (V, D) the output vectors, losses."""

    W: np.ndarray
    U: np.ndarray
    losses: list[float]            # mean loss per pair (CBOW: per position), for each epoch

    def __repr__(self) -> str:
        last = f"{self.losses[-1]:.4f}" if self.losses else "none"
        return f"Trained({len(self.W):,} x {self.W.shape[1]}, loss {last})"


def make_plan(counts: np.ndarray, window: int = 5, negatives: int = 5, sample: float = 1e-3,
              power: float = 0.75, fixed_window: bool = False) -> Plan:
    """The Plan for words with these counts (V,).  negatives = 0: hierarchical softmax."""
    tree = NO_TREE if negatives else huffman_tree(counts)
    max_targets = negatives + 1 if negatives else int(np.diff(tree.offsets).max())
    return Plan(keep_probability(counts, sample), alias_table(noise_distribution(counts, power)),
                tree, window, fixed_window, negatives, max_targets)


def chunk_words(work: float, budget: float = CHUNK_WORK) -> int:
    """The number of words per kernel call.  work: estimated multiply-adds per word

    Ctrl-C, the progress bar and checkpoints are handled between two calls.
    """
    return max(SHORTEST_CHUNK, int(budget / work))


# ---- checks ------------------------------------------------------------------------------------

def check_settings(settings: dict) -> None:
    """Raise a ValueError that names the first setting that is out of range."""
    for name in ("dim", "window", "epochs"):
        require_whole(name, settings[name], 1)
    require_whole("negatives", settings["negatives"], 0, MOST_NEGATIVES)
    for name in ("sample", "lr", "power"):
        require_number(name, settings[name], 0, 1e38)        # finite as float32 too
    require_number("min_lr_ratio", settings["min_lr_ratio"], 0, 1)


def check_corpus(corpus: Corpus, vocab: Vocab) -> None:
    """Raise ValueError unless `corpus` has words, and all their numbers are in `vocab`."""
    if not isinstance(corpus, Corpus) or not isinstance(vocab, Vocab):
        raise ValueError(f"corpus, vocab: expected a Corpus and its Vocab, got "
                         f"{type(corpus).__name__} and {type(vocab).__name__}")
    if len(corpus.ids) == 0:
        raise ValueError("corpus: expected words, got none")
    least, most = corpus.ids.min(), corpus.ids.max()
    if least < 0 or most >= len(vocab):
        raise ValueError(f"corpus: expected word numbers in 0..{len(vocab) - 1}, got "
                         f"{least}..{most}; it was not numbered with this vocabulary")


def check_pairs(losses: list[float], sample: float) -> None:
    """Raise ValueError if no epoch had a pair of neighbours to learn from."""
    if np.isnan(losses).all():
        raise ValueError("corpus: expected sentences with two words of the vocabulary, found none"
                         if sample == 0 else
                         f"sample={sample}: subsampling left no pair of neighbours to learn from; "
                         "use more text, or sample=0")
