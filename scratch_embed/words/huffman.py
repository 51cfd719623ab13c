"""Hierarchical softmax: predict a word by a few binary decisions, on a path down a Huffman tree.

Paper     Mikolov et al. 2013a, section 2.2; 2013b, eq. 3; Morin & Bengio 2005 for the idea;
          Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes", for the tree
Equation  for an input vector v and an output word o, with the inner nodes n on the path to o:
          P(o | v) = Π_n σ(y_n u_n · v),   y_n = +1 where the path turns left, −1 where right
          L = −log P(o | v)
Shapes    the V words are the leaves; the V − 1 inner nodes have output vectors u, rows of U (V, D),
          whose last row is not used
Cost      O(D · code length) per pair, where a full softmax costs O(D·V).  Frequent words have short
          codes: the mean length is below the entropy of the words in bits, plus 1.  The tree is
          built once, in plain Python; the step along a path is word2vec's kernel.
Differs   word2vec.c and gensim skip a node if |u·v| > 6; here no gradient is skipped
Read next words/word2vec.py: `draw_targets` lists the nodes of a path, `sgns_step` updates them

Why no normaliser?  At every node the two turns have probabilities σ(s) and σ(−s) = 1 − σ(s), so the
probabilities of all leaves sum to 1 for any vectors.  Each turn is a binary logistic regression
with the same gradient as a target of negative sampling.

Huffman's algorithm: join the two rarest nodes into a new one, whose count is the sum of both, until
one node is left.  Words are sorted by count, and each new node is at least as frequent as the new
node before it.  So the two rarest are always at the ends of two queues, leaves and inner nodes.
"""
from typing import NamedTuple

import numpy as np


class Tree(NamedTuple):
    """A Huffman tree: nodes[offsets[w]:offsets[w+1]] are the inner nodes on the path to word w.

    turns[offsets[w]:offsets[w+1]] are the turns y at these nodes.  Node V − 2 is the root.
    """

    offsets: np.ndarray            # (V+1,) int64
    nodes: np.ndarray              # int32, indices of inner nodes, 0..V−2 (word2vec.c: point)
    turns: np.ndarray              # float32, ±1 (word2vec.c: code)


NO_TREE = Tree(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def huffman_tree(counts: np.ndarray) -> Tree:
    """The tree with the shortest mean path.  counts: (V,), in descending order -> Tree"""
    counts = np.asarray(counts, np.int64)
    V = len(counts)
    if (np.diff(counts) > 0).any():
        raise ValueError("counts: expected descending order, the most frequent word first")
    if V < 2:
        raise ValueError(f"a Huffman tree: expected at least 2 words, got {V}; choose a smaller "
                         "min_count, or negative sampling")
    parent, turn = _join(counts.tolist())
    offsets, nodes, turns = [0], [], []
    for word in range(V):
        path, child = [], word
        while child in parent:                         # up to the root
            path.append((parent[child] - V, turn[child]))
            child = parent[child]
        for node, y in reversed(path):
            nodes.append(node)
            turns.append(y)
        offsets.append(len(nodes))
    return Tree(np.array(offsets), np.array(nodes, np.int32), np.array(turns, np.float32))


def _join(counts):
    """Join nodes until one is left.  -> {child: parent}, {child: turn}

    Leaves are 0..V−1; inner nodes are numbered from V, as they are created.
    """
    V, parent, turn = len(counts), {}, {}
    counts = list(counts)                              # of leaves, then of inner nodes
    leaf, node = V - 1, V                              # the rarest of each kind without a parent
    for new in range(V, 2 * V - 1):
        counts.append(0)
        for y in (1, -1):                              # the left child, then the right one
            if leaf >= 0 and (node >= new or counts[leaf] < counts[node]):
                child, leaf = leaf, leaf - 1
            else:
                child, node = node, node + 1
            parent[child], turn[child] = new, y
            counts[new] += counts[child]
    return parent, turn
