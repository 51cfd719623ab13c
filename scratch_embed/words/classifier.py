"""Classifier: the probabilities of a line's labels, and the precision and recall of predictions.

Paper     Joulin, Grave, Bojanowski & Mikolov 2016, "Bag of Tricks for Efficient Text
          Classification", eq. of section 2, and 2.1 for the tree
Equation  h = (1/n) Σ_{r ∈ bag} W_r,   s = U h,   and, depending on the loss of the training run,
              softmax              P(l) = exp s_l / Σ_j exp s_j
              hierarchical (hs)    P(l) = Π_n σ(y_n s_n)   over the nodes n on the path to l,
                                          with the turns y_n = ±1
              one-vs-all, ns       P(l) = σ(s_l) for each label by itself; their sum need not be 1
Shapes    W (V + buckets, D); U (L, D): a row per label, or with hs a row per inner node of the
          tree (L − 1; the last row is not used).  N bags -> h (N, D) -> s (N, L) -> P (N, L)
Cost      per line O(n·D) for a bag of n rows, and O(L·D) for its scores, by one matrix product for
          many lines (BLAS); for the tree also O(L·code length)
Differs   fastText's predict adds 1e-5 to every probability (with hs to that of every turn, and the
          product of these sums may exceed 1).  For ns and ova it reads σ from a table with steps of
          1/32, an error of up to 0.008, and uses 0 or 1 beyond ±8; here σ is computed.  With hs it
          always drops labels less likely than 1e-5; here only `threshold` drops labels.
Read next words/bags.py (what is in a bag), words/supervised.py (how W and U are learned)

What do the probabilities of ns mean?  At the optimum, for a line x,
    s_l = log[P(l|x) / (K Pneg(l) (1 − P(l|x)))],
by the derivation in words/ppmi.py.  So σ(s_l) is not P(l|x), and does not rank labels by P(l|x): a
frequent label is often drawn as a negative, and is ranked too low.
"""
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.functions import sigmoid, softplus
from scratch_embed.numerics.kernel import kernel
from scratch_embed.space.neighbours import top_k
from scratch_embed.words.bags import Features, fill_bag, max_bag_size
from scratch_embed.words.fasttext import ONE, ZERO, add_rows
from scratch_embed.words.fasttext_files import BinModel, read_bin, write_bin
from scratch_embed.words.huffman import NO_TREE, Tree, huffman_tree
from scratch_embed.words.labelled import Labelled, Lines, read_labelled, read_texts
from scratch_embed.words.softmax import probabilities
from scratch_embed.words.tables import KEEP

BLOCK = 1 << 20                    # numbers (of h or of scores) in memory at a time


# ---- from scores to probabilities -------------------------------------------------------------

def leaf_probabilities(tree: Tree, S: np.ndarray) -> np.ndarray:
    """Π σ(y_n s_n) on the path to each leaf.  S: (N, ≥ L − 1) scores of inner nodes -> (N, L)"""
    log_p = np.zeros((len(S), len(tree.nodes) + 1))         # a last column of 0: a tree of one leaf
    log_p[:, :-1] = -softplus(-tree.turns * S[:, tree.nodes])
    return np.exp(np.add.reduceat(log_p, tree.offsets[:-1], axis=1))


def label_tree(counts: np.ndarray) -> Tree:
    """The Huffman tree of labels with these counts (L,), the most frequent first.

    y_n = +1 where the path turns right, as in fastText; in word2vec.c, and so in words/huffman.py,
    +1 is left.  Otherwise the trees are the same, node by node.
    """
    if len(counts) == 1:                                     # the root is the only leaf
        return Tree(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    tree = huffman_tree(counts)
    return tree._replace(turns=-tree.turns)


# ---- from lines to h --------------------------------------------------------------------------

def mean_rows(W: np.ndarray, bag: np.ndarray) -> np.ndarray:
    """h, the mean of the rows of one bag: (n,), with repetitions -> (D,).  0 for an empty bag."""
    return W[bag].sum(axis=0) / max(1, len(bag))


@kernel
def fill_mean_rows(W, bags, lines, H, sizes):
    """Fill H (N, D) float32 with mean_rows of N lines, and sizes (N,) with their bag sizes."""
    bag = np.empty(max_bag_size(bags, lines), np.int64)
    for i in range(len(lines)):
        n = fill_bag(bags, lines[i], bag)
        h, sizes[i] = H[i], n
        h[:] = ZERO
        add_rows(W, bag[:n], ONE, h)
        scale = ONE / np.float32(max(1, n))
        for d in range(len(h)):
            h[d] *= scale


# ---- the model --------------------------------------------------------------------------------

class Quality(NamedTuple):
    """Precision and recall of the k most likely labels, over all examples together (micro).

    A true label is known if it is one of the model's labels.  Both fractions are nan for 0/0.
    """

    examples: int                  # the number of lines with at least one known true label
    precision: float               # correct predictions / predictions for these lines
    recall: float                  # correct predictions / known true labels
    unseen: int                    # the number of true labels that are not known


class Classifier:
    """A trained classifier of V words and L labels, from words/supervised.py or from fastText.

    model      the fasttext_files.BinModel of a supervised model; do not change its tables
    labels     the L labels, the most frequent first, including the prefix "__label__"
    features   the Features that compute the bag of a line
    """

    def __init__(self, model: BinModel) -> None:
        """Raises ValueError for a model of word vectors, which has no labels."""
        settings = model.settings
        if settings.model != "supervised":
            raise ValueError(f"expected a supervised model, got {settings.model}, which has no "
                             "labels; words/fasttext_vectors.py loads it")
        self.model, self.labels = model, list(model.labels)
        self.features = Features(model.words, settings.word_ngrams, settings.min_n,
                                 settings.max_n, settings.buckets)
        tree = label_tree(model.label_counts) if settings.loss == "hs" else NO_TREE
        by_loss: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "softmax": probabilities, "ns": sigmoid, "ova": sigmoid,
            "hs": partial(leaf_probabilities, tree)}
        self._probability = by_loss[settings.loss]
        self._width = max(len(self.labels), len(tree.nodes), settings.dim)

    @classmethod
    def load(cls, path: str | os.PathLike, errors: str = KEEP) -> "Classifier":
        """Read fastText's .bin, plain or gzip.  FormatError if it is damaged.

        errors: for words that are not UTF-8; see words/tables.py.  By default their bytes are kept.
        """
        return cls(read_bin(path, errors))

    def save(self, path: str | os.PathLike) -> None:
        """Write a .bin that fastText reads.  Replaces an old file when the new one is complete."""
        write_bin(path, self.model)

    def __repr__(self) -> str:
        s = self.model.settings
        return (f"Classifier({len(self.labels)} labels, {s.loss}, {len(self.model.words)} words + "
                f"{s.buckets} buckets x {s.dim} dimensions)")

    # ---- vectors and probabilities -----------------------------------------

    def encode(self, texts: str | Iterable[str]) -> np.ndarray:
        """h, the mean of a text's rows, including word n-grams and the end of the line.

        One str -> (D,); n of them -> (n, D); float32.  h = 0 for a text that has no rows.
        """
        lines = self._read(texts)
        H = np.concatenate([np.zeros((0, self.model.settings.dim), np.float32),
                            *(H for H, _ in self._blocks(lines))])
        return H[0] if isinstance(texts, str) else H

    sentence_vector = encode                       # as fastText's get_sentence_vector

    def probabilities(self, texts: str | Iterable[str]) -> np.ndarray:
        """The probabilities of all labels, in order.  One str -> (L,); n of them -> (n, L)."""
        lines = self._read(texts)
        P = np.concatenate([np.zeros((0, len(self.labels))),
                            *(self._probabilities(H) for H, _ in self._blocks(lines))])
        return P[0] if isinstance(texts, str) else P

    def predict(self, texts: str | Iterable[str], k: int = 1, threshold: float = 0.0
                ) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
        """The k most likely labels and their probabilities, those of at least `threshold`.

        One str -> [(label, probability)], the most likely first, ties in the order of `labels`;
        n of them -> n such lists.  k = −1: all labels.  A text without rows in W gets [] for any
        threshold.  If "</s>", the end of a line, is in the vocabulary, every text has its row.
        """
        predicted = [[(self.labels[label], float(p)) for label, p in ranked]
                     for ranked in self._ranked(self._read(texts), k, threshold)]
        return predicted[0] if isinstance(texts, str) else predicted

    def test(self, source: Lines | Labelled, k: int = 1, threshold: float = 0.0) -> Quality:
        """Precision and recall of the k most likely labels on labelled lines.

        source: as for read_labelled, or its result.  As in the original, every label of every
        example has the same weight, and lines without a known label are left out; `unseen` counts
        unknown labels.
        Raises a ValueError that names a line without a label.
        """
        lines = source if isinstance(source, Labelled) else read_labelled(source)
        index = {label: i for i, label in enumerate(self.labels)}
        label_ids = np.array([index.get(label, -1) for label in lines.labels])     # −1: not known
        offsets, targets = lines.targets.offsets, label_ids[lines.targets.ids]
        examples = predicted = known = correct = 0
        for i, ranked in enumerate(self._ranked(lines, k, threshold)):
            gold = [label for label in targets[offsets[i]:offsets[i + 1]].tolist() if label >= 0]
            if gold:
                examples, known = examples + 1, known + len(gold)
                predicted += len(ranked)
                correct += sum(label in gold for label, _ in ranked)
        return Quality(examples, correct / predicted if predicted else np.nan,
                       correct / known if known else np.nan, int((targets < 0).sum()))

    def majority(self, source: Lines | Labelled) -> float:
        """The P@1 of always predicting the most frequent label of the training text.

        source: as for test(); lines without a known label are left out, as there
        """
        lines = source if isinstance(source, Labelled) else read_labelled(source)
        is_known = np.array([label in set(self.labels) for label in lines.labels])
        is_majority = np.array([label == self.labels[0] for label in lines.labels])
        any_known, any_majority = (
            np.maximum.reduceat(flags[lines.targets.ids], lines.targets.offsets[:-1])
            for flags in (is_known, is_majority))                      # (N,) bool, per line
        return float(any_majority.sum() / max(1, any_known.sum()))

    # ---- a block of lines at a time ----------------------------------------

    def _read(self, texts):
        return read_texts([texts] if isinstance(texts, str) else texts)

    def _blocks(self, lines: Labelled) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield H (n, D) and the sizes (n,) of n bags, where h and s have about BLOCK numbers."""
        bags = self.features.bags(lines.words, lines.tokens)
        N, dim = len(lines.tokens.offsets) - 1, self.model.settings.dim
        n = max(1, BLOCK // self._width)
        for first in range(0, N, n):
            block = np.arange(first, min(first + n, N))
            H, sizes = np.empty((len(block), dim), np.float32), np.empty(len(block), np.int64)
            with np.errstate(over="ignore"):       # without the compiler, the hash would warn
                fill_mean_rows(self.model.input, bags, block, H, sizes)
            yield H, sizes

    def _probabilities(self, H):
        """(n, D) -> (n, L) float64."""
        return self._probability((H @ self.model.output.T).astype(np.float64))

    def _ranked(self, lines, k, threshold):
        """Yield [(index of a label, probability)] of each line, the most likely label first."""
        k = len(self.labels) if k == -1 else k     # as in the original
        for H, sizes in self._blocks(lines):
            ids, values = top_k(self._probabilities(H), k)
            for label, p, size in zip(ids.tolist(), values.tolist(), sizes.tolist()):
                yield [pair for pair in zip(label, p) if pair[1] >= threshold and size > 0]
