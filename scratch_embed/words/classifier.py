"""A classifier of text: the labels of a line, how likely each is, and how often that is right.

Paper     Joulin, Grave, Bojanowski & Mikolov 2016, "Bag of Tricks for Efficient Text
          Classification", eq. of section 2, and 2.1 for the tree.
Equation  h = (1/n) Σ_{r ∈ bag} W_r,   s = U h,   and by the loss it was trained with
              softmax              P(l) = exp s_l / Σ_j exp s_j
              hierarchical (hs)    P(l) = Π_n σ(y_n s_n)   over the turns on the path to l
              one-vs-all, ns       P(l) = σ(s_l), each label by itself: they do not sum to 1
Shapes    W (V + buckets, D), U (L, D), bags of N lines -> h (N, D) -> s (N, L) -> P (N, L)
Cost      O(n·D) for a bag of n rows, O(L·D) for its scores: one matrix product for many lines,
          which BLAS owns; the tree costs O(L·code length) besides.
Differs   fastText's predict adds 1e-5 to every probability (for hs, to every turn's, so that its
          own may exceed 1) and takes σ of ns and ova from a table with cells 1/32 wide, so off by
          up to 0.008, and 0 or 1 beyond ±8; here they are what the equation says.  Its search down
          the tree drops what is less likely than 1e-5, whatever the threshold; here nothing is.
Read next words/bags.py (what is in a bag), words/supervised.py (how W and U are learned).

What ns's numbers mean: where it has learned all it can, s_l = log P(l|x) / (K Pⁿ(l) (1 − P(l|x))),
by the argument of words/word2vec.py.  So neither σ(s_l) nor the order of labels is that of
P(l|x): a label that is often drawn as noise, and that is a frequent one, stands too low.
"""
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.functions import sigmoid, softplus
from scratch_embed.numerics.kernel import kernel
from scratch_embed.space.neighbours import top_k
from scratch_embed.words.bags import Features, fill_bag, longest_bag
from scratch_embed.words.fasttext import ONE, ZERO, add_rows
from scratch_embed.words.fasttext_files import BinModel, read_bin, write_bin
from scratch_embed.words.huffman import NO_TREE, Tree, huffman_tree
from scratch_embed.words.labelled import Labelled, Lines, read_labelled, read_texts
from scratch_embed.words.softmax import probabilities

BLOCK = 1 << 20                    # scores that are in memory at a time


# ---- from scores to probabilities -------------------------------------------------------------

def leaf_probabilities(tree: Tree, S: np.ndarray) -> np.ndarray:
    """Π σ(y_n s_n) on the path to each leaf.  S: (N, ≥ L − 1) scores of inner nodes -> (N, L)."""
    log_p = np.zeros((len(S), len(tree.nodes) + 1))          # one 0 more: a lone leaf has no turns
    log_p[:, :-1] = -softplus(-tree.turns * S[:, tree.nodes])
    return np.exp(np.add.reduceat(log_p, tree.offsets[:-1], axis=1))


def label_tree(counts: np.ndarray) -> Tree:
    """The Huffman tree of the labels, by their counts (L,), the most frequent first.

    y_n = +1 asks whether the path turns right, as in fastText; in word2vec.c, and so in
    words/huffman.py, whether it turns left.  Otherwise the trees are the same, node by node.
    """
    if len(counts) == 1:                                     # the root is the only leaf
        return Tree(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    tree = huffman_tree(counts)
    return tree._replace(turns=-tree.turns)


# ---- from lines to h --------------------------------------------------------------------------

def mean_rows(W: np.ndarray, bag: np.ndarray) -> np.ndarray:
    """h of one bag, (D,).  bag: (n,) rows of W, those that come twice count twice; none gives 0."""
    return W[bag].sum(axis=0) / max(1, len(bag))


@kernel
def fill_mean_rows(W, bags, lines, H, sizes):
    """mean_rows of these lines.  H: (N, D) float32 and sizes: (N,), filled."""
    bag = np.empty(longest_bag(bags, lines), np.int64)
    for i in range(len(lines)):
        n = fill_bag(bags, lines[i], bag)
        h, sizes[i] = H[i], n
        h[:] = ZERO
        add_rows(W, bag[:n], ONE, h)
        share = ONE / np.float32(max(1, n))
        for d in range(len(h)):
            h[d] *= share


# ---- the model --------------------------------------------------------------------------------

class Quality(NamedTuple):
    """How often the k first labels are right, over all examples together."""

    examples: int                  # that have a label of the model's
    precision: float               # of the labels predicted, the share that is true; nan for none
    recall: float                  # of the true labels, the share that is among the predicted
    unseen: int                    # true labels, in all examples, that the model never saw


class Classifier:
    """What words/supervised.py has learned, or the original has: V words, L labels.

    model      a fasttext_files.BinModel of a supervised model; its tables must not be changed
    labels     the L labels, the most frequent first, with their "__label__"
    features   what a bag is made of
    """

    def __init__(self, model: BinModel) -> None:
        """Raises ValueError for a model of another kind."""
        settings = model.settings
        if settings.model != "supervised":
            raise ValueError(f"expected a supervised model, found {settings.model}: it has no "
                             "labels; words/fasttext_vectors.py takes it")
        self.model, self.labels = model, list(model.labels)
        self.features = Features(model.words, settings.word_ngrams, settings.min_n,
                                 settings.max_n, settings.buckets)
        tree = label_tree(model.label_counts) if settings.loss == "hs" else NO_TREE
        of_loss: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "softmax": probabilities, "ns": sigmoid, "ova": sigmoid,
            "hs": partial(leaf_probabilities, tree)}
        self._probability = of_loss[settings.loss]
        self._width = max(len(self.labels), len(tree.nodes), settings.dim)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Classifier":
        """From a .bin of fastText's, plain or gzip; FormatError where it is not whole.

        Words that are not UTF-8, which published models have, are kept as their bytes.
        """
        return cls(read_bin(path, errors="surrogateescape"))

    def save(self, path: str | os.PathLike) -> None:
        """Write a .bin that fastText reads; the old file is kept until the new one is whole."""
        write_bin(path, self.model)

    def __repr__(self) -> str:
        s = self.model.settings
        return (f"Classifier({len(self.labels)} labels, {s.loss}, {len(self.model.words)} words + "
                f"{s.buckets} buckets x {s.dim} dimensions)")

    # ---- vectors and probabilities -----------------------------------------

    def encode(self, texts: str | Iterable[str]) -> np.ndarray:
        """h: the mean of a text's rows, runs of words and the end of the line included.

        str -> (D,), n of them -> (n, D), float32.  A text of which no row is known has h = 0.
        """
        lines = self._read(texts)
        H = np.concatenate([np.zeros((0, self.model.settings.dim), np.float32),
                            *(H for H, _ in self._blocks(lines))])
        return H[0] if isinstance(texts, str) else H

    sentence_vector = encode                       # fastText's name for it

    def probabilities(self, texts: str | Iterable[str]) -> np.ndarray:
        """P of every label, in the order of `labels`.  str -> (L,), n of them -> (n, L)."""
        lines = self._read(texts)
        P = np.concatenate([np.zeros((0, len(self.labels))),
                            *(self._probabilities(H) for H, _ in self._blocks(lines))])
        return P[0] if isinstance(texts, str) else P

    def predict(self, texts: str | Iterable[str], k: int = 1, threshold: float = 0.0
                ) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
        """The k most likely labels with their probabilities, of at least `threshold`.

        str -> [(label, probability)], the likeliest first, equals in the order of `labels`;
        n of them -> n such lists.  k = −1: all labels.  Empty for a text of which no row is known
        (never with a model that knows "</s>", the end of a line, as all trained models do).
        """
        predicted = [[(self.labels[label], float(p)) for label, p in found]
                     for found in self._ranked(self._read(texts), k, threshold)]
        return predicted[0] if isinstance(texts, str) else predicted

    def test(self, source: Lines, k: int = 1, threshold: float = 0.0) -> Quality:
        """Precision and recall of the k first labels on labelled lines (read_labelled's source).

        As in the original, all labels of all examples count alike, and an example none of whose
        labels the model ever saw is left out; `unseen` tells how many such labels there are.
        Raises ValueError with the number of a line that has no label.
        """
        lines = read_labelled(source)
        number = {label: i for i, label in enumerate(self.labels)}
        true = [number.get(label, -1) for label in lines.labels]
        offsets, targets = lines.targets.offsets, np.array(true)[lines.targets.ids]
        examples = predicted = known = right = 0
        for i, found in enumerate(self._ranked(lines, k, threshold)):
            gold = [label for label in targets[offsets[i]:offsets[i + 1]].tolist() if label >= 0]
            if gold:
                examples, predicted, known = examples + 1, predicted + len(found), known + len(gold)
                right += sum(label in gold for label, _ in found)
        return Quality(examples, right / predicted if predicted else np.nan,
                       right / known if known else np.nan, int((targets < 0).sum()))

    # ---- a block of lines at a time ----------------------------------------

    def _read(self, texts):
        return read_texts([texts] if isinstance(texts, str) else texts)

    def _blocks(self, lines: Labelled) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """H (n, D) and the sizes of the bags (n,), for so many lines at a time as BLOCK says."""
        bags = self.features.bags(lines.words, lines.tokens)
        N, dim = len(lines.tokens.offsets) - 1, self.model.settings.dim
        step = max(1, BLOCK // self._width)
        for first in range(0, N, step):
            block = np.arange(first, min(first + step, N))
            H, sizes = np.empty((len(block), dim), np.float32), np.empty(len(block), np.int64)
            with np.errstate(over="ignore"):       # without the compiler, the hash would warn
                fill_mean_rows(self.model.input, bags, block, H, sizes)
            yield H, sizes

    def _probabilities(self, H):
        """(n, D) -> (n, L) float64."""
        return self._probability((H @ self.model.output.T).astype(np.float64))

    def _ranked(self, lines, k, threshold):
        """For each line its [(number of a label, probability)]."""
        k = len(self.labels) if k == -1 else k     # as in the original
        for H, sizes in self._blocks(lines):
            ids, values = top_k(self._probabilities(H), k)
            for label, p, size in zip(ids.tolist(), values.tolist(), sizes.tolist()):
                yield [pair for pair in zip(label, p) if pair[1] >= threshold and size > 0]
