"""What every trainer of word vectors prepares before its first step: a plan, tables, checks.

Read next words/word2vec.py, words/cbow.py, words/fasttext.py, which use it

A Plan holds, in arrays and numbers, all that a kernel needs to know besides the text and the
weights; it is made once, from the counts of the words and the settings.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.text.vocab import Corpus, Vocab, keep_probability
from scratch_embed.words.huffman import NO_TREE, Tree, huffman_tree
from scratch_embed.words.negative_sampling import Noise, alias_table, noise_distribution

CHUNK_WORK = 30_000_000            # multiply-adds of one call of a kernel: about 20 ms
SHORTEST_CHUNK = 100               # words: below that, calls cost more than their work
LAST_LR = 1e-4                     # word2vec.c: the learning rate ends at this share of its start


class Details(NamedTuple):
    """What is rarely changed; `scratch-embed why word2vec` measures the effect of each.

    power         of the counts, in the distribution from which negatives are drawn
    fixed_window  every position uses the whole window; else its size is drawn, 1..window
    last_lr       the learning rate falls to this share of its start
    shuffle       read the sentences in random order
    """

    power: float = 0.75
    fixed_window: bool = False
    last_lr: float = LAST_LR
    shuffle: bool = True


class Plan(NamedTuple):
    """What a pass over the text needs to know besides the text and the weights."""

    keep: np.ndarray               # (V,) float32: the probability that subsampling keeps a word
    noise: Noise                   # the alias table from which negatives are drawn
    tree: Tree                     # the Huffman tree of hierarchical softmax, or no tree
    window: int
    fixed_window: bool
    negatives: int                 # K; 0 for hierarchical softmax
    max_targets: int               # the most targets that one word has


class Trained(NamedTuple):
    """The result of a training: W (V, D) the word vectors, U (V, D) the output vectors, losses."""

    W: np.ndarray
    U: np.ndarray
    losses: list[float]            # the mean loss of a pair, one number an epoch

    def __repr__(self) -> str:
        last = f"{self.losses[-1]:.4f}" if self.losses else "none"
        return f"Trained({len(self.W):,} x {self.W.shape[1]}, loss {last})"


def make_plan(counts: np.ndarray, window: int = 5, negatives: int = 5, sample: float = 1e-3,
              power: float = 0.75, fixed_window: bool = False) -> Plan:
    """The Plan for a vocabulary of these counts (V,); negatives = 0 asks for a Huffman tree."""
    tree = NO_TREE if negatives else huffman_tree(counts)
    max_targets = negatives + 1 if negatives else int(np.diff(tree.offsets).max())
    return Plan(keep_probability(counts, sample), alias_table(noise_distribution(counts, power)),
                tree, window, fixed_window, negatives, max_targets)


def chunk_words(work: float, budget: float = CHUNK_WORK) -> int:
    """How many words one call trains on, so that Ctrl-C, the bar and checkpoints come between.

    work: multiply-adds that a word takes, about.
    """
    return max(SHORTEST_CHUNK, int(budget / work))


# ---- checks ------------------------------------------------------------------------------------

def check_pair_settings(settings: dict) -> None:
    """Raise ValueError that names the first setting that is out of its range."""
    for name in ("dim", "window", "epochs"):
        require_whole(name, settings[name], 1)
    require_whole("negatives", settings["negatives"])
    for name in ("sample", "lr", "power"):
        require_number(name, settings[name], 0, 1e38)        # finite as float32 too
    require_number("last_lr", settings["last_lr"], 0, 1)


def check_corpus(corpus: Corpus, vocab: Vocab) -> None:
    """Raise ValueError unless `corpus` has words, all of them numbers of `vocab`."""
    if not isinstance(corpus, Corpus) or not isinstance(vocab, Vocab):
        raise ValueError(f"expected a Corpus and its Vocab, in this order; found "
                         f"{type(corpus).__name__} and {type(vocab).__name__}")
    if len(corpus.ids) == 0:
        raise ValueError("the corpus has no words")
    least, most = corpus.ids.min(), corpus.ids.max()
    if least < 0 or most >= len(vocab):
        raise ValueError(f"the corpus has word numbers from {least} to {most}, the vocabulary has "
                         f"{len(vocab)} words: they do not belong together")


def check_pairs(losses: list[float], sample: float) -> None:
    """Raise ValueError if there was no pair of neighbours to learn from in any epoch."""
    if np.isnan(losses).all():
        raise ValueError("no word has a neighbour to learn from: the text is too short for "
                         f"sample={sample}; give more text, or sample=0")
